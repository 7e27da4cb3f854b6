-- A card's issuer warns that a payment is a fraud, before any dispute of it.
ALTER TABLE payment_contests
    DROP CONSTRAINT payment_contests_kind_check,
    ADD CONSTRAINT payment_contests_kind_check
        CHECK (kind IN ('dispute', 'refund', 'fraud_warning'));
ALTER TABLE billing_tasks
    DROP CONSTRAINT billing_tasks_kind_check,
    ADD CONSTRAINT billing_tasks_kind_check CHECK (kind IN ('disputed_payment',
        'outside_refund', 'fraud_warning', 'paid_but_stopped', 'charge_waits'));
