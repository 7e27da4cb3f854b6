-- One's own visits by their time, for the lists of patients and of providers.
CREATE INDEX care_consultations_patient_time ON care_consultations (patient_id, starts_at, id);
CREATE INDEX care_consultations_provider_time ON care_consultations (provider_id, starts_at, id);
