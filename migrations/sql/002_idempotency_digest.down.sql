TRUNCATE idempotency_keys;
ALTER TABLE idempotency_keys ALTER COLUMN key TYPE text USING encode(key, 'hex');
