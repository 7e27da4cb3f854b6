-- The hash chain over the audit log, and what vendors sent that nobody could
-- use.

-- There is no foreign key to the entries: a link must outlive its entry, because
-- it tells that the entry was there.
CREATE TABLE audit_chain (
    position bigint PRIMARY KEY CHECK (position > 0),
    entry_id uuid NOT NULL CONSTRAINT audit_chain_entry UNIQUE,
    entry_hash bytea NOT NULL CHECK (octet_length(entry_hash) = 32),
    chain_hash bytea NOT NULL CHECK (octet_length(chain_hash) = 32),
    -- The number of the key that vouches for the link; none where a signed anchor
    -- vouches for it.
    key_id bigint CHECK (key_id BETWEEN 1 AND 4294967295),
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
    seq bigint PRIMARY KEY,
    entry_id uuid NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0
);

-- One call for all that a statement writes.
CREATE FUNCTION salus_note_unchained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_unchained (entry_id, seq) SELECT id, seq FROM written;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_entries_note_unchained
    AFTER INSERT ON audit_entries REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION salus_note_unchained();

-- Where this step is taken back and applied again, there are entries already.
INSERT INTO audit_unchained (entry_id, seq) SELECT id, seq FROM audit_entries;

-- What vendors sent and Salus could not use; it may tell of patients, so it is
-- sealed, and no patient sees the table.
CREATE TABLE unread_notices (
    id uuid PRIMARY KEY,
    vendor text NOT NULL,
    reason text NOT NULL,
    digest bytea NOT NULL,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL,
    done_at timestamptz,
    done_by uuid,
    note bytea,
    CHECK (num_nulls(done_at, done_by, note) IN (0, 3)),
    CONSTRAINT unread_notices_once UNIQUE (vendor, digest)
);
CREATE INDEX unread_notices_open ON unread_notices (id) WHERE done_at IS NULL;
ALTER TABLE unread_notices ENABLE ROW LEVEL SECURITY;
ALTER TABLE unread_notices FORCE ROW LEVEL SECURITY;
CREATE POLICY staff_scope ON unread_notices
    USING (current_setting('salus.scope', true) IN ('staff', 'system'))
    WITH CHECK (current_setting('salus.scope', true) IN ('staff', 'system'));
