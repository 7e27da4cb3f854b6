CREATE TABLE handled_deliveries (
    event_id uuid NOT NULL,
    handler text NOT NULL,
    handled_at timestamptz NOT NULL,
    PRIMARY KEY (event_id, handler)
);

-- The relay finds the handlers again, and must not repeat what was handled.
INSERT INTO handled_deliveries (event_id, handler, handled_at)
SELECT event.id, handler.name, now()
FROM outbox_events AS event
CROSS JOIN (SELECT DISTINCT handler AS name FROM deliveries WHERE handler <> '*') AS handler
WHERE EXISTS (SELECT FROM deliveries AS open WHERE open.event_id = event.id)
    AND NOT EXISTS (SELECT FROM deliveries AS open
                    WHERE open.event_id = event.id AND open.handler IN (handler.name, '*'));
SELECT count(*) FROM (
    SELECT graphile_worker.add_job(
        CASE handler WHEN '*' THEN 'salus_relay' ELSE 'salus_delivery' END,
        CASE handler WHEN '*' THEN json_build_object('event', event_id)
            ELSE json_build_object('event', event_id, 'handler', handler) END)
    FROM deliveries ORDER BY position) AS added;

DROP TABLE deliveries;
