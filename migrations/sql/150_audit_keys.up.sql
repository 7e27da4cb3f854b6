-- The number of the key that vouches for a link; none for those from before
-- there was a key, which a signed anchor vouches for.
ALTER TABLE audit_chain ADD COLUMN key_id bigint CHECK (key_id BETWEEN 1 AND 4294967295);
