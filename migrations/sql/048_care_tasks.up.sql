-- Tasks are worked: done, put off, handed on. A subject can have another task of
-- a kind once the one before is done. The note is a provider's own words and
-- sealed.
SELECT set_config('salus.scope', 'system', true);
ALTER TABLE care_tasks
    ADD COLUMN version bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    ADD COLUMN snoozed_until timestamptz,
    ADD COLUMN done_at timestamptz,
    ADD COLUMN done_by uuid,
    ADD COLUMN note bytea,
    DROP CONSTRAINT care_tasks_subject;
UPDATE care_tasks SET done_at = created_at WHERE status = 'done';
ALTER TABLE care_tasks
    ALTER COLUMN version DROP DEFAULT,
    ADD CONSTRAINT care_tasks_done CHECK ((status = 'done') = (done_at IS NOT NULL)),
    ADD CONSTRAINT care_tasks_ending CHECK (done_at IS NOT NULL OR num_nonnulls(done_by, note) = 0);
CREATE UNIQUE INDEX care_tasks_subject ON care_tasks (kind, subject_id) WHERE status = 'open';
CREATE INDEX care_tasks_about ON care_tasks (subject_id) WHERE status = 'open';
CREATE INDEX care_tasks_past ON care_tasks (provider_id, done_at DESC, id DESC)
    WHERE status = 'done';
-- The dashboard and the panel of a provider.
CREATE INDEX care_tasks_unassigned ON care_tasks (state, due_at, id)
    WHERE status = 'open' AND provider_id IS NULL;
CREATE INDEX care_consultations_panel ON care_consultations (provider_id, patient_id, starts_at);
CREATE INDEX care_assessments_reviewer ON care_assessments (review_provider_id, patient_id)
    WHERE review_provider_id IS NOT NULL;
