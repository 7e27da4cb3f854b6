-- Billing: customers of the gateway, payment methods, invoices, payments, what
-- contests them, the ledger and the tasks of those who look after money. Money
-- is in minor units.

CREATE TABLE billing_customers (
    patient_id uuid PRIMARY KEY,
    gateway_id text CONSTRAINT billing_customers_gateway UNIQUE,
    created_at timestamptz NOT NULL
);
SELECT salus_protect('billing_customers', 'patient_id');

CREATE TABLE payment_methods (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL REFERENCES billing_customers (patient_id),
    token text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'active', 'refused', 'removed')),
    is_default boolean NOT NULL,
    gateway_id text,
    brand text,
    last4 text,
    exp_month smallint CHECK (exp_month BETWEEN 1 AND 12),
    exp_year smallint,
    decline_code text,
    decline_message text,
    removed_at timestamptz,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL,
    CHECK (status = 'active' OR NOT is_default),
    CHECK ((status IN ('active', 'removed')) =
           (num_nonnulls(gateway_id, brand, last4, exp_month, exp_year) = 5)),
    CHECK ((status = 'refused') = (decline_code IS NOT NULL)),
    CHECK ((status = 'removed') = (removed_at IS NOT NULL))
);
CREATE INDEX payment_methods_patient ON payment_methods (patient_id, created_at);
CREATE UNIQUE INDEX payment_methods_one_default ON payment_methods (patient_id) WHERE is_default;
CREATE UNIQUE INDEX payment_methods_gateway ON payment_methods (gateway_id)
    WHERE status = 'active';
SELECT salus_protect('payment_methods', 'patient_id');

-- The subscriptions that have ended, as far as billing has heard of it. Nothing
-- is billed or charged for them any more.
CREATE TABLE billing_ended_subscriptions (
    subscription_id uuid PRIMARY KEY,
    patient_id uuid NOT NULL,
    ended_at timestamptz NOT NULL
);
SELECT salus_protect('billing_ended_subscriptions', 'patient_id');

-- The last number of each series. Its row is locked by whoever finalizes, until
-- the commit, which is what leaves no gap.
CREATE TABLE invoice_series (
    name text PRIMARY KEY,
    last_number bigint NOT NULL CHECK (last_number >= 0)
);
INSERT INTO invoice_series VALUES ('SAL', 0);

CREATE TABLE invoices (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    category_id uuid NOT NULL,
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    time_zone text NOT NULL,
    total bigint NOT NULL CHECK (total >= 0),
    currency char(3) NOT NULL,
    status text NOT NULL CHECK (status IN ('draft', 'open', 'paid', 'void', 'uncollectible')),
    status_at timestamptz,
    number bigint CONSTRAINT invoices_number UNIQUE CHECK (number > 0),
    finalized_at timestamptz,
    -- The seller and the buyer as they were on that day, sealed.
    parties bytea,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT invoices_one_per_period UNIQUE (subscription_id, period_start),
    CHECK (period_start < period_end),
    CHECK ((status = 'draft') = (number IS NULL)),
    CHECK ((number IS NULL) = (finalized_at IS NULL)),
    CHECK ((number IS NULL) = (parties IS NULL)),
    CHECK ((status IN ('paid', 'void', 'uncollectible')) = (status_at IS NOT NULL))
);
CREATE INDEX invoices_patient ON invoices (patient_id, number DESC);
CREATE INDEX invoices_open ON invoices (finalized_at) WHERE status = 'open';
CREATE INDEX invoices_open_of_subscription ON invoices (subscription_id) WHERE status = 'open';
CREATE INDEX invoices_paid_category ON invoices (patient_id, category_id) WHERE status = 'paid';
SELECT salus_protect('invoices', 'patient_id');

CREATE TABLE invoice_lines (
    invoice_id uuid NOT NULL REFERENCES invoices (id) ON DELETE CASCADE,
    position smallint NOT NULL,
    patient_id uuid NOT NULL,
    description text NOT NULL,
    quantity bigint NOT NULL,
    unit_price bigint NOT NULL,
    amount bigint NOT NULL CHECK (amount = quantity * unit_price),
    PRIMARY KEY (invoice_id, position)
);
SELECT salus_protect('invoice_lines', 'patient_id');

-- A finalized invoice never changes but for whether it was paid. The parties
-- are left out, because rotating the keys seals them anew; they open only for
-- this row.
CREATE FUNCTION salus_invoice_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = 'draft' THEN
        RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    IF TG_OP = 'DELETE'
        OR ROW (NEW.id, NEW.patient_id, NEW.subscription_id, NEW.category_id, NEW.period_start,
                NEW.period_end, NEW.time_zone, NEW.total, NEW.currency, NEW.number,
                NEW.finalized_at, NEW.created_at)
        IS DISTINCT FROM
           ROW (OLD.id, OLD.patient_id, OLD.subscription_id, OLD.category_id, OLD.period_start,
                OLD.period_end, OLD.time_zone, OLD.total, OLD.currency, OLD.number,
                OLD.finalized_at, OLD.created_at)
        OR (OLD.status IN ('paid', 'void') AND NEW.status <> OLD.status)
    THEN
        RAISE EXCEPTION 'invoice % is finalized and does not change', OLD.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER invoices_frozen BEFORE UPDATE OR DELETE ON invoices
    FOR EACH ROW EXECUTE FUNCTION salus_invoice_frozen();

CREATE FUNCTION salus_invoice_lines_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    owner uuid := CASE TG_OP WHEN 'INSERT' THEN NEW.invoice_id ELSE OLD.invoice_id END;
BEGIN
    IF (TG_OP = 'UPDATE' AND NEW.invoice_id <> OLD.invoice_id)
        OR EXISTS (SELECT 1 FROM invoices WHERE id = owner AND status <> 'draft')
    THEN
        RAISE EXCEPTION 'invoice % is finalized and its lines do not change', owner
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER invoice_lines_frozen BEFORE INSERT OR UPDATE OR DELETE ON invoice_lines
    FOR EACH ROW EXECUTE FUNCTION salus_invoice_lines_frozen();

CREATE TABLE payments (
    id uuid PRIMARY KEY,
    invoice_id uuid NOT NULL REFERENCES invoices (id),
    patient_id uuid NOT NULL,
    payment_method_id uuid NOT NULL REFERENCES payment_methods (id),
    amount bigint NOT NULL CHECK (amount > 0),
    currency char(3) NOT NULL,
    attempt integer NOT NULL CHECK (attempt > 0),
    status text NOT NULL CHECK (status IN ('intended', 'processing', 'confirming',
        'requires_action', 'succeeded', 'failed', 'canceled')),
    gateway_id text CONSTRAINT payments_gateway UNIQUE,
    decline_code text,
    decline_message text,
    contest text,
    ended_at timestamptz,
    retry_at timestamptz,
    check_at timestamptz NOT NULL,
    checks integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    CHECK (gateway_id IS NOT NULL OR status IN ('intended', 'failed', 'canceled')),
    CHECK ((status = 'failed') = (decline_code IS NOT NULL)),
    CHECK ((status IN ('succeeded', 'failed', 'canceled')) = (ended_at IS NOT NULL))
);
CREATE INDEX payments_invoice ON payments (invoice_id, created_at);
CREATE INDEX payments_patient ON payments (patient_id, created_at DESC, id DESC);
CREATE INDEX payments_unsettled ON payments (check_at)
    WHERE status IN ('intended', 'processing', 'confirming', 'requires_action');
-- While money may have moved for an invoice, no other payment begins.
CREATE UNIQUE INDEX payments_one_live ON payments (invoice_id)
    WHERE status NOT IN ('failed', 'canceled');
SELECT salus_protect('payments', 'patient_id');

-- What contests a payment after it succeeded: a dispute, a refund that was made
-- at the gateway, or the warning of a card's issuer, before any dispute of it,
-- that it is a fraud. Its books are kept later.
CREATE TABLE payment_contests (
    id uuid PRIMARY KEY,
    gateway_id text NOT NULL CONSTRAINT payment_contests_gateway UNIQUE,
    kind text NOT NULL CHECK (kind IN ('dispute', 'refund', 'fraud_warning')),
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

CREATE TABLE ledger_transactions (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('invoice_finalized', 'payment_received',
        'payment_recovered', 'invoice_voided', 'invoice_written_off', 'revenue_recognized')),
    patient_id uuid NOT NULL,
    invoice_id uuid NOT NULL REFERENCES invoices (id),
    payment_id uuid REFERENCES payments (id),
    occurred_at timestamptz NOT NULL
);
CREATE INDEX ledger_transactions_patient
    ON ledger_transactions (patient_id, occurred_at DESC, id DESC);
-- What happens to an invoice once is posted once.
CREATE UNIQUE INDEX ledger_transactions_once ON ledger_transactions (invoice_id, kind)
    WHERE kind <> 'revenue_recognized';
SELECT salus_protect('ledger_transactions', 'patient_id');

CREATE TABLE ledger_postings (
    transaction_id uuid NOT NULL REFERENCES ledger_transactions (id),
    position smallint NOT NULL,
    patient_id uuid NOT NULL,
    account text NOT NULL CHECK (account IN ('accounts_receivable', 'cash', 'deferred_revenue',
        'revenue', 'bad_debt')),
    side text NOT NULL CHECK (side IN ('debit', 'credit')),
    amount bigint NOT NULL CHECK (amount >= 0),
    currency char(3) NOT NULL,
    PRIMARY KEY (transaction_id, position)
);
SELECT salus_protect('ledger_postings', 'patient_id');

CREATE TRIGGER ledger_transactions_append_only BEFORE UPDATE OR DELETE ON ledger_transactions
    FOR EACH ROW EXECUTE FUNCTION salus_append_only();
CREATE TRIGGER ledger_postings_append_only BEFORE UPDATE OR DELETE ON ledger_postings
    FOR EACH ROW EXECUTE FUNCTION salus_append_only();

-- Asked at the commit, when a transaction has all of its postings.
CREATE FUNCTION salus_ledger_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    subject uuid := CASE TG_TABLE_NAME
        WHEN 'ledger_transactions' THEN (to_jsonb(NEW) ->> 'id')::uuid
        ELSE (to_jsonb(NEW) ->> 'transaction_id')::uuid END;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM ledger_postings WHERE transaction_id = subject)
        OR EXISTS (
            SELECT 1 FROM ledger_postings WHERE transaction_id = subject GROUP BY currency
            HAVING sum(CASE side WHEN 'debit' THEN amount ELSE -amount END) <> 0)
    THEN
        RAISE EXCEPTION 'ledger transaction % does not balance', subject
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ledger_transactions_balanced AFTER INSERT ON ledger_transactions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION salus_ledger_balanced();
CREATE CONSTRAINT TRIGGER ledger_postings_balanced AFTER INSERT ON ledger_postings
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION salus_ledger_balanced();

-- Urgent tasks for those who look after money. The note is sealed.
CREATE TABLE billing_tasks (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('disputed_payment', 'outside_refund', 'fraud_warning',
        'paid_but_stopped', 'charge_waits')),
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

-- What the gateway told, each notice once. It names payments of the gateway and
-- no patient.
CREATE TABLE gateway_notices (
    id text PRIMARY KEY,
    kind text NOT NULL,
    intent text,
    created_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL
);
