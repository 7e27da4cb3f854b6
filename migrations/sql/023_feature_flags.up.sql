-- What is rolled out to whom.
CREATE TABLE catalog_feature_flags (
    id uuid PRIMARY KEY,
    key text NOT NULL CONSTRAINT feature_flag_key UNIQUE CHECK (key ~ '^[a-z][a-z0-9_]{0,63}$'),
    description text NOT NULL,
    enabled boolean NOT NULL,
    percentage smallint NOT NULL CHECK (percentage BETWEEN 0 AND 100),
    cohorts jsonb NOT NULL CHECK (jsonb_typeof(cohorts) = 'array'),
    account_ids jsonb NOT NULL CHECK (jsonb_typeof(account_ids) = 'array'),
    version bigint NOT NULL CHECK (version > 0)
);
