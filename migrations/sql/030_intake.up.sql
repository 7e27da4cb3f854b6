-- Forms, and what patients answer to them. Categories belong to another
-- context, so their ids are not foreign keys here.

CREATE TABLE intake_forms (
    id uuid PRIMARY KEY,
    category_id uuid NOT NULL CONSTRAINT form_category_key UNIQUE,
    slug text NOT NULL CONSTRAINT form_slug_key UNIQUE
);

CREATE TABLE intake_form_versions (
    id uuid PRIMARY KEY,
    form_id uuid NOT NULL REFERENCES intake_forms (id),
    number integer NOT NULL CHECK (number > 0),
    status text NOT NULL CHECK (status IN ('draft', 'published', 'retired')),
    definition jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    published_at timestamptz,
    retired_at timestamptz,
    CONSTRAINT form_version_number_key UNIQUE (form_id, number),
    CHECK ((status = 'draft') = (published_at IS NULL)),
    CHECK ((status = 'retired') = (retired_at IS NOT NULL))
);
CREATE UNIQUE INDEX form_published_key ON intake_form_versions (form_id)
    WHERE status = 'published';

-- Responses are read by the version that was answered, so a version stays what
-- it was, and one that was published stays.
CREATE FUNCTION intake_version_stays() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER intake_form_versions_stay
    BEFORE UPDATE OR DELETE ON intake_form_versions
    FOR EACH ROW EXECUTE FUNCTION intake_version_stays();

CREATE TABLE intake_drafts (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL,
    category_id uuid NOT NULL,
    form_version_id uuid NOT NULL REFERENCES intake_form_versions (id),
    answers bytea NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    updated_at timestamptz NOT NULL,
    CONSTRAINT draft_open_key UNIQUE (patient_id, category_id)
);
SELECT salus_protect('intake_drafts', 'patient_id');

CREATE TABLE intake_responses (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL,
    category_id uuid NOT NULL,
    form_version_id uuid NOT NULL REFERENCES intake_form_versions (id),
    content bytea NOT NULL,
    submitted_at timestamptz NOT NULL
);
CREATE INDEX intake_responses_patient ON intake_responses (patient_id, submitted_at DESC, id DESC);
SELECT salus_protect('intake_responses', 'patient_id');
