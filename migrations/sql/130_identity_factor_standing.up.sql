-- How far a second factor is proved to be the owner's, and what a link of the
-- mail that confirms it is made of. Factors that are there already are taken
-- for proved: there is no record of how they came.
ALTER TABLE identity_totps
    ADD COLUMN proved_at timestamptz,
    ADD COLUMN suspended_at timestamptz,
    ADD COLUMN confirmation_nonce bytea,
    ADD COLUMN confirmation_issued_at timestamptz,
    ADD COLUMN confirmation_expires_at timestamptz,
    ADD CONSTRAINT identity_totps_confirmation_check CHECK (num_nulls(
        confirmation_nonce, confirmation_issued_at, confirmation_expires_at) IN (0, 3)),
    ADD CONSTRAINT identity_totps_standing_check
        CHECK (proved_at IS NULL OR suspended_at IS NULL);
UPDATE identity_totps SET proved_at = confirmed_at;

ALTER TABLE identity_passkeys
    ADD COLUMN proved_at timestamptz,
    ADD COLUMN suspended_at timestamptz,
    ADD COLUMN confirmation_nonce bytea,
    ADD COLUMN confirmation_issued_at timestamptz,
    ADD COLUMN confirmation_expires_at timestamptz,
    ADD CONSTRAINT identity_passkeys_confirmation_check CHECK (num_nulls(
        confirmation_nonce, confirmation_issued_at, confirmation_expires_at) IN (0, 3)),
    ADD CONSTRAINT identity_passkeys_standing_check
        CHECK (proved_at IS NULL OR suspended_at IS NULL);
UPDATE identity_passkeys SET proved_at = created_at;

-- Recovery codes that were made while no factor was proved go with a reset.
ALTER TABLE identity_recovery_codes ADD COLUMN proved boolean NOT NULL DEFAULT true;
ALTER TABLE identity_recovery_codes ALTER COLUMN proved DROP DEFAULT;

-- Whether a session has shown a proved factor.
ALTER TABLE identity_sessions ADD COLUMN proved boolean NOT NULL DEFAULT false;
UPDATE identity_sessions SET proved = (method <> 'password');
ALTER TABLE identity_sessions ALTER COLUMN proved DROP DEFAULT;

-- The address before the last change, which is told of the change.
ALTER TABLE identity_accounts
    ADD COLUMN previous_email bytea;
