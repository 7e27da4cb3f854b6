SELECT set_config('salus.scope', 'system', true);
DELETE FROM billing_tasks WHERE kind = 'fraud_warning';
DELETE FROM payment_contests WHERE kind = 'fraud_warning';
ALTER TABLE billing_tasks
    DROP CONSTRAINT billing_tasks_kind_check,
    ADD CONSTRAINT billing_tasks_kind_check CHECK (kind IN ('disputed_payment',
        'outside_refund', 'paid_but_stopped', 'charge_waits'));
ALTER TABLE payment_contests
    DROP CONSTRAINT payment_contests_kind_check,
    ADD CONSTRAINT payment_contests_kind_check CHECK (kind IN ('dispute', 'refund'));
