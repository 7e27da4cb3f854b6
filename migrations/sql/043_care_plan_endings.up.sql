-- How a treatment plan ended. Plans that ended before this was kept have no
-- ending; the note is a provider's own words and sealed.
ALTER TABLE care_treatment_plans
    ADD COLUMN ended_at timestamptz,
    ADD COLUMN ended_by uuid,
    ADD COLUMN end_reason text CHECK (end_reason IN ('goal_reached', 'supply_used', 'superseded',
        'adverse_reaction', 'ineffective', 'contraindicated', 'patient_request',
        'entered_in_error', 'other')),
    ADD COLUMN end_note bytea,
    ADD COLUMN superseded_by uuid,
    ADD CONSTRAINT care_treatment_plans_ending CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    ADD CONSTRAINT care_treatment_plans_ended CHECK (ended_at IS NULL OR status <> 'active'),
    ADD CONSTRAINT care_treatment_plans_superseded
        CHECK ((superseded_by IS NOT NULL) = (end_reason IS NOT DISTINCT FROM 'superseded'));
