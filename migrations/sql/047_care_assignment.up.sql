-- How the clinic gives reviews out. Nothing is given out by itself until an
-- administrator says so.
CREATE TABLE care_assignment_policy (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    policy jsonb NOT NULL,
    version bigint NOT NULL CHECK (version > 0)
);
INSERT INTO care_assignment_policy (policy, version) VALUES
    ('{"automatic": false, "within_hours": true, "hold_minutes": 120, "most_held": 20, "specialities": {}}', 1);

-- Who was given which review, and who gave it back. A turn that is forgotten
-- still counts when turns are taken, but the review may come to them again.
CREATE TABLE care_review_turns (
    assessment_id uuid NOT NULL REFERENCES care_assessments (id),
    provider_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    assigned_at timestamptz,
    let_go_at timestamptz,
    forgotten boolean NOT NULL DEFAULT false,
    PRIMARY KEY (assessment_id, provider_id),
    CHECK (num_nonnulls(assigned_at, let_go_at) > 0)
);
CREATE INDEX care_review_turns_provider ON care_review_turns (provider_id, assigned_at);
SELECT salus_protect('care_review_turns', 'patient_id');

CREATE INDEX care_assessments_held ON care_assessments (review_provider_id, claimed_until)
    WHERE review = 'claimed';
CREATE INDEX care_assessments_unheld ON care_assessments (priority, due_at, id)
    WHERE review IN ('waiting', 'claimed');
