-- API clients are disabled and change their keys. A token names the generation
-- of its client, so that a disabled client's and a withdrawn key's tokens end.
ALTER TABLE identity_clients
    ADD COLUMN generation integer NOT NULL DEFAULT 0 CHECK (generation >= 0),
    ADD COLUMN disabled_at timestamptz;
UPDATE identity_clients SET disabled_at = created_at WHERE NOT active;
ALTER TABLE identity_clients
    ADD CONSTRAINT identity_clients_disabled_check CHECK (active = (disabled_at IS NULL));
