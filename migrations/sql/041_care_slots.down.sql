-- Of meetings that were over and shared a slot, the later ones go, because the
-- earlier rule has no place for them.
DELETE FROM care_consultations AS later USING care_consultations AS earlier
    WHERE later.starts_at = earlier.starts_at AND later.id > earlier.id
      AND (later.provider_id = earlier.provider_id OR later.patient_id = earlier.patient_id);
DROP INDEX care_consultations_patient_slot;
DROP INDEX care_consultations_provider_slot;
ALTER TABLE care_consultations
    ADD CONSTRAINT care_consultations_provider_slot UNIQUE (provider_id, starts_at),
    ADD CONSTRAINT care_consultations_patient_slot UNIQUE (patient_id, starts_at);
