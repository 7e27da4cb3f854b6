CREATE TABLE pharmacies (
    id          uuid PRIMARY KEY,
    ncpdp_id    text NOT NULL UNIQUE CHECK (ncpdp_id ~ '^[0-9]{7}$'),
    npi         text NOT NULL CHECK (npi ~ '^[0-9]{10}$'),
    name        text NOT NULL,
    line1       text NOT NULL,
    line2       text,
    city        text NOT NULL,
    state       char(2) NOT NULL,
    postal_code text NOT NULL,
    phone       text NOT NULL,
    mail_order  boolean NOT NULL,
    active      boolean NOT NULL,
    updated_at  timestamptz NOT NULL
);

CREATE INDEX pharmacies_by_name ON pharmacies (name, id) WHERE active;

CREATE TABLE prescriptions (
    id                uuid PRIMARY KEY,
    treatment_plan_id uuid NOT NULL,
    patient_id        uuid NOT NULL,
    provider_id       uuid NOT NULL,
    category_id       uuid NOT NULL,
    pharmacy_id       uuid NOT NULL REFERENCES pharmacies (id),
    -- Medication, directions, diagnosis and alerts, sealed.
    clinical          bytea NOT NULL,
    quantity_milli    bigint NOT NULL CHECK (quantity_milli > 0),
    unit              text NOT NULL,
    days_supply       smallint NOT NULL CHECK (days_supply > 0),
    refills           smallint NOT NULL CHECK (refills >= 0),
    fills_used        smallint NOT NULL CHECK (fills_used BETWEEN 0 AND refills + 1),
    last_filled_on    date,
    written_on        date NOT NULL,
    state             text NOT NULL CHECK (state IN (
        'draft', 'blocked', 'queued', 'sent', 'active', 'completed', 'failed', 'canceled')),
    -- When the state was reached, where the state knows.
    state_at          timestamptz,
    message_id        uuid,
    attempts          integer NOT NULL DEFAULT 0,
    -- The alerts that block, or the code and reason of an end, sealed.
    state_detail      bytea,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    version           bigint NOT NULL,
    CHECK ((state IN ('queued', 'sent', 'active')) <= (message_id IS NOT NULL))
);

-- One open prescription for a treatment plan, whoever asks for it and however
-- many ask at once.
CREATE UNIQUE INDEX prescriptions_one_open_per_plan ON prescriptions (treatment_plan_id)
    WHERE state IN ('draft', 'blocked', 'queued', 'sent', 'active');
CREATE INDEX prescriptions_by_patient ON prescriptions (patient_id, id DESC);
CREATE INDEX prescriptions_by_provider ON prescriptions (provider_id, id DESC);

CREATE TABLE prescription_fills (
    dispatch_id     uuid PRIMARY KEY,
    prescription_id uuid NOT NULL REFERENCES prescriptions (id),
    patient_id      uuid NOT NULL,
    number          smallint NOT NULL CHECK (number > 0),
    filled_on       date NOT NULL,
    recorded_at     timestamptz NOT NULL,
    UNIQUE (prescription_id, number)
);

CREATE TABLE erx_messages (
    id              uuid PRIMARY KEY,
    prescription_id uuid NOT NULL REFERENCES prescriptions (id),
    patient_id      uuid NOT NULL,
    body            bytea NOT NULL,
    created_at      timestamptz NOT NULL
);

CREATE INDEX erx_messages_by_prescription ON erx_messages (prescription_id);

CREATE TABLE erx_received (
    id              uuid PRIMARY KEY,
    -- The sender's own id of the message; a repetition carries it again.
    message_id      text NOT NULL,
    relates_to      uuid NOT NULL,
    prescription_id uuid NOT NULL REFERENCES prescriptions (id),
    patient_id      uuid NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('status', 'error', 'verify')),
    body            bytea NOT NULL,
    received_at     timestamptz NOT NULL,
    CONSTRAINT erx_received_once UNIQUE (relates_to, message_id)
);

SELECT salus_protect('prescriptions', 'patient_id');
SELECT salus_protect('prescription_fills', 'patient_id');
SELECT salus_protect('erx_messages', 'patient_id');
SELECT salus_protect('erx_received', 'patient_id');
