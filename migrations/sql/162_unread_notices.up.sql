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

INSERT INTO identity_role_permissions (role, permission) VALUES ('admin', 'notice.work')
    ON CONFLICT DO NOTHING;
