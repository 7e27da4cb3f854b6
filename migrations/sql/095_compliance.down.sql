DROP TABLE unread_notices;
DROP TRIGGER audit_entries_note_unchained ON audit_entries;
DROP FUNCTION salus_note_unchained();
DROP TABLE audit_unchained;
DROP TABLE audit_chain;
