-- Forms, and what patients answer to them. Categories belong to another
-- context, so their ids are not foreign keys here.

CREATE TABLE intake_forms (
    id uuid PRIMARY KEY,
    category_id uuid NOT NULL CONSTRAINT form_category_key UNIQUE,
    slug text NOT NULL CONSTRAINT form_slug_key UNIQUE
);

-- A draft of a form can be edited until it is published.
CREATE TABLE intake_form_versions (
    id uuid PRIMARY KEY,
    form_id uuid NOT NULL REFERENCES intake_forms (id),
    number integer NOT NULL CHECK (number > 0),
    based_on uuid REFERENCES intake_form_versions (id),
    status text NOT NULL CHECK (status IN ('draft', 'published', 'retired')),
    definition jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    published_at timestamptz,
    retired_at timestamptz,
    version bigint NOT NULL CHECK (version > 0),
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
CREATE INDEX intake_responses_category ON intake_responses (category_id, submitted_at);
SELECT salus_protect('intake_responses', 'patient_id');

-- Photos that patients took for a form. Their bytes are objects; a row is
-- written after its object, so that there is no photo without one.
CREATE TABLE intake_photos (
    id uuid PRIMARY KEY,
    -- Also the account that uploaded it: nobody uploads for somebody else.
    patient_id uuid NOT NULL,
    category_id uuid NOT NULL,
    media_type text NOT NULL CHECK (media_type IN ('image/jpeg', 'image/png', 'image/webp')),
    size integer NOT NULL CHECK (size > 0),
    width integer NOT NULL CHECK (width > 0),
    height integer NOT NULL CHECK (height > 0),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    created_at timestamptz NOT NULL,
    response_id uuid REFERENCES intake_responses (id),
    version bigint NOT NULL CHECK (version > 0)
);
CREATE INDEX intake_photos_waiting ON intake_photos (patient_id) WHERE response_id IS NULL;
CREATE INDEX intake_photos_stale ON intake_photos (created_at) WHERE response_id IS NULL;
CREATE INDEX intake_photos_response ON intake_photos (response_id)
    WHERE response_id IS NOT NULL;
SELECT salus_protect('intake_photos', 'patient_id');

-- A response never changes, and its photos are part of it. Before that a photo
-- can only be deleted or become part of one.
CREATE FUNCTION intake_photo_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.response_id IS NOT NULL THEN
        RAISE EXCEPTION 'a photo of a response stays'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    IF (NEW.id, NEW.patient_id, NEW.category_id, NEW.media_type, NEW.size, NEW.width, NEW.height,
            NEW.digest, NEW.created_at)
        IS DISTINCT FROM (OLD.id, OLD.patient_id, OLD.category_id, OLD.media_type, OLD.size,
            OLD.width, OLD.height, OLD.digest, OLD.created_at)
    THEN
        RAISE EXCEPTION 'a photo never changes; upload another'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER intake_photos_stay
    BEFORE UPDATE OR DELETE ON intake_photos
    FOR EACH ROW EXECUTE FUNCTION intake_photo_stays();
