ALTER TABLE care_dose_limits DROP COLUMN ndcs, DROP COLUMN schedule, DROP COLUMN strength;
