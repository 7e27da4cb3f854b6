-- How a session was signed in and from where, second factors, and a change of
-- the address.

ALTER TABLE identity_sessions
    ADD COLUMN method text NOT NULL DEFAULT 'password'
        CHECK (method IN ('password', 'totp', 'recovery_code', 'passkey')),
    ADD COLUMN ip text,
    ADD COLUMN user_agent text,
    DROP CONSTRAINT identity_sessions_revoked_reason_check,
    ADD CONSTRAINT identity_sessions_revoked_reason_check CHECK (revoked_reason IN
        ('logout', 'reuse', 'password_reset', 'password_changed', 'email_changed',
         'factors_changed', 'owner', 'administrator'));

-- The new address is sealed like the old one.
ALTER TABLE identity_accounts
    ADD COLUMN new_email bytea,
    ADD COLUMN new_email_nonce bytea,
    ADD COLUMN new_email_issued_at timestamptz,
    ADD COLUMN new_email_expires_at timestamptz,
    ADD CONSTRAINT identity_accounts_new_email_check CHECK (num_nulls(
        new_email, new_email_nonce, new_email_issued_at, new_email_expires_at) IN (0, 4));

-- One authenticator app an account. It counts from its first right code on,
-- and each code, by its step of thirty seconds, once.
CREATE TABLE identity_totps (
    account_id uuid PRIMARY KEY REFERENCES identity_accounts (id),
    secret bytea NOT NULL,
    last_step bigint NOT NULL,
    created_at timestamptz NOT NULL,
    confirmed_at timestamptz
);

-- Keyed digests of codes that are good once.
CREATE TABLE identity_recovery_codes (
    account_id uuid NOT NULL REFERENCES identity_accounts (id),
    digest bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (account_id, digest)
);

CREATE TABLE identity_passkeys (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES identity_accounts (id),
    name text NOT NULL,
    credential_index bytea NOT NULL CONSTRAINT identity_passkeys_credential_unique UNIQUE,
    credential bytea NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz
);
CREATE INDEX identity_passkeys_account ON identity_passkeys (account_id);

-- What was begun with one request and waits for the next: a login for its
-- second factor, or the answer of an authenticator to its challenge.
CREATE TABLE identity_ceremonies (
    id uuid PRIMARY KEY,
    digest bytea NOT NULL CONSTRAINT identity_ceremonies_digest_unique UNIQUE,
    kind text NOT NULL CHECK (kind IN ('login', 'passkey_registration', 'passkey_login')),
    account_id uuid REFERENCES identity_accounts (id),
    state bytea,
    failures integer NOT NULL CHECK (failures >= 0),
    expires_at timestamptz NOT NULL
);
CREATE INDEX identity_ceremonies_age ON identity_ceremonies (expires_at);
