SELECT set_config('salus.scope', 'system', true);
DROP INDEX care_assessments_reviewer;
DROP INDEX care_consultations_panel;
DROP INDEX care_tasks_unassigned;
DROP INDEX care_tasks_past;
DROP INDEX care_tasks_about;
DROP INDEX care_tasks_subject;
-- Of several tasks of a kind about one subject the last one stays.
DELETE FROM care_tasks AS task WHERE EXISTS (
    SELECT 1 FROM care_tasks AS later
    WHERE later.kind = task.kind AND later.subject_id = task.subject_id
        AND (later.created_at, later.id) > (task.created_at, task.id));
ALTER TABLE care_tasks
    DROP CONSTRAINT care_tasks_ending,
    DROP CONSTRAINT care_tasks_done,
    DROP COLUMN note,
    DROP COLUMN done_by,
    DROP COLUMN done_at,
    DROP COLUMN snoozed_until,
    DROP COLUMN version,
    ADD CONSTRAINT care_tasks_subject UNIQUE (kind, subject_id);
