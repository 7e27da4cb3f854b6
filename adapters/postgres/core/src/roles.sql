-- Lets the server's role do what the server does: read and write rows. It owns
-- nothing, so that it can switch off no row-level security, drop no trigger
-- and change no table. It is run after every migration, as the owner, and
-- leaves the same grants whatever there were before.
DO $$
DECLARE
    server name := current_setting('salus.server_role');
    mine record;
BEGIN
    -- Two that grant at once would stumble over one row of the catalog.
    PERFORM pg_advisory_xact_lock(1511006879);

    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = server) THEN
        BEGIN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE '
                           'NOREPLICATION NOBYPASSRLS', server);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            -- Another database of this server was migrated at the same time.
            NULL;
        END;
    END IF;

    EXECUTE format('GRANT USAGE ON SCHEMA public, graphile_worker TO %I', server);
    EXECUTE format('REVOKE CREATE ON SCHEMA graphile_worker FROM %I, PUBLIC', server);
    IF pg_has_role((SELECT nspowner FROM pg_namespace WHERE nspname = 'public'), 'USAGE') THEN
        EXECUTE format('REVOKE CREATE ON SCHEMA public FROM %I, PUBLIC', server);
    END IF;
    -- A temporary table is found before one of the schema with its name.
    IF pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE')
    THEN
        EXECUTE format('REVOKE CREATE, TEMPORARY ON DATABASE %I FROM %I, PUBLIC',
                       current_database(), server);
    END IF;

    -- Only what the owner owns is Salus's; an extension's tables are not.
    FOR mine IN
        SELECT c.oid::regclass AS name, c.relkind = 'S' AS is_sequence,
            c.oid IN ('public.seaql_migrations'::regclass, 'graphile_worker.migrations'::regclass)
                AS is_history,
            n.nspname = 'graphile_worker' AND c.relrowsecurity AS wants_policy,
            NOT EXISTS (SELECT FROM pg_policy p
                        WHERE p.polrelid = c.oid AND p.polname = 'salus_server') AS lacks_policy,
            -- What a trigger refuses to everybody is not granted either.
            coalesce((SELECT bit_or(t.tgtype) FROM pg_trigger t
                      WHERE t.tgrelid = c.oid AND t.tgqual IS NULL
                        AND t.tgfoid = 'public.salus_append_only()'::regprocedure), 0) AS refused
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('public', 'graphile_worker') AND c.relkind IN ('r', 'p', 'v', 'S')
            AND pg_has_role(c.relowner, 'USAGE')
    LOOP
        IF mine.is_sequence THEN
            EXECUTE format('GRANT USAGE, SELECT ON SEQUENCE %s TO %I', mine.name, server);
            CONTINUE;
        END IF;
        EXECUTE format('REVOKE ALL ON %s FROM %I', mine.name, server);
        EXECUTE format('GRANT SELECT ON %s TO %I', mine.name, server);
        CONTINUE WHEN mine.is_history;
        EXECUTE format('GRANT INSERT ON %s TO %I', mine.name, server);
        IF mine.refused & 16 = 0 THEN
            EXECUTE format('GRANT UPDATE ON %s TO %I', mine.name, server);
        END IF;
        IF mine.refused & 8 = 0 THEN
            EXECUTE format('GRANT DELETE ON %s TO %I', mine.name, server);
        END IF;
        -- The queue's tables have row-level security without a policy, which
        -- lets nobody in but their owner.
        IF mine.wants_policy AND mine.lacks_policy THEN
            EXECUTE format('CREATE POLICY salus_server ON %s TO %I USING (true) WITH CHECK (true)',
                           mine.name, server);
        ELSIF mine.wants_policy THEN
            EXECUTE format('ALTER POLICY salus_server ON %s TO %I', mine.name, server);
        END IF;
    END LOOP;
END $$;
