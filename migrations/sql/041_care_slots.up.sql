-- A meeting that is over no longer takes its slot.
ALTER TABLE care_consultations DROP CONSTRAINT care_consultations_provider_slot;
ALTER TABLE care_consultations DROP CONSTRAINT care_consultations_patient_slot;
CREATE UNIQUE INDEX care_consultations_provider_slot
    ON care_consultations (provider_id, starts_at) WHERE status <> 'completed';
CREATE UNIQUE INDEX care_consultations_patient_slot
    ON care_consultations (patient_id, starts_at) WHERE status <> 'completed';
