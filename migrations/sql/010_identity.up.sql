-- Accounts, sessions, roles, profiles, licences and API clients.

-- The address is sealed; accounts are found by its blind index.
CREATE TABLE identity_accounts (
    id uuid PRIMARY KEY,
    email bytea NOT NULL,
    email_index bytea NOT NULL CONSTRAINT identity_accounts_email_unique UNIQUE,
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
    created_at timestamptz NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    CHECK ((given_name IS NULL) = (family_name IS NULL)),
    CHECK (num_nulls(verification_nonce, verification_issued_at, verification_expires_at) IN (0, 3)),
    CHECK (num_nulls(reset_nonce, reset_issued_at, reset_expires_at) IN (0, 3))
);

CREATE TABLE identity_account_roles (
    account_id uuid NOT NULL REFERENCES identity_accounts (id),
    role text NOT NULL CHECK (role IN
        ('patient', 'provider', 'pharmacist', 'support', 'auditor', 'admin', 'super_admin')),
    PRIMARY KEY (account_id, role)
);

-- Failures of an address, whether or not an account has it.
CREATE TABLE identity_login_throttles (
    email_index bytea PRIMARY KEY,
    failures integer NOT NULL CHECK (failures >= 0),
    last_failure_at timestamptz
);
CREATE INDEX identity_login_throttles_age ON identity_login_throttles (last_failure_at);

CREATE TABLE identity_sessions (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES identity_accounts (id),
    status text NOT NULL CHECK (status IN ('live', 'revoked')),
    revoked_at timestamptz,
    revoked_reason text CHECK (revoked_reason IN ('logout', 'reuse', 'password_reset')),
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
    specialities text[] NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL CHECK (version > 0)
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

CREATE TABLE identity_clients (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    jwks jsonb NOT NULL,
    scopes text[] NOT NULL,
    active boolean NOT NULL,
    created_at timestamptz NOT NULL
);

-- Assertions that were used, until they have expired.
CREATE TABLE identity_client_assertions (
    client_id uuid NOT NULL REFERENCES identity_clients (id),
    jti text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (client_id, jti)
);
CREATE INDEX identity_client_assertions_age ON identity_client_assertions (expires_at);

CREATE TABLE identity_role_permissions (
    role text NOT NULL CHECK (role IN
        ('patient', 'provider', 'pharmacist', 'support', 'auditor', 'admin', 'super_admin')),
    permission text NOT NULL,
    PRIMARY KEY (role, permission)
);

-- The matrix of crates/identity/src/permissions.rs, to which a test holds it.
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
    ('auditor', 'notification.own'),
    ('admin', 'profile.own'),
    ('admin', 'subscription.read_any'),
    ('admin', 'billing.read_any'),
    ('admin', 'notification.own'),
    ('admin', 'account.administer'),
    ('admin', 'client.administer'),
    ('admin', 'catalog.administer'),
    ('admin', 'form.administer'),
    ('admin', 'rule.administer'),
    ('admin', 'billing.administer'),
    ('admin', 'analytics.read'),
    ('admin', 'audit.read'),
    ('admin', 'audit.export'),
    ('super_admin', 'profile.own'),
    ('super_admin', 'subscription.read_any'),
    ('super_admin', 'billing.read_any'),
    ('super_admin', 'notification.own'),
    ('super_admin', 'account.administer'),
    ('super_admin', 'client.administer'),
    ('super_admin', 'catalog.administer'),
    ('super_admin', 'form.administer'),
    ('super_admin', 'rule.administer'),
    ('super_admin', 'billing.administer'),
    ('super_admin', 'analytics.read'),
    ('super_admin', 'audit.read'),
    ('super_admin', 'audit.export'),
    ('super_admin', 'patient.read_any'),
    ('super_admin', 'role.administer'),
    ('super_admin', 'system.administer');
