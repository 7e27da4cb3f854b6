-- What the figures of a category are made of. The views read the contexts' own
-- tables, behind the same wall; who reads figures counts patients and never
-- sees one.
CREATE INDEX intake_responses_category ON intake_responses (category_id, submitted_at);

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
