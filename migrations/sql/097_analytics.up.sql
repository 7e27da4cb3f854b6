-- What figures are made of: subscriptions as they stand, without a person, the
-- first time that each patient reached a stage of the journey, and views for the
-- figures of a category.

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

-- The views read the contexts' own tables, behind the same wall; who reads
-- figures counts patients and never sees one.

-- Each submission, and how and when it was decided, by a rule or a provider.
CREATE VIEW analytics_submissions AS
SELECT response.category_id, response.patient_id, response.submitted_at,
    CASE
        WHEN assessment.outcome IN ('auto_approved', 'refused') THEN assessment.outcome
        WHEN assessment.review IN ('approved', 'rejected') THEN assessment.review
    END AS decision,
    CASE
        WHEN assessment.outcome IN ('auto_approved', 'refused') THEN assessment.decided_at
        WHEN assessment.review IN ('approved', 'rejected') THEN assessment.reviewed_at
    END AS decided_at
FROM intake_responses AS response
LEFT JOIN care_assessments AS assessment ON assessment.response_id = response.id;

-- The ends of subscriptions that had begun; one that was never paid for was
-- not lost.
CREATE VIEW analytics_cancellations AS
SELECT subscription.category_id, subscription.patient_id,
    subscription.state_since AS canceled_at
FROM subscriptions AS subscription
WHERE subscription.state = 'canceled' AND EXISTS (
    SELECT 1 FROM subscription_changes AS change
    WHERE change.subscription_id = subscription.id AND change.to_state = 'active');
