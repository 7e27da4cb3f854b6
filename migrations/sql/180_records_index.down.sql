ALTER TABLE record_resources DROP COLUMN indexed;
