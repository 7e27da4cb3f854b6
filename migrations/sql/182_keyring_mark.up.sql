-- Which key ring the database belongs to: a value that only that ring computes.
-- A server with another ring would open nothing and chain the audit log anew.
CREATE TABLE keyring_mark (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    mark bytea NOT NULL
);
