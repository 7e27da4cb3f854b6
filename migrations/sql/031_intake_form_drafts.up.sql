-- A draft of a form can be edited until it is published.
ALTER TABLE intake_form_versions
    ADD COLUMN based_on uuid REFERENCES intake_form_versions (id),
    ADD COLUMN revision bigint NOT NULL DEFAULT 1 CHECK (revision > 0),
    ADD COLUMN changed_at timestamptz;
-- The rows stay as they are but for what is new, so their guard waits.
ALTER TABLE intake_form_versions DISABLE TRIGGER intake_form_versions_stay;
UPDATE intake_form_versions AS this SET changed_at = created_at, based_on =
    CASE WHEN status = 'draft' THEN
        (SELECT id FROM intake_form_versions AS other
         WHERE other.form_id = this.form_id AND other.status = 'published'
             AND other.number < this.number)
    END;
ALTER TABLE intake_form_versions ENABLE TRIGGER intake_form_versions_stay;
ALTER TABLE intake_form_versions
    ALTER COLUMN revision DROP DEFAULT,
    ALTER COLUMN changed_at SET NOT NULL;

CREATE OR REPLACE FUNCTION intake_version_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.status <> 'draft' THEN
            RAISE EXCEPTION 'a published form version stays'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN OLD;
    END IF;
    IF (NEW.id, NEW.form_id, NEW.number, NEW.created_at)
            IS DISTINCT FROM (OLD.id, OLD.form_id, OLD.number, OLD.created_at)
        -- A definition changes while its version is a draft and stays one.
        OR (NEW.definition IS DISTINCT FROM OLD.definition
            AND (OLD.status <> 'draft' OR NEW.status <> 'draft'))
        OR (OLD.status <> 'draft' AND NEW.status = 'draft')
        OR (OLD.published_at IS NOT NULL AND NEW.published_at IS DISTINCT FROM OLD.published_at)
        OR OLD.status = 'retired'
    THEN
        RAISE EXCEPTION 'a form version never changes; add another'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
