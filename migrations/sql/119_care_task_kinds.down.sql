SELECT set_config('salus.scope', 'system', true);
DELETE FROM care_tasks WHERE kind IN ('uncovered_treatment', 'titration_step');
ALTER TABLE care_tasks
    DROP CONSTRAINT care_tasks_kind_check,
    ADD CONSTRAINT care_tasks_kind_check CHECK (kind IN ('urgent_review', 'overdue_review',
        'blocked_prescription', 'failed_prescription', 'changed_treatment', 'changed_profile',
        'unprescribed_treatment', 'changed_health', 'taken_over'));
