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
