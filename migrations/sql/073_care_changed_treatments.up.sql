-- A changed treatment whose prescription was withdrawn is a task until a new
-- one is sent, and so is a plan whose patient has changed since.
ALTER TABLE care_tasks
    DROP CONSTRAINT care_tasks_kind_check,
    ADD CONSTRAINT care_tasks_kind_check CHECK (kind IN ('urgent_review', 'overdue_review',
        'blocked_prescription', 'failed_prescription', 'changed_treatment', 'changed_profile'));
