DROP INDEX identity_licenses_expiry;
DROP TABLE identity_license_alerts;
DROP TABLE identity_working_hours;
UPDATE identity_providers SET specialities = specialities_in_words
WHERE specialities_in_words IS NOT NULL;
ALTER TABLE identity_providers
    DROP COLUMN time_zone,
    DROP COLUMN specialities_in_words;
