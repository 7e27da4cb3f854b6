-- Entries come in the order of their times, so a summary of each range of pages
-- finds a period without costing the writers an index.
CREATE INDEX audit_entries_times ON audit_entries USING brin (occurred_at);
