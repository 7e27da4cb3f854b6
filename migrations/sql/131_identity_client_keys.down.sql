ALTER TABLE identity_clients DROP COLUMN disabled_at, DROP COLUMN generation;
