SELECT set_config('salus.scope', 'system', true);
ALTER TABLE care_dose_limits DROP COLUMN max_weekly, DROP COLUMN to_confirm, DROP COLUMN followed_by;
DELETE FROM care_tasks WHERE kind IN ('uncovered_treatment', 'titration_step');
ALTER TABLE care_tasks
    DROP CONSTRAINT care_tasks_kind_check,
    ADD CONSTRAINT care_tasks_kind_check CHECK (kind IN ('urgent_review', 'overdue_review',
        'blocked_prescription', 'failed_prescription', 'changed_treatment', 'changed_profile',
        'unprescribed_treatment', 'changed_health'));
DROP TABLE sold_treatments;
ALTER TABLE subscriptions DROP COLUMN covers;
ALTER TABLE catalog_plans DROP COLUMN treatments;
