-- What had given way is put to a provider again.
SELECT set_config('salus.scope', 'system', true);
UPDATE care_assessments SET review = 'waiting', superseded_by = NULL, superseded_at = NULL
    WHERE review = 'superseded';
SELECT set_config('salus.scope', '', true);
ALTER TABLE care_assessments
    DROP CONSTRAINT care_assessments_superseded,
    DROP COLUMN superseded_by,
    DROP COLUMN superseded_at,
    DROP CONSTRAINT care_assessments_check,
    ADD CONSTRAINT care_assessments_check CHECK
        ((review IN ('not_needed', 'waiting')) = (review_provider_id IS NULL)),
    DROP CONSTRAINT care_assessments_review_check,
    ADD CONSTRAINT care_assessments_review_check CHECK (review IN
        ('not_needed', 'waiting', 'claimed', 'waiting_on_patient', 'approved', 'rejected'));
