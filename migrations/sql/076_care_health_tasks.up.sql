-- A plan that nobody has prescribed is a task, and so is what a patient under
-- treatment tells that speaks against it.
ALTER TABLE care_tasks
    DROP CONSTRAINT care_tasks_kind_check,
    ADD CONSTRAINT care_tasks_kind_check CHECK (kind IN ('urgent_review', 'overdue_review',
        'blocked_prescription', 'failed_prescription', 'changed_treatment', 'changed_profile',
        'unprescribed_treatment', 'changed_health'));
