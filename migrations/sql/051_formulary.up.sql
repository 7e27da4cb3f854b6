-- What the formulary says of a drug beside its largest doses: the strength, the
-- DEA schedule and the packages that may be dispensed for it. A drug without a
-- package is not prescribed until one is named.
ALTER TABLE care_dose_limits
    ADD COLUMN strength text NOT NULL DEFAULT '',
    ADD COLUMN schedule text NOT NULL DEFAULT 'NONE'
        CHECK (schedule IN ('NONE', 'II', 'III', 'IV', 'V')),
    ADD COLUMN ndcs jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(ndcs) = 'array');
