ALTER TABLE care_dose_limits DROP COLUMN version;
ALTER TABLE care_protocols DROP COLUMN version;
ALTER TABLE care_state_modalities DROP COLUMN version;
