DROP INDEX audit_entries_times;
