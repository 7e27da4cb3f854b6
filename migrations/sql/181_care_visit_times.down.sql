ALTER TABLE care_consultations DROP COLUMN began_at, DROP COLUMN ended_at;
