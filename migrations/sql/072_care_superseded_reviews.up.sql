-- A review gives way to that of a later response of the patient in the category.
ALTER TABLE care_assessments
    DROP CONSTRAINT care_assessments_review_check,
    ADD CONSTRAINT care_assessments_review_check CHECK (review IN ('not_needed', 'waiting',
        'claimed', 'waiting_on_patient', 'approved', 'rejected', 'superseded')),
    DROP CONSTRAINT care_assessments_check,
    ADD CONSTRAINT care_assessments_check CHECK
        ((review IN ('not_needed', 'waiting', 'superseded')) = (review_provider_id IS NULL)),
    ADD COLUMN superseded_by uuid REFERENCES care_assessments (id),
    ADD COLUMN superseded_at timestamptz,
    ADD CONSTRAINT care_assessments_superseded CHECK
        (num_nonnulls(superseded_by, superseded_at) = CASE review WHEN 'superseded' THEN 2
            ELSE 0 END);
