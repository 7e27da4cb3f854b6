-- The kinds of tasks are the program's own words, which it writes and reads: a
-- list here would have to name every kind that another step adds.
ALTER TABLE care_tasks
    DROP CONSTRAINT care_tasks_kind_check,
    ADD CONSTRAINT care_tasks_kind_check CHECK (kind ~ '^[a-z_]+$');
