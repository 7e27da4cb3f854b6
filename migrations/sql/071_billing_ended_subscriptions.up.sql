-- The subscriptions that have ended, as far as billing has heard of it. Nothing
-- is billed or charged for them any more.
CREATE TABLE billing_ended_subscriptions (
    subscription_id uuid PRIMARY KEY,
    patient_id uuid NOT NULL,
    ended_at timestamptz NOT NULL
);
SELECT salus_protect('billing_ended_subscriptions', 'patient_id');
CREATE INDEX invoices_open_of_subscription ON invoices (subscription_id) WHERE status = 'open';

-- What was canceled before this was kept is not charged either.
SELECT set_config('salus.scope', 'system', true);
INSERT INTO billing_ended_subscriptions
    SELECT id, patient_id, state_since FROM subscriptions WHERE state = 'canceled';
SELECT set_config('salus.scope', '', true);
