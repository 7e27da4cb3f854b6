-- What contests a payment after it succeeded: a dispute, or a refund that was
-- made at the gateway. Its books are kept later.
CREATE TABLE payment_contests (
    id uuid PRIMARY KEY,
    gateway_id text NOT NULL CONSTRAINT payment_contests_gateway UNIQUE,
    kind text NOT NULL CHECK (kind IN ('dispute', 'refund')),
    -- The gateway's word.
    status text NOT NULL,
    payment_id uuid NOT NULL REFERENCES payments (id),
    invoice_id uuid NOT NULL REFERENCES invoices (id),
    patient_id uuid NOT NULL,
    first_seen_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX payment_contests_invoice ON payment_contests (invoice_id);
SELECT salus_protect('payment_contests', 'patient_id');

ALTER TABLE payments ADD COLUMN contest text;

-- Urgent tasks for those who look after money. The note is sealed.
CREATE TABLE billing_tasks (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('disputed_payment', 'outside_refund', 'paid_but_stopped',
        'charge_waits')),
    patient_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    done_at timestamptz,
    done_by uuid,
    note bytea,
    CHECK (num_nulls(done_at, done_by, note) IN (0, 3))
);
CREATE UNIQUE INDEX billing_tasks_subject
    ON billing_tasks (kind, subject_id) WHERE done_at IS NULL;
CREATE INDEX billing_tasks_open ON billing_tasks (id) WHERE done_at IS NULL;
SELECT salus_protect('billing_tasks', 'patient_id');
CREATE INDEX invoices_paid_category ON invoices (patient_id, category_id) WHERE status = 'paid';
