-- What figures are made of: subscriptions as they stand, without a person, and
-- the first time that each patient reached a stage of the journey.

CREATE TABLE analytics_subscriptions (
    subscription_id uuid PRIMARY KEY,
    category_id uuid NOT NULL,
    standing text NOT NULL CHECK (standing IN ('pending', 'active', 'paused', 'ended')),
    monthly_minor bigint NOT NULL,
    currency char(3) NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX analytics_subscriptions_active ON analytics_subscriptions (category_id, currency)
    WHERE standing = 'active';

CREATE TABLE analytics_journey (
    patient_id uuid NOT NULL,
    stage text NOT NULL CHECK (stage IN
        ('registered', 'submitted', 'approved', 'subscribed', 'shipped', 'delivered')),
    reached_at timestamptz NOT NULL,
    PRIMARY KEY (patient_id, stage)
);
CREATE INDEX analytics_journey_reached_at ON analytics_journey (reached_at);

SELECT salus_protect('analytics_journey', 'patient_id');
