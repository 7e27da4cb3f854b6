-- When somebody first connected, and when the provider closed the visit. Of
-- those of before it is not known.
ALTER TABLE care_consultations
    ADD COLUMN began_at timestamptz,
    ADD COLUMN ended_at timestamptz;
