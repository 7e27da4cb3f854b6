-- Specialities become codes of the NUCC provider taxonomy. The words that they
-- were before are kept, those without a code among them.
ALTER TABLE identity_providers
    ADD COLUMN specialities_in_words text[],
    ADD COLUMN time_zone text;
UPDATE identity_providers SET
    specialities_in_words = specialities,
    specialities = ARRAY(
        SELECT DISTINCT known.code FROM unnest(specialities) AS held (word)
        JOIN (VALUES
            ('family medicine', '207Q00000X'),
            ('family practice', '207Q00000X'),
            ('general practice', '208D00000X'),
            ('internal medicine', '207R00000X'),
            ('obesity medicine', '207RB0002X'),
            ('cardiology', '207RC0000X'),
            ('endocrinology', '207RE0101X'),
            ('gastroenterology', '207RG0100X'),
            ('nephrology', '207RN0300X'),
            ('dermatology', '207N00000X'),
            ('emergency medicine', '207P00000X'),
            ('obstetrics and gynecology', '207V00000X'),
            ('obstetrics & gynecology', '207V00000X'),
            ('pediatrics', '208000000X'),
            ('neurology', '2084N0400X'),
            ('psychiatry', '2084P0800X'),
            ('urology', '208800000X'),
            ('physician assistant', '363A00000X'),
            ('nurse practitioner', '363L00000X')
        ) AS known (word, code) ON known.word = lower(btrim(held.word))
        ORDER BY known.code);

-- When a provider works, by the clock on the wall of their time zone. Shifts of
-- a day do not overlap.
CREATE TABLE identity_working_hours (
    provider_id uuid NOT NULL REFERENCES identity_providers (provider_id),
    weekday smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),
    from_minute smallint NOT NULL CHECK (from_minute >= 0),
    until_minute smallint NOT NULL CHECK (until_minute <= 1440),
    PRIMARY KEY (provider_id, weekday, from_minute),
    CHECK (from_minute < until_minute)
);

-- Of which expiry a provider was told how many days before it.
CREATE TABLE identity_license_alerts (
    provider_id uuid NOT NULL REFERENCES identity_providers (provider_id),
    state text NOT NULL,
    expires_on date NOT NULL,
    days integer NOT NULL CHECK (days > 0),
    alerted_at timestamptz NOT NULL,
    PRIMARY KEY (provider_id, state, expires_on, days)
);
CREATE INDEX identity_licenses_expiry ON identity_licenses (expires_on) WHERE status = 'active';
