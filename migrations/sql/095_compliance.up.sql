-- The hash chain over the audit log. There is no foreign key to the entries:
-- a link must outlive its entry, because it tells that the entry was there.

CREATE TABLE audit_chain (
    position bigint PRIMARY KEY CHECK (position > 0),
    entry_id uuid NOT NULL CONSTRAINT audit_chain_entry UNIQUE,
    entry_hash bytea NOT NULL CHECK (octet_length(entry_hash) = 32),
    chain_hash bytea NOT NULL CHECK (octet_length(chain_hash) = 32),
    sealed_at timestamptz NOT NULL
);
CREATE TRIGGER audit_chain_append_only
    BEFORE UPDATE OR DELETE ON audit_chain
    FOR EACH ROW EXECUTE FUNCTION salus_append_only();
CREATE TRIGGER audit_chain_no_truncate
    BEFORE TRUNCATE ON audit_chain
    FOR EACH STATEMENT EXECUTE FUNCTION salus_append_only();

-- Entries that wait for the sealer. They become visible with their entry, in
-- whatever order the transactions commit, so that none is passed over.
CREATE TABLE audit_unchained (
    entry_id uuid PRIMARY KEY,
    seq bigint NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX audit_unchained_seq ON audit_unchained (seq);

CREATE FUNCTION salus_note_unchained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unchained (entry_id, seq) VALUES (NEW.id, NEW.seq);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_entries_note_unchained
    AFTER INSERT ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION salus_note_unchained();

INSERT INTO audit_unchained (entry_id, seq) SELECT id, seq FROM audit_entries;
