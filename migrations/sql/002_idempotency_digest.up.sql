-- A client may make its keys of anything, an address even, so that only keyed
-- digests are kept: of the key, and of the request it came with. The digests
-- are made outside the database, so keys of before cannot be carried over.
TRUNCATE idempotency_keys;
ALTER TABLE idempotency_keys ALTER COLUMN key TYPE bytea USING decode(md5(key), 'hex');
