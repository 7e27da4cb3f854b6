-- The clinical record: the current version of each resource, every version's
-- sealed content, and the tokens by which resources are found.

CREATE TABLE record_resources (
    kind text NOT NULL,
    id uuid NOT NULL,
    patient_id uuid NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    last_updated timestamptz NOT NULL,
    deleted boolean NOT NULL,
    source_version bigint NOT NULL,
    -- Which index the tokens of the resource are of: those of an earlier one are
    -- written anew by a job, for they tell nothing of a code's system alone.
    indexed smallint NOT NULL DEFAULT 1,
    PRIMARY KEY (kind, id)
);
CREATE INDEX record_resources_patient ON record_resources (patient_id, kind, id);
CREATE INDEX record_resources_last_updated ON record_resources (kind, last_updated);
CREATE INDEX record_resources_indexed ON record_resources (indexed, kind, id);
SELECT salus_protect('record_resources', 'patient_id');

CREATE TABLE record_versions (
    kind text NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    patient_id uuid NOT NULL,
    last_updated timestamptz NOT NULL,
    deleted boolean NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (kind, id, version),
    FOREIGN KEY (kind, id) REFERENCES record_resources (kind, id)
);
SELECT salus_protect('record_versions', 'patient_id');

-- A token that tells something of the patient is the blind index in
-- hexadecimal.
CREATE TABLE record_tokens (
    kind text NOT NULL,
    id uuid NOT NULL,
    patient_id uuid NOT NULL,
    parameter text NOT NULL,
    token text NOT NULL,
    PRIMARY KEY (kind, id, parameter, token),
    FOREIGN KEY (kind, id) REFERENCES record_resources (kind, id)
);
CREATE INDEX record_tokens_token ON record_tokens (kind, parameter, token);
SELECT salus_protect('record_tokens', 'patient_id');

CREATE TABLE clinical_profiles (
    patient_id uuid PRIMARY KEY,
    version bigint NOT NULL CHECK (version > 0),
    content bytea NOT NULL,
    updated_at timestamptz NOT NULL
);
SELECT salus_protect('clinical_profiles', 'patient_id');
