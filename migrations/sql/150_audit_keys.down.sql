ALTER TABLE audit_chain DROP COLUMN key_id;
