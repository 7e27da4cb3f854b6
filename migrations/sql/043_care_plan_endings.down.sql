ALTER TABLE care_treatment_plans
    DROP COLUMN ended_at,
    DROP COLUMN ended_by,
    DROP COLUMN end_reason,
    DROP COLUMN end_note,
    DROP COLUMN superseded_by;
