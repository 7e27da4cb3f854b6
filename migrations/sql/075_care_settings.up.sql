-- Whoever changes a setting names the version that it replaces.
ALTER TABLE care_dose_limits ADD COLUMN version bigint NOT NULL DEFAULT 1 CHECK (version > 0);
ALTER TABLE care_protocols ADD COLUMN version bigint NOT NULL DEFAULT 1 CHECK (version > 0);
ALTER TABLE care_state_modalities
    ADD COLUMN version bigint NOT NULL DEFAULT 1 CHECK (version > 0);
ALTER TABLE care_dose_limits ALTER COLUMN version DROP DEFAULT;
ALTER TABLE care_protocols ALTER COLUMN version DROP DEFAULT;
ALTER TABLE care_state_modalities ALTER COLUMN version DROP DEFAULT;
