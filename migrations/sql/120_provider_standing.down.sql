SELECT set_config('salus.scope', 'system', true);
DELETE FROM care_tasks WHERE kind = 'taken_over';
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
CREATE OR REPLACE FUNCTION salus_reaches(owner uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE current_setting('salus.scope', true)
        WHEN 'system' THEN true
        WHEN 'staff' THEN true
        WHEN 'patient' THEN owner = nullif(current_setting('salus.patient', true), '')::uuid
        ELSE false
    END
$$;
DROP FUNCTION salus_is_closed(uuid);
DROP TABLE care_closed_charts;
DROP TABLE care_standing;
DROP TABLE identity_license_ends;
