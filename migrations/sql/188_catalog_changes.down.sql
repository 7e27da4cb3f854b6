DROP INDEX audit_entries_changes;
CREATE TABLE catalog_revisions (
    kind text NOT NULL CHECK (kind IN ('category', 'plan', 'feature_flag', 'article')),
    entry_id uuid NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    fields jsonb NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (kind, entry_id, version)
);
CREATE TRIGGER catalog_revisions_append_only
    BEFORE UPDATE OR DELETE ON catalog_revisions
    FOR EACH ROW EXECUTE FUNCTION salus_append_only();
