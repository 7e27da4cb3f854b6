SELECT set_config('salus.scope', 'system', true);
DROP INDEX care_tasks_open_of_patient;
DELETE FROM care_tasks WHERE kind IN ('phone_pharmacy', 'held_fill');
ALTER TABLE care_tasks
    DROP CONSTRAINT care_tasks_kind_check,
    ADD CONSTRAINT care_tasks_kind_check CHECK (kind IN ('urgent_review', 'overdue_review',
        'blocked_prescription', 'failed_prescription', 'changed_treatment', 'changed_profile',
        'unprescribed_treatment', 'changed_health'));
-- What was held at its label goes back to the pharmacist.
UPDATE dispatches SET hold_reason = 'prescription_ended' WHERE hold_reason = 'fill_held';
DROP TABLE fill_holds;
