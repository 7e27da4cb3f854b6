-- What every context stands on: the outbox, handled deliveries, idempotency
-- keys, the append-only audit log and the row-level wall around PHI.

CREATE TABLE outbox_events (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    payload jsonb NOT NULL,
    occurred_at timestamptz NOT NULL
);
CREATE INDEX outbox_events_occurred_at ON outbox_events (occurred_at);

CREATE TABLE handled_deliveries (
    event_id uuid NOT NULL,
    handler text NOT NULL,
    handled_at timestamptz NOT NULL,
    PRIMARY KEY (event_id, handler)
);

CREATE TABLE idempotency_keys (
    actor text NOT NULL,
    operation text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    resource uuid NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (actor, operation, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

CREATE TABLE audit_entries (
    id uuid PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    occurred_at timestamptz NOT NULL,
    actor_kind text NOT NULL,
    actor_id text,
    roles text[] NOT NULL,
    action text NOT NULL,
    entity text NOT NULL,
    entity_id text NOT NULL,
    patient_id uuid,
    outcome text NOT NULL,
    request_id uuid,
    ip text,
    user_agent text,
    detail jsonb NOT NULL
);
CREATE INDEX audit_entries_seq ON audit_entries (seq);
CREATE INDEX audit_entries_patient ON audit_entries (patient_id, seq) WHERE patient_id IS NOT NULL;
CREATE INDEX audit_entries_actor ON audit_entries (actor_id, seq) WHERE actor_id IS NOT NULL;

CREATE FUNCTION salus_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER audit_entries_append_only
    BEFORE UPDATE OR DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION salus_append_only();
CREATE TRIGGER audit_entries_no_truncate
    BEFORE TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION salus_append_only();

-- Whether the actor of this transaction reaches rows of that patient. Without
-- an actor nothing is reached.
CREATE FUNCTION salus_reaches(owner uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE current_setting('salus.scope', true)
        WHEN 'system' THEN true
        WHEN 'staff' THEN true
        WHEN 'patient' THEN owner = nullif(current_setting('salus.patient', true), '')::uuid
        ELSE false
    END
$$;

-- Puts a table with PHI behind the wall; FORCE holds its owner to it as well.
CREATE FUNCTION salus_protect(target regclass, owner_column name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format(
        'CREATE POLICY actor_scope ON %s USING (salus_reaches(%I)) WITH CHECK (salus_reaches(%I))',
        target, owner_column, owner_column);
END $$;
