-- A review that waits for its patient goes back to the queue. The wall around
-- the rows holds for migrations too.
SELECT set_config('salus.scope', 'system', true);
DROP TABLE care_review_exchanges;
DROP INDEX care_assessments_overdue;
ALTER TABLE care_assessments
    DROP CONSTRAINT care_assessments_waiting,
    DROP CONSTRAINT care_assessments_review_check,
    DROP COLUMN waiting_since,
    DROP COLUMN seconds_left,
    DROP COLUMN escalated_at;
UPDATE care_assessments SET review = 'waiting', review_provider_id = NULL
WHERE review = 'waiting_on_patient';
ALTER TABLE care_assessments ADD CONSTRAINT care_assessments_review_check CHECK
    (review IN ('not_needed', 'waiting', 'claimed', 'approved', 'rejected'));
DELETE FROM care_tasks WHERE kind = 'overdue_review';
ALTER TABLE care_tasks
    DROP CONSTRAINT care_tasks_kind_check,
    ADD CONSTRAINT care_tasks_kind_check CHECK (kind IN
        ('urgent_review', 'blocked_prescription', 'failed_prescription'));
