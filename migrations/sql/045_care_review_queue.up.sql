-- A review may wait for the patient, whose answer is sealed like the question;
-- its clock stands meanwhile. One that is overdue is escalated once.
ALTER TABLE care_assessments
    DROP CONSTRAINT care_assessments_review_check,
    ADD CONSTRAINT care_assessments_review_check CHECK (review IN
        ('not_needed', 'waiting', 'claimed', 'waiting_on_patient', 'approved', 'rejected')),
    ADD COLUMN waiting_since timestamptz,
    ADD COLUMN seconds_left bigint CHECK (seconds_left >= 0),
    ADD COLUMN escalated_at timestamptz,
    ADD CONSTRAINT care_assessments_waiting CHECK
        (num_nulls(waiting_since, seconds_left) = CASE review WHEN 'waiting_on_patient' THEN 0
            ELSE 2 END);
CREATE INDEX care_assessments_overdue ON care_assessments (due_at)
    WHERE review IN ('waiting', 'claimed') AND escalated_at IS NULL;

CREATE TABLE care_review_exchanges (
    id uuid PRIMARY KEY,
    assessment_id uuid NOT NULL REFERENCES care_assessments (id),
    patient_id uuid NOT NULL,
    asked_by uuid NOT NULL,
    asked_at timestamptz NOT NULL,
    question bytea NOT NULL,
    answered_at timestamptz,
    answer bytea,
    CHECK ((answered_at IS NULL) = (answer IS NULL))
);
CREATE INDEX care_review_exchanges_assessment ON care_review_exchanges (assessment_id, asked_at);
SELECT salus_protect('care_review_exchanges', 'patient_id');

ALTER TABLE care_tasks
    DROP CONSTRAINT care_tasks_kind_check,
    ADD CONSTRAINT care_tasks_kind_check CHECK (kind IN
        ('urgent_review', 'overdue_review', 'blocked_prescription', 'failed_prescription'));
