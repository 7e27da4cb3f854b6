-- The list of entries that wait for the sealer, for less: one call for all that a
-- statement writes, and one index.
DROP TRIGGER audit_entries_note_unchained ON audit_entries;
ALTER TABLE audit_unchained DROP CONSTRAINT audit_unchained_pkey;
DROP INDEX audit_unchained_seq;
ALTER TABLE audit_unchained ADD PRIMARY KEY (seq);
ALTER TABLE audit_unchained SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE OR REPLACE FUNCTION salus_note_unchained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unchained (entry_id, seq) SELECT id, seq FROM written;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_entries_note_unchained
    AFTER INSERT ON audit_entries REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION salus_note_unchained();
