-- What is sold and what is dispensed are held against each other: a plan names
-- the treatments that it pays for, a subscription keeps those that it was bought
-- with, and so does the pharmacy for its paid fills. What tells of a patient's
-- treatment is sealed; where it is missing nothing was kept.
ALTER TABLE catalog_plans
    ADD COLUMN treatments jsonb NOT NULL DEFAULT '[]'
        CHECK (jsonb_typeof(treatments) = 'array');
ALTER TABLE catalog_plans ALTER COLUMN treatments DROP DEFAULT;

ALTER TABLE subscriptions ADD COLUMN covers bytea;

CREATE TABLE sold_treatments (
    subscription_id uuid PRIMARY KEY,
    patient_id uuid NOT NULL,
    treatments bytea NOT NULL
);
SELECT salus_protect('sold_treatments', 'patient_id');

-- The kinds of tasks are the program's own words, which it writes and reads.
ALTER TABLE care_tasks
    DROP CONSTRAINT care_tasks_kind_check,
    ADD CONSTRAINT care_tasks_kind_check CHECK (kind ~ '^[a-z_]+$');

-- The formulary says how much a week has at most, for what is taken once a week,
-- what a pharmacist has yet to confirm of an entry, and which drug is the next
-- step of a titration.
ALTER TABLE care_dose_limits
    ADD COLUMN max_weekly double precision CHECK (max_weekly > 0),
    ADD COLUMN to_confirm text,
    ADD COLUMN followed_by text;
