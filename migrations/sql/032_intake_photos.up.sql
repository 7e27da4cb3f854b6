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
    response_id uuid REFERENCES intake_responses (id)
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
