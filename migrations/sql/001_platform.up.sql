-- What every context stands on: the outbox and its deliveries, idempotency
-- keys, the append-only audit log, the row-level wall around PHI, the notices
-- between nodes and the mark of the key ring.

CREATE TABLE outbox_events (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    payload jsonb NOT NULL,
    occurred_at timestamptz NOT NULL
);
CREATE INDEX outbox_events_occurred_at ON outbox_events (occurred_at);

-- Who is still to hear of which event. The commit that tells of an event lists
-- its deliveries here, and a delivery goes with the commit of its effect, so that
-- nothing else has to remember what was handled.
CREATE TABLE deliveries (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    handler text NOT NULL,
    event_id uuid NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    run_at timestamptz NOT NULL DEFAULT now(),
    failure text
) WITH (
    -- Rows stay for milliseconds, so that nearly all of the table is always dead.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 50000
);
CREATE INDEX deliveries_waiting ON deliveries (position) WHERE attempts = 0;
CREATE INDEX deliveries_failed ON deliveries (run_at) WHERE attempts > 0;

-- A client may make its keys of anything, an address even, so that only keyed
-- digests are kept: of the key, and of the request it came with.
CREATE TABLE idempotency_keys (
    actor text NOT NULL,
    operation text NOT NULL,
    key bytea NOT NULL,
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
-- Entries come in the order of their times, so a summary of each range of pages
-- finds a period without costing the writers an index.
CREATE INDEX audit_entries_times ON audit_entries USING brin (occurred_at);
-- What has changed since a version: the audit entries of the later ones.
CREATE INDEX audit_entries_changes ON audit_entries (entity_id, seq) WHERE detail ? 'changed';

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

-- Charts that were a provider's and are closed to them: for want of a license
-- where the patient is, or of an account, or because a colleague has taken the
-- patient over. It opens for a while in an emergency.
CREATE TABLE care_closed_charts (
    provider_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    unlicensed boolean NOT NULL,
    handed_over_at timestamptz,
    open_until timestamptz,
    PRIMARY KEY (provider_id, patient_id)
);
CREATE INDEX care_closed_charts_patient ON care_closed_charts (patient_id);
-- The wall itself asks this table, so it stands before the wall, and its own
-- wall asks nothing of it.
ALTER TABLE care_closed_charts ENABLE ROW LEVEL SECURITY;
ALTER TABLE care_closed_charts FORCE ROW LEVEL SECURITY;
CREATE POLICY staff_scope ON care_closed_charts
    USING (current_setting('salus.scope', true) IN ('staff', 'system'))
    WITH CHECK (current_setting('salus.scope', true) IN ('staff', 'system'));

-- Whether a chart is closed to the provider in whose name the transaction runs.
CREATE FUNCTION salus_is_closed(owner uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE coalesce(current_setting('salus.provider', true), '')
        WHEN '' THEN false
        ELSE EXISTS (
            SELECT 1 FROM care_closed_charts c
            WHERE c.provider_id = nullif(current_setting('salus.provider', true), '')::uuid
            AND c.patient_id = owner AND c.unlicensed
            AND (c.open_until IS NULL
                OR c.open_until <= nullif(current_setting('salus.now', true), '')::timestamptz))
    END
$$;

-- Whether the provider in whose name the transaction runs has handed the
-- patient over; an emergency opens it for a while. A review of the patient may
-- be claimed again, so this closes only what the queue does not need.
CREATE FUNCTION salus_is_handed_over(owner uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE coalesce(current_setting('salus.provider', true), '')
        WHEN '' THEN false
        ELSE EXISTS (
            SELECT 1 FROM care_closed_charts c
            WHERE c.provider_id = nullif(current_setting('salus.provider', true), '')::uuid
            AND c.patient_id = owner AND c.handed_over_at IS NOT NULL
            AND (c.open_until IS NULL
                OR c.open_until <= nullif(current_setting('salus.now', true), '')::timestamptz))
    END
$$;

-- Whether the actor of this transaction reaches rows of that patient. Without
-- an actor nothing is reached.
CREATE FUNCTION salus_reaches(owner uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE current_setting('salus.scope', true)
        WHEN 'system' THEN true
        WHEN 'staff' THEN NOT salus_is_closed(owner)
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

-- Every node drops what it remembers of a table when one of them edits it. The
-- trigger names the channel, so that the next table needs no function of its own.
CREATE FUNCTION salus_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(TG_ARGV[0], '');
    RETURN NULL;
END $$;

-- Which key ring the database belongs to: a value that only that ring computes.
-- A server with another ring would open nothing and chain the audit log anew.
CREATE TABLE keyring_mark (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    mark bytea NOT NULL
);
