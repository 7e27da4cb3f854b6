-- Several steps name kinds of tasks, in whichever order they land; the list
-- that counts is the type in the code.
ALTER TABLE care_tasks
    DROP CONSTRAINT care_tasks_kind_check,
    ADD CONSTRAINT care_tasks_kind_check CHECK (kind ~ '^[a-z_]+$');
