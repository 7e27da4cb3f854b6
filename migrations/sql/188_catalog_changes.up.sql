-- What an entry of the catalog said before a change is in the audit entry of the change.
DROP TABLE catalog_revisions;
-- What has changed since a version: the audit entries of the later ones.
CREATE INDEX audit_entries_changes ON audit_entries (entity_id, seq) WHERE detail ? 'changed';
