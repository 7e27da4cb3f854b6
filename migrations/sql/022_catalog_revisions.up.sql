-- What categories, plans and feature flags said in each version, so that the
-- loser of a race hears what the winner changed. Versions from before this was
-- kept are added when they are changed next.
CREATE TABLE catalog_revisions (
    kind text NOT NULL CHECK (kind IN ('category', 'plan', 'feature_flag')),
    entry_id uuid NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    fields jsonb NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (kind, entry_id, version)
);
CREATE TRIGGER catalog_revisions_append_only
    BEFORE UPDATE OR DELETE ON catalog_revisions
    FOR EACH ROW EXECUTE FUNCTION salus_append_only();
