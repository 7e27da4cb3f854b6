DROP FUNCTION salus_protect(regclass, name);
DROP FUNCTION salus_reaches(uuid);
DROP TABLE audit_entries;
DROP FUNCTION salus_append_only();
DROP TABLE idempotency_keys;
DROP TABLE handled_deliveries;
DROP TABLE outbox_events;
