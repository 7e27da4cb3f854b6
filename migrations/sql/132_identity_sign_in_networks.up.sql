-- Failed sign-ins are counted for an address and a network together, and once
-- more for all networks that an address was never signed in from. Both are keyed
-- digests. The counts of before are dropped: they last a day at most.
DROP TABLE identity_login_throttles;
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
