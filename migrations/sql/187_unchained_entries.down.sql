DROP TRIGGER audit_entries_note_unchained ON audit_entries;
ALTER TABLE audit_unchained DROP CONSTRAINT audit_unchained_pkey;
ALTER TABLE audit_unchained RESET (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay
);
ALTER TABLE audit_unchained ADD PRIMARY KEY (entry_id);
CREATE INDEX audit_unchained_seq ON audit_unchained (seq);

CREATE OR REPLACE FUNCTION salus_note_unchained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unchained (entry_id, seq) VALUES (NEW.id, NEW.seq);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_entries_note_unchained
    AFTER INSERT ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION salus_note_unchained();
