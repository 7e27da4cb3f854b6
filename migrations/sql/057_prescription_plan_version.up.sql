-- The version of the treatment plan that a prescription was written from, so
-- that one of an earlier version is not filled after the treatment has changed.
SELECT set_config('salus.scope', 'system', true);
ALTER TABLE prescriptions
    ADD COLUMN plan_version integer NOT NULL DEFAULT 1 CHECK (plan_version > 0);
UPDATE prescriptions SET plan_version = greatest(1, (
    SELECT count(*) FROM care_treatment_plan_versions versions
    WHERE versions.plan_id = prescriptions.treatment_plan_id
        AND versions.created_at <= prescriptions.created_at));
ALTER TABLE prescriptions ALTER COLUMN plan_version DROP DEFAULT;
CREATE INDEX prescriptions_by_plan ON prescriptions (treatment_plan_id, plan_version);
