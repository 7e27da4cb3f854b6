DROP TABLE identity_known_networks;
DROP TABLE identity_sign_in_throttles;
CREATE TABLE identity_login_throttles (
    email_index bytea PRIMARY KEY,
    failures integer NOT NULL CHECK (failures >= 0),
    last_failure_at timestamptz
);
CREATE INDEX identity_login_throttles_age ON identity_login_throttles (last_failure_at);
