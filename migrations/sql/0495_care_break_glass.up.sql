-- Charts opened in an emergency by a provider who does not treat the patient.

CREATE TABLE care_break_glass (
    id uuid PRIMARY KEY,
    provider_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    reason bytea NOT NULL,
    opened_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > opened_at),
    reviewed_at timestamptz,
    reviewed_by uuid,
    justified boolean,
    review_note bytea,
    CHECK (num_nulls(reviewed_at, reviewed_by, justified, review_note) IN (0, 4))
);
CREATE INDEX care_break_glass_open ON care_break_glass (provider_id, patient_id, expires_at);
CREATE INDEX care_break_glass_pending ON care_break_glass (id) WHERE reviewed_at IS NULL;
SELECT salus_protect('care_break_glass', 'patient_id');
