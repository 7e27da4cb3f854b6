-- What Salus treats and sells, what is rolled out and what subscribers read.
-- Nothing here is about a patient.

CREATE TABLE catalog_categories (
    id uuid PRIMARY KEY,
    slug text NOT NULL CONSTRAINT category_slug_key UNIQUE,
    name text NOT NULL,
    description text NOT NULL,
    active boolean NOT NULL,
    required_modality text NOT NULL CHECK (required_modality IN ('asynchronous', 'video')),
    minimum_age integer NOT NULL CHECK (minimum_age >= 0),
    maximum_age integer CHECK (maximum_age >= minimum_age),
    version bigint NOT NULL CHECK (version > 0)
);
CREATE TRIGGER catalog_categories_tell AFTER INSERT OR UPDATE OR DELETE
    ON catalog_categories FOR EACH STATEMENT EXECUTE FUNCTION salus_tell('salus_categories');

-- What is sold and what is dispensed are held against each other: a plan names
-- the treatments that it pays for.
CREATE TABLE catalog_plans (
    id uuid PRIMARY KEY,
    category_id uuid NOT NULL REFERENCES catalog_categories (id),
    name text NOT NULL,
    description text NOT NULL,
    tier text NOT NULL CHECK (tier IN ('basic', 'standard', 'premium')),
    treatments jsonb NOT NULL CHECK (jsonb_typeof(treatments) = 'array'),
    features jsonb NOT NULL,
    comparison jsonb NOT NULL,
    active_from timestamptz,
    active_until timestamptz,
    active boolean NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    CHECK (active_until > active_from),
    -- A feature has a code of its own beside its words.
    CONSTRAINT catalog_plans_features_coded CHECK (
        jsonb_typeof(features) = 'array'
        AND NOT features @? '$[*] ? (!(@.code like_regex "^[a-z][a-z0-9_]{0,63}$"))')
);
CREATE UNIQUE INDEX plan_name_key ON catalog_plans (category_id, lower(name));

CREATE TABLE catalog_prices (
    id uuid PRIMARY KEY,
    plan_id uuid NOT NULL REFERENCES catalog_plans (id),
    position integer NOT NULL,
    billing_interval text NOT NULL
        CHECK (billing_interval ~ '^(monthly|quarterly|yearly|upfront_[1-9][0-9]?)$'),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency char(3) NOT NULL,
    active boolean NOT NULL
);
CREATE INDEX catalog_prices_plan ON catalog_prices (plan_id, position);
CREATE UNIQUE INDEX price_interval_key ON catalog_prices (plan_id, billing_interval) WHERE active;

-- Somebody may have subscribed to it.
CREATE FUNCTION catalog_price_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE'
        OR (NEW.id, NEW.plan_id, NEW.billing_interval, NEW.amount_minor, NEW.currency)
            IS DISTINCT FROM
            (OLD.id, OLD.plan_id, OLD.billing_interval, OLD.amount_minor, OLD.currency)
    THEN
        RAISE EXCEPTION 'a price never changes; retire it and add another'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER catalog_prices_stay
    BEFORE UPDATE OR DELETE ON catalog_prices
    FOR EACH ROW EXECUTE FUNCTION catalog_price_stays();

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

-- Every node drops what it remembers of the flags when one of them edits them.
CREATE FUNCTION salus_tell_feature_flags() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('salus_feature_flags', '');
    RETURN NULL;
END $$;
CREATE TRIGGER catalog_feature_flags_tell AFTER INSERT OR UPDATE OR DELETE
    ON catalog_feature_flags FOR EACH STATEMENT EXECUTE FUNCTION salus_tell_feature_flags();

-- What subscribers of a category read, from a tier on or everybody.
CREATE TABLE catalog_articles (
    id uuid PRIMARY KEY,
    category_id uuid NOT NULL REFERENCES catalog_categories (id),
    title text NOT NULL,
    summary text NOT NULL,
    body text NOT NULL,
    minimum_tier text CHECK (minimum_tier IN ('basic', 'standard', 'premium')),
    published boolean NOT NULL,
    version bigint NOT NULL CHECK (version > 0)
);
CREATE INDEX catalog_articles_category ON catalog_articles (category_id, title);
