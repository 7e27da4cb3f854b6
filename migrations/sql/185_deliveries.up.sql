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

-- What waits in the queue waits here from now on.
INSERT INTO deliveries (handler, event_id)
SELECT coalesce(job.payload->>'handler', '*'), (job.payload->>'event')::uuid
FROM graphile_worker._private_jobs AS job
JOIN graphile_worker._private_tasks AS task ON task.id = job.task_id
WHERE task.identifier IN ('salus_relay', 'salus_delivery')
    AND NOT EXISTS (
        SELECT FROM handled_deliveries AS handled
        WHERE handled.event_id = (job.payload->>'event')::uuid
            AND handled.handler = job.payload->>'handler')
ORDER BY job.id;
DELETE FROM graphile_worker._private_jobs USING graphile_worker._private_tasks AS task
WHERE task.id = task_id AND task.identifier IN ('salus_relay', 'salus_delivery');

DROP TABLE handled_deliveries;
