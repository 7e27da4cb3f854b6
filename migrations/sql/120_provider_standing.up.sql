-- What follows when a provider leaves or a licence ends.

-- The licences whose last day is over and of which everybody has been told.
CREATE TABLE identity_license_ends (
    provider_id uuid NOT NULL REFERENCES identity_providers (provider_id),
    state text NOT NULL,
    expires_on date NOT NULL,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (provider_id, state, expires_on)
);

-- The providers whose licences, role or account have changed, who are looked at
-- again and again.
CREATE TABLE care_standing (
    provider_id uuid PRIMARY KEY,
    changed_at timestamptz NOT NULL
);

-- Charts that were a provider's and are closed to them: for want of a licence
-- where the patient is, or of an account, or because a colleague has taken the
-- patient over. It opens for a while in an emergency.
CREATE TABLE care_closed_charts (
    provider_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    unlicensed boolean NOT NULL,
    handed_over_at timestamptz,
    open_until timestamptz,
    PRIMARY KEY (provider_id, patient_id)
);
CREATE INDEX care_closed_charts_patient ON care_closed_charts (patient_id);
-- The wall itself asks this table, so its own wall asks nothing of it.
ALTER TABLE care_closed_charts ENABLE ROW LEVEL SECURITY;
ALTER TABLE care_closed_charts FORCE ROW LEVEL SECURITY;
CREATE POLICY staff_scope ON care_closed_charts
    USING (current_setting('salus.scope', true) IN ('staff', 'system'))
    WITH CHECK (current_setting('salus.scope', true) IN ('staff', 'system'));

-- Whether a chart is closed to the provider in whose name the transaction runs.
CREATE FUNCTION salus_is_closed(owner uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE coalesce(current_setting('salus.provider', true), '')
        WHEN '' THEN false
        ELSE EXISTS (
            SELECT 1 FROM care_closed_charts c
            WHERE c.provider_id = nullif(current_setting('salus.provider', true), '')::uuid
            AND c.patient_id = owner AND c.unlicensed
            AND (c.open_until IS NULL
                OR c.open_until <= nullif(current_setting('salus.now', true), '')::timestamptz))
    END
$$;

CREATE OR REPLACE FUNCTION salus_reaches(owner uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE current_setting('salus.scope', true)
        WHEN 'system' THEN true
        WHEN 'staff' THEN NOT salus_is_closed(owner)
        WHEN 'patient' THEN owner = nullif(current_setting('salus.patient', true), '')::uuid
        ELSE false
    END
$$;

CREATE OR REPLACE FUNCTION salus_care_treats(provider uuid, patient uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (SELECT 1 FROM care_closed_charts
                       WHERE provider_id = provider AND patient_id = patient
                       AND (unlicensed OR handed_over_at IS NOT NULL))
        AND (EXISTS (SELECT 1 FROM care_review_holders
                     WHERE provider_id = provider AND patient_id = patient)
            OR EXISTS (SELECT 1 FROM care_treatment_plans
                       WHERE provider_id = provider AND patient_id = patient)
            OR EXISTS (SELECT 1 FROM care_consultations
                       WHERE provider_id = provider AND patient_id = patient
                       AND status <> 'canceled'))
$$;
