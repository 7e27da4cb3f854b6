-- A meeting that was called off takes no slot, and opens no chart.
ALTER TABLE care_consultations
    DROP CONSTRAINT care_consultations_status_check,
    ADD CONSTRAINT care_consultations_status_check CHECK (status IN
        ('scheduled', 'in_progress', 'completed', 'canceled'));
DROP INDEX care_consultations_provider_slot;
DROP INDEX care_consultations_patient_slot;
CREATE UNIQUE INDEX care_consultations_provider_slot
    ON care_consultations (provider_id, starts_at) WHERE status IN ('scheduled', 'in_progress');
CREATE UNIQUE INDEX care_consultations_patient_slot
    ON care_consultations (patient_id, starts_at) WHERE status IN ('scheduled', 'in_progress');
CREATE OR REPLACE FUNCTION salus_care_treats(provider uuid, patient uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM care_review_holders
                   WHERE provider_id = provider AND patient_id = patient)
        OR EXISTS (SELECT 1 FROM care_treatment_plans
                   WHERE provider_id = provider AND patient_id = patient)
        OR EXISTS (SELECT 1 FROM care_consultations
                   WHERE provider_id = provider AND patient_id = patient
                   AND status <> 'canceled')
$$;
