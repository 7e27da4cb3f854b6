-- Subscriptions, their periods and their history.

CREATE TABLE subscriptions (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL,
    category_id uuid NOT NULL,
    assessment_id uuid NOT NULL,
    plan_id uuid NOT NULL,
    price_id uuid NOT NULL,
    price_version integer NOT NULL,
    plan_name text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    currency char(3) NOT NULL,
    interval_months integer NOT NULL CHECK (interval_months BETWEEN 1 AND 36),
    -- The tier, the features and the treatments that were bought. What tells of a
    -- patient's treatment is sealed; where it is missing nothing was kept.
    tier text NOT NULL CHECK (tier IN ('basic', 'standard', 'premium')),
    features jsonb NOT NULL,
    covers bytea,
    zone text NOT NULL,
    anchor_day date NOT NULL,
    consent_terms_version text NOT NULL,
    consent_amount_minor bigint NOT NULL,
    consent_currency char(3) NOT NULL,
    consent_interval_months integer NOT NULL,
    consent_accepted_at timestamptz NOT NULL,
    consent_ip text,
    consent_user_agent text,
    state text NOT NULL
        CHECK (state IN ('pending', 'active', 'paused', 'past_due', 'canceled')),
    state_since timestamptz NOT NULL,
    failed_invoice_id uuid,
    period_index integer NOT NULL CHECK (period_index >= 0),
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    cancel_at_period_end boolean NOT NULL,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL,
    CHECK (period_start < period_end),
    CHECK ((state = 'past_due') = (failed_invoice_id IS NOT NULL)),
    CONSTRAINT subscriptions_features_coded CHECK (
        jsonb_typeof(features) = 'array'
        AND NOT features @? '$[*] ? (!(@.code like_regex "^[a-z][a-z0-9_]{0,63}$"))')
);
CREATE UNIQUE INDEX subscriptions_one_live_per_category
    ON subscriptions (patient_id, category_id) WHERE state <> 'canceled';
CREATE INDEX subscriptions_patient ON subscriptions (patient_id, created_at);
SELECT salus_protect('subscriptions', 'patient_id');

-- One row for each period that began; it can begin only once.
CREATE TABLE subscription_periods (
    subscription_id uuid NOT NULL REFERENCES subscriptions (id),
    period_index integer NOT NULL,
    patient_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    PRIMARY KEY (subscription_id, period_index)
);
SELECT salus_protect('subscription_periods', 'patient_id');

-- Periods that passed while nobody could begin them, as in an outage. They are
-- charged or waived by a decision only. The reason is sealed.
CREATE TABLE subscription_missed_periods (
    subscription_id uuid NOT NULL REFERENCES subscriptions (id),
    period_index integer NOT NULL CHECK (period_index > 0),
    patient_id uuid NOT NULL,
    category_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    noted_at timestamptz NOT NULL,
    decision text CHECK (decision IN ('waived', 'charged')),
    decided_at timestamptz,
    decided_by uuid,
    reason bytea,
    PRIMARY KEY (subscription_id, period_index),
    CHECK (num_nulls(decision, decided_at, decided_by, reason) IN (0, 4))
);
CREATE INDEX subscription_missed_periods_open
    ON subscription_missed_periods (noted_at, subscription_id, period_index)
    WHERE decision IS NULL;
SELECT salus_protect('subscription_missed_periods', 'patient_id');

CREATE TABLE subscription_changes (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription_id uuid NOT NULL REFERENCES subscriptions (id),
    patient_id uuid NOT NULL,
    changed_at timestamptz NOT NULL,
    from_state text,
    to_state text NOT NULL,
    reason text NOT NULL,
    period_index integer NOT NULL,
    actor_kind text NOT NULL,
    actor_id uuid
);
CREATE INDEX subscription_changes_subscription ON subscription_changes (subscription_id, seq);
SELECT salus_protect('subscription_changes', 'patient_id');
CREATE TRIGGER subscription_changes_append_only
    BEFORE UPDATE OR DELETE ON subscription_changes
    FOR EACH ROW EXECUTE FUNCTION salus_append_only();

CREATE TABLE subscription_paid_invoices (
    invoice_id uuid PRIMARY KEY,
    subscription_id uuid NOT NULL REFERENCES subscriptions (id),
    noted_at timestamptz NOT NULL
);
