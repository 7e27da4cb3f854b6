CREATE OR REPLACE FUNCTION intake_version_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.status <> 'draft' THEN
            RAISE EXCEPTION 'a published form version stays'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN OLD;
    END IF;
    IF (NEW.id, NEW.form_id, NEW.number, NEW.definition, NEW.created_at)
            IS DISTINCT FROM (OLD.id, OLD.form_id, OLD.number, OLD.definition, OLD.created_at)
        OR (OLD.published_at IS NOT NULL AND NEW.published_at IS DISTINCT FROM OLD.published_at)
        OR OLD.status = 'retired'
    THEN
        RAISE EXCEPTION 'a form version never changes; add another'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
ALTER TABLE intake_form_versions
    DROP COLUMN based_on,
    DROP COLUMN revision,
    DROP COLUMN changed_at;
