-- Accounts, sessions, second factors, profiles, providers with their licenses,
-- API clients, and roles with their permissions.

-- The address is sealed; accounts are found by its blind index.
CREATE TABLE identity_accounts (
    id uuid PRIMARY KEY,
    email bytea NOT NULL,
    email_index bytea NOT NULL CONSTRAINT identity_accounts_email_unique UNIQUE,
    -- The address before the last change, which is told of the change.
    previous_email bytea,
    given_name text,
    family_name text,
    password_hash text,
    status text NOT NULL CHECK (status IN ('unverified', 'active', 'disabled')),
    status_at timestamptz NOT NULL,
    verification_nonce bytea,
    verification_issued_at timestamptz,
    verification_expires_at timestamptz,
    reset_nonce bytea,
    reset_issued_at timestamptz,
    reset_expires_at timestamptz,
    -- The new address is sealed like the old one.
    new_email bytea,
    new_email_nonce bytea,
    new_email_issued_at timestamptz,
    new_email_expires_at timestamptz,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    CHECK ((given_name IS NULL) = (family_name IS NULL)),
    CHECK (num_nulls(verification_nonce, verification_issued_at, verification_expires_at) IN (0, 3)),
    CHECK (num_nulls(reset_nonce, reset_issued_at, reset_expires_at) IN (0, 3)),
    CONSTRAINT identity_accounts_new_email_check CHECK (num_nulls(
        new_email, new_email_nonce, new_email_issued_at, new_email_expires_at) IN (0, 4))
);

CREATE TABLE identity_account_roles (
    account_id uuid NOT NULL REFERENCES identity_accounts (id),
    role text NOT NULL CHECK (role IN
        ('patient', 'provider', 'pharmacist', 'support', 'auditor', 'admin', 'super_admin')),
    PRIMARY KEY (account_id, role)
);

-- Failed sign-ins are counted for an address and a network together, and once
-- more for all networks that an address was never signed in from. Both are keyed
-- digests.
CREATE TABLE identity_sign_in_throttles (
    key bytea PRIMARY KEY,
    failures integer NOT NULL CHECK (failures >= 0),
    last_failure_at timestamptz
);
CREATE INDEX identity_sign_in_throttles_age ON identity_sign_in_throttles (last_failure_at);

-- The networks that an address has signed in from.
CREATE TABLE identity_known_networks (
    email_index bytea NOT NULL,
    network_index bytea NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (email_index, network_index)
);
CREATE INDEX identity_known_networks_age ON identity_known_networks (seen_at);

-- With how it was signed in and from where.
CREATE TABLE identity_sessions (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES identity_accounts (id),
    method text NOT NULL DEFAULT 'password'
        CHECK (method IN ('password', 'totp', 'recovery_code', 'passkey')),
    -- Whether the session has shown a proved factor.
    proved boolean NOT NULL,
    ip text,
    user_agent text,
    status text NOT NULL CHECK (status IN ('live', 'revoked')),
    revoked_at timestamptz,
    revoked_reason text CHECK (revoked_reason IN
        ('logout', 'reuse', 'password_reset', 'password_changed', 'email_changed',
         'factors_changed', 'owner', 'administrator')),
    current_digest bytea NOT NULL,
    generation integer NOT NULL,
    created_at timestamptz NOT NULL,
    refreshed_at timestamptz NOT NULL,
    idle_until timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    CHECK ((status = 'revoked') = (revoked_at IS NOT NULL)),
    CHECK ((status = 'revoked') = (revoked_reason IS NOT NULL))
);
CREATE INDEX identity_sessions_live ON identity_sessions (account_id) WHERE status = 'live';

-- Every refresh token that a family ever had, as its SHA-256.
CREATE TABLE identity_refresh_tokens (
    digest bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES identity_sessions (id),
    generation integer NOT NULL,
    issued_at timestamptz NOT NULL,
    UNIQUE (session_id, generation)
);

-- One authenticator app an account. It counts from its first right code on,
-- and each code, by its step of thirty seconds, once.
CREATE TABLE identity_totps (
    account_id uuid PRIMARY KEY REFERENCES identity_accounts (id),
    secret bytea NOT NULL,
    last_step bigint NOT NULL,
    created_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    -- How far the factor is proved to be the owner's, and what a link of the
    -- mail that confirms it is made of.
    proved_at timestamptz,
    suspended_at timestamptz,
    confirmation_nonce bytea,
    confirmation_issued_at timestamptz,
    confirmation_expires_at timestamptz,
    CONSTRAINT identity_totps_confirmation_check CHECK (num_nulls(
        confirmation_nonce, confirmation_issued_at, confirmation_expires_at) IN (0, 3)),
    CONSTRAINT identity_totps_standing_check CHECK (proved_at IS NULL OR suspended_at IS NULL)
);

-- Keyed digests of codes that are good once. Those that were made while no
-- factor was proved go with a reset.
CREATE TABLE identity_recovery_codes (
    account_id uuid NOT NULL REFERENCES identity_accounts (id),
    digest bytea NOT NULL,
    proved boolean NOT NULL,
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
    last_used_at timestamptz,
    -- As of an authenticator app.
    proved_at timestamptz,
    suspended_at timestamptz,
    confirmation_nonce bytea,
    confirmation_issued_at timestamptz,
    confirmation_expires_at timestamptz,
    CONSTRAINT identity_passkeys_confirmation_check CHECK (num_nulls(
        confirmation_nonce, confirmation_issued_at, confirmation_expires_at) IN (0, 3)),
    CONSTRAINT identity_passkeys_standing_check CHECK (proved_at IS NULL OR suspended_at IS NULL)
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

-- The state and the zone stay in the clear, because rules and schedules go by
-- them; whatever names a person is sealed.
CREATE TABLE identity_profiles (
    patient_id uuid PRIMARY KEY REFERENCES identity_accounts (id),
    name bytea NOT NULL,
    birth_date bytea NOT NULL,
    sex text NOT NULL CHECK (sex IN ('male', 'female', 'other', 'unknown')),
    address bytea NOT NULL,
    state text NOT NULL CHECK (state ~ '^[A-Z]{2}$'),
    phone bytea NOT NULL,
    time_zone text NOT NULL,
    ssn bytea,
    ssn_index bytea,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    CHECK ((ssn IS NULL) = (ssn_index IS NULL))
);
CREATE INDEX identity_profiles_ssn ON identity_profiles (ssn_index) WHERE ssn_index IS NOT NULL;
SELECT salus_protect('identity_profiles', 'patient_id');

CREATE TABLE identity_providers (
    provider_id uuid PRIMARY KEY REFERENCES identity_accounts (id),
    given_name text NOT NULL,
    family_name text NOT NULL,
    npi text NOT NULL CONSTRAINT identity_providers_npi_unique UNIQUE,
    dea text,
    -- Codes of the NUCC provider taxonomy.
    specialities text[] NOT NULL,
    time_zone text,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL CHECK (version > 0)
);

-- When a provider works, by the clock on the wall of their time zone. Shifts of
-- a day do not overlap.
CREATE TABLE identity_working_hours (
    provider_id uuid NOT NULL REFERENCES identity_providers (provider_id),
    weekday smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),
    from_minute smallint NOT NULL CHECK (from_minute >= 0),
    until_minute smallint NOT NULL CHECK (until_minute <= 1440),
    PRIMARY KEY (provider_id, weekday, from_minute),
    CHECK (from_minute < until_minute)
);

CREATE TABLE identity_licenses (
    provider_id uuid NOT NULL REFERENCES identity_providers (provider_id),
    state text NOT NULL CHECK (state ~ '^[A-Z]{2}$'),
    number text NOT NULL,
    expires_on date NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'suspended', 'revoked')),
    PRIMARY KEY (provider_id, state)
);
CREATE INDEX identity_licenses_state ON identity_licenses (state, expires_on) WHERE status = 'active';
CREATE INDEX identity_licenses_expiry ON identity_licenses (expires_on) WHERE status = 'active';

-- Of which expiry a provider was told how many days before it.
CREATE TABLE identity_license_alerts (
    provider_id uuid NOT NULL REFERENCES identity_providers (provider_id),
    state text NOT NULL,
    expires_on date NOT NULL,
    days integer NOT NULL CHECK (days > 0),
    alerted_at timestamptz NOT NULL,
    PRIMARY KEY (provider_id, state, expires_on, days)
);

-- The licenses whose last day is over and of which everybody has been told.
CREATE TABLE identity_license_ends (
    provider_id uuid NOT NULL REFERENCES identity_providers (provider_id),
    state text NOT NULL,
    expires_on date NOT NULL,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (provider_id, state, expires_on)
);

-- API clients are disabled and change their keys. A token names the generation
-- of its client, so that a disabled client's and a withdrawn key's tokens end.
CREATE TABLE identity_clients (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    jwks jsonb NOT NULL,
    scopes text[] NOT NULL,
    generation integer NOT NULL DEFAULT 0 CHECK (generation >= 0),
    active boolean NOT NULL,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    CONSTRAINT identity_clients_disabled_check CHECK (active = (disabled_at IS NULL))
);

-- Assertions that were used, until they have expired.
CREATE TABLE identity_client_assertions (
    client_id uuid NOT NULL REFERENCES identity_clients (id),
    jti text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (client_id, jti)
);
CREATE INDEX identity_client_assertions_age ON identity_client_assertions (expires_at);

-- Roles inherit from roles, and hold on to what is their own. Every change is
-- told to all nodes, which drop what they remember.
CREATE TABLE identity_roles (
    role text PRIMARY KEY CHECK (role IN
        ('patient', 'provider', 'pharmacist', 'support', 'auditor', 'admin', 'super_admin')),
    version bigint NOT NULL CHECK (version > 0),
    updated_at timestamptz
);

CREATE TABLE identity_role_inherits (
    role text NOT NULL REFERENCES identity_roles (role),
    inherits text NOT NULL REFERENCES identity_roles (role),
    PRIMARY KEY (role, inherits),
    CHECK (role <> inherits)
);

CREATE TABLE identity_role_permissions (
    role text NOT NULL CHECK (role IN
        ('patient', 'provider', 'pharmacist', 'support', 'auditor', 'admin', 'super_admin')),
    permission text NOT NULL,
    PRIMARY KEY (role, permission)
);

CREATE FUNCTION salus_tell_permissions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('salus_permissions', '');
    RETURN NULL;
END $$;
CREATE TRIGGER identity_roles_tell AFTER INSERT OR UPDATE OR DELETE ON identity_roles
    FOR EACH STATEMENT EXECUTE FUNCTION salus_tell_permissions();
CREATE TRIGGER identity_role_inherits_tell AFTER INSERT OR UPDATE OR DELETE
    ON identity_role_inherits FOR EACH STATEMENT EXECUTE FUNCTION salus_tell_permissions();
CREATE TRIGGER identity_role_permissions_tell AFTER INSERT OR UPDATE OR DELETE
    ON identity_role_permissions FOR EACH STATEMENT EXECUTE FUNCTION salus_tell_permissions();

-- The matrix of crates/identity/src/permissions.rs, to which a test holds it.
-- What comes by inheritance is not written out.
INSERT INTO identity_roles (role, version) VALUES
    ('patient', 1), ('provider', 1), ('pharmacist', 1), ('support', 1), ('auditor', 1),
    ('admin', 1), ('super_admin', 1);
INSERT INTO identity_role_inherits (role, inherits) VALUES
    ('admin', 'support'), ('super_admin', 'admin'), ('super_admin', 'auditor');
INSERT INTO identity_role_permissions (role, permission) VALUES
    ('patient', 'profile.own'),
    ('patient', 'intake.submit'),
    ('patient', 'consultation.own'),
    ('patient', 'shipment.own'),
    ('patient', 'subscription.own'),
    ('patient', 'billing.own'),
    ('patient', 'message.own'),
    ('patient', 'notification.own'),
    ('provider', 'profile.own'),
    ('provider', 'patient.read'),
    ('provider', 'patient.break_glass'),
    ('provider', 'intake.read_any'),
    ('provider', 'review.work'),
    ('provider', 'treatment.write'),
    ('provider', 'task.work'),
    ('provider', 'consultation.conduct'),
    ('provider', 'prescription.write'),
    ('provider', 'prescription.read'),
    ('provider', 'message.own'),
    ('provider', 'notification.own'),
    ('pharmacist', 'profile.own'),
    ('pharmacist', 'prescription.read'),
    ('pharmacist', 'pharmacy.work'),
    ('pharmacist', 'notification.own'),
    ('support', 'profile.own'),
    ('support', 'subscription.read_any'),
    ('support', 'billing.read_any'),
    ('support', 'notification.own'),
    ('auditor', 'profile.own'),
    ('auditor', 'audit.read'),
    ('auditor', 'audit.export'),
    ('auditor', 'break_glass.review'),
    ('auditor', 'notification.own'),
    ('admin', 'account.administer'),
    ('admin', 'client.administer'),
    ('admin', 'catalog.administer'),
    ('admin', 'form.administer'),
    ('admin', 'rule.administer'),
    ('admin', 'pharmacy.administer'),
    ('admin', 'billing.administer'),
    ('admin', 'notice.work'),
    ('admin', 'analytics.read'),
    ('admin', 'audit.read'),
    ('admin', 'audit.export'),
    ('super_admin', 'patient.read_any'),
    ('super_admin', 'role.administer'),
    ('super_admin', 'system.administer');
