-- Pharmacies with their staff, prescriptions and what is exchanged about them,
-- stock, paid fills and their holds, dispatches and shipments.

-- Pharmacies are administered: with their registration, the states to which they
-- may send, a version that each change is made over, and the people who work
-- there.
CREATE TABLE pharmacies (
    id uuid PRIMARY KEY,
    ncpdp_id text NOT NULL UNIQUE CHECK (ncpdp_id ~ '^[0-9]{7}$'),
    npi text NOT NULL CHECK (npi ~ '^[0-9]{10}$'),
    dea text,
    licensed_in text[] NOT NULL,
    name text NOT NULL,
    line1 text NOT NULL,
    line2 text,
    city text NOT NULL,
    state char(2) NOT NULL,
    postal_code text NOT NULL,
    phone text NOT NULL,
    mail_order boolean NOT NULL,
    active boolean NOT NULL,
    version bigint NOT NULL CHECK (version > 0)
);
CREATE INDEX pharmacies_by_name ON pharmacies (name, id) WHERE active;

CREATE TABLE pharmacy_staff (
    pharmacy_id uuid NOT NULL REFERENCES pharmacies (id),
    account_id uuid NOT NULL,
    assigned_at timestamptz NOT NULL,
    PRIMARY KEY (pharmacy_id, account_id)
);
CREATE INDEX pharmacy_staff_account ON pharmacy_staff (account_id);

CREATE TABLE prescriptions (
    id uuid PRIMARY KEY,
    treatment_plan_id uuid NOT NULL,
    -- The version of the plan that it was written from, so that one of an earlier
    -- version is not filled after the treatment has changed.
    plan_version integer NOT NULL CHECK (plan_version > 0),
    patient_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    category_id uuid NOT NULL,
    pharmacy_id uuid NOT NULL REFERENCES pharmacies (id),
    -- Medication, directions, diagnosis and alerts, sealed.
    clinical bytea NOT NULL,
    quantity_milli bigint NOT NULL CHECK (quantity_milli > 0),
    unit text NOT NULL,
    days_supply smallint NOT NULL CHECK (days_supply > 0),
    refills smallint NOT NULL CHECK (refills >= 0),
    fills_used smallint NOT NULL CHECK (fills_used BETWEEN 0 AND refills + 1),
    last_filled_on date,
    written_on date NOT NULL,
    state text NOT NULL CHECK (state IN (
        'draft', 'blocked', 'queued', 'sent', 'active', 'completed', 'failed', 'canceled')),
    -- When the state was reached, where the state knows.
    state_at timestamptz,
    message_id uuid,
    attempts integer NOT NULL DEFAULT 0,
    -- The alerts that block, or the code and reason of an end, sealed.
    state_detail bytea,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    CHECK ((state IN ('queued', 'sent', 'active')) <= (message_id IS NOT NULL))
);
-- One open prescription for a treatment plan, whoever asks for it and however
-- many ask at once.
CREATE UNIQUE INDEX prescriptions_one_open_per_plan ON prescriptions (treatment_plan_id)
    WHERE state IN ('draft', 'blocked', 'queued', 'sent', 'active');
CREATE INDEX prescriptions_by_patient ON prescriptions (patient_id, id DESC);
CREATE INDEX prescriptions_by_provider ON prescriptions (provider_id, id DESC);
CREATE INDEX prescriptions_by_plan ON prescriptions (treatment_plan_id, plan_version);
SELECT salus_protect('prescriptions', 'patient_id');

CREATE TABLE prescription_fills (
    dispatch_id uuid PRIMARY KEY,
    prescription_id uuid NOT NULL REFERENCES prescriptions (id),
    patient_id uuid NOT NULL,
    number smallint NOT NULL CHECK (number > 0),
    filled_on date NOT NULL,
    recorded_at timestamptz NOT NULL,
    UNIQUE (prescription_id, number)
);
SELECT salus_protect('prescription_fills', 'patient_id');

CREATE TABLE erx_messages (
    id uuid PRIMARY KEY,
    prescription_id uuid NOT NULL REFERENCES prescriptions (id),
    patient_id uuid NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX erx_messages_by_prescription ON erx_messages (prescription_id);
SELECT salus_protect('erx_messages', 'patient_id');

CREATE TABLE erx_received (
    id uuid PRIMARY KEY,
    -- The sender's own id of the message; a repetition carries it again.
    message_id text NOT NULL,
    relates_to uuid NOT NULL,
    prescription_id uuid NOT NULL REFERENCES prescriptions (id),
    patient_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('status', 'error', 'verify')),
    body bytea NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT erx_received_once UNIQUE (relates_to, message_id)
);
SELECT salus_protect('erx_received', 'patient_id');

-- One row for each drug of a pharmacy; whoever changes its lots locks it.
CREATE TABLE inventory_stock (
    pharmacy_id uuid NOT NULL,
    ndc text NOT NULL,
    reorder_level bigint NOT NULL CHECK (reorder_level >= 0),
    PRIMARY KEY (pharmacy_id, ndc)
);

CREATE TABLE inventory_lots (
    id uuid PRIMARY KEY,
    pharmacy_id uuid NOT NULL,
    ndc text NOT NULL,
    lot_number text NOT NULL,
    expires_on date NOT NULL,
    on_hand bigint NOT NULL,
    reserved bigint NOT NULL CHECK (reserved >= 0),
    received_at timestamptz NOT NULL,
    FOREIGN KEY (pharmacy_id, ndc) REFERENCES inventory_stock (pharmacy_id, ndc),
    CONSTRAINT inventory_lots_number_unique UNIQUE (pharmacy_id, ndc, lot_number),
    CONSTRAINT inventory_lots_never_oversold CHECK (reserved <= on_hand)
);

-- What a paid invoice entitles to. An invoice pays for every fill of its period,
-- and they are released one by one: each has its own number, the time that it is
-- planned for, and the time until which it is held back when the patient still
-- has enough of the drug.
CREATE TABLE paid_fills (
    invoice_id uuid NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    subscription_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    category_id uuid NOT NULL,
    paid_at timestamptz NOT NULL,
    scheduled_for timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (invoice_id, number)
);
CREATE INDEX paid_fills_patient ON paid_fills (patient_id, category_id, paid_at);
CREATE INDEX paid_fills_due ON paid_fills (due_at);
SELECT salus_protect('paid_fills', 'patient_id');

-- The treatments that a subscription was bought with, which its paid fills are
-- held against. They tell of a patient's treatment and are sealed; where a row is
-- missing nothing was kept.
CREATE TABLE sold_treatments (
    subscription_id uuid PRIMARY KEY,
    patient_id uuid NOT NULL,
    treatments bytea NOT NULL
);
SELECT salus_protect('sold_treatments', 'patient_id');

-- A paid fill that something speaks against is held until a provider decides.
-- What speaks against it, and the decision, are sealed.
CREATE TABLE fill_holds (
    id uuid PRIMARY KEY,
    invoice_id uuid NOT NULL,
    number integer NOT NULL,
    patient_id uuid NOT NULL,
    category_id uuid NOT NULL,
    prescription_id uuid,
    provider_id uuid,
    grounds bytea NOT NULL,
    held_at timestamptz NOT NULL,
    released_at timestamptz,
    released_by uuid,
    decision bytea,
    version bigint NOT NULL CHECK (version > 0),
    FOREIGN KEY (invoice_id, number) REFERENCES paid_fills (invoice_id, number),
    CHECK (num_nulls(released_at, released_by, decision) IN (0, 3))
);
CREATE UNIQUE INDEX fill_holds_one_per_fill
    ON fill_holds (invoice_id, number) WHERE released_at IS NULL;
CREATE INDEX fill_holds_patient ON fill_holds (patient_id, category_id);
CREATE INDEX fill_holds_held ON fill_holds (id) WHERE released_at IS NULL;
SELECT salus_protect('fill_holds', 'patient_id');

CREATE TABLE dispatches (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL,
    category_id uuid NOT NULL,
    prescription_id uuid NOT NULL,
    fill_number integer NOT NULL CHECK (fill_number > 0),
    invoice_id uuid NOT NULL,
    -- The first of the invoice's fills that it serves, and how many: a supply
    -- for three months takes the place of three fills of one.
    paid_fill integer NOT NULL CHECK (paid_fill > 0),
    covers integer NOT NULL CHECK (covers > 0),
    pharmacy_id uuid NOT NULL,
    ndc text NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    state text NOT NULL CHECK (state IN ('awaiting_stock', 'reserved', 'picked', 'labelling',
        'on_hold', 'shipped', 'delivered', 'returned', 'cancelled')),
    hold_reason text,
    shipment_id uuid,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT dispatches_paid_fill_fkey
        FOREIGN KEY (invoice_id, paid_fill) REFERENCES paid_fills (invoice_id, number),
    CHECK ((state = 'on_hold') = (hold_reason IS NOT NULL))
);
-- Nothing ships twice: a fill of a prescription, and one that was paid for, have
-- one dispatch that counts.
CREATE UNIQUE INDEX dispatches_one_per_fill
    ON dispatches (prescription_id, fill_number) WHERE state <> 'cancelled';
CREATE UNIQUE INDEX dispatches_one_per_paid_fill
    ON dispatches (invoice_id, paid_fill) WHERE state <> 'cancelled';
CREATE INDEX dispatches_open ON dispatches (created_at, id)
    WHERE state IN ('awaiting_stock', 'reserved', 'picked', 'labelling', 'on_hold');
CREATE INDEX dispatches_awaiting_stock ON dispatches (pharmacy_id, ndc, created_at)
    WHERE state = 'awaiting_stock';
CREATE INDEX dispatches_patient ON dispatches (patient_id);
SELECT salus_protect('dispatches', 'patient_id');

-- The units of each lot that a dispatch holds or has used.
CREATE TABLE dispatch_allocations (
    dispatch_id uuid NOT NULL REFERENCES dispatches (id),
    lot_id uuid NOT NULL REFERENCES inventory_lots (id),
    quantity bigint NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (dispatch_id, lot_id)
);
CREATE INDEX dispatch_allocations_lot ON dispatch_allocations (lot_id);

CREATE TABLE shipments (
    id uuid PRIMARY KEY,
    dispatch_id uuid NOT NULL REFERENCES dispatches (id),
    prescription_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    -- Name, address and telephone number, sealed.
    recipient bytea NOT NULL,
    carrier_shipment_id text,
    carrier text,
    service text,
    tracking_number text,
    tracker_id text,
    label_id text,
    label_url text,
    -- A label's address opens a page with name and address on it, and carriers
    -- tell everybody who has a tracking number where the box goes. Both are
    -- sealed here; tracking_number holds the keyed digest by which a box is
    -- found, and label_url is empty.
    sealed_label bytea,
    cost_minor bigint,
    cost_currency char(3),
    status text NOT NULL CHECK (status IN ('unknown', 'pre_transit', 'in_transit', 'failure',
        'error', 'out_for_delivery', 'available_for_pickup', 'delivered', 'cancelled',
        'return_to_sender')),
    status_at timestamptz,
    confirmed_at timestamptz,
    created_at timestamptz NOT NULL,
    shipped_at timestamptz,
    version bigint NOT NULL,
    CONSTRAINT shipments_label_whole CHECK (
        num_nulls(carrier_shipment_id, carrier, service, tracking_number, tracker_id, label_id,
            label_url, cost_minor, cost_currency) IN (0, 9)),
    -- A label that was bought for a box which stays in the pharmacy is kept
    -- without a day on which it was shipped.
    CONSTRAINT shipments_shipped_with_label CHECK (shipped_at IS NULL OR label_id IS NOT NULL)
);
-- Carriers give tracking numbers out again, so only the tracker is unique.
CREATE UNIQUE INDEX shipments_tracker_unique ON shipments (tracker_id);
CREATE INDEX shipments_carrier_shipment ON shipments (carrier_shipment_id);
CREATE INDEX shipments_tracking_number ON shipments (tracking_number, shipped_at);
CREATE INDEX shipments_patient ON shipments (patient_id, id);
-- One dispatch leaves in one box.
CREATE UNIQUE INDEX shipments_one_label_per_dispatch
    ON shipments (dispatch_id) WHERE tracking_number IS NOT NULL;
SELECT salus_protect('shipments', 'patient_id');

CREATE TABLE shipment_tracking (
    shipment_id uuid NOT NULL REFERENCES shipments (id),
    status text NOT NULL,
    said_at timestamptz NOT NULL,
    PRIMARY KEY (shipment_id, said_at, status)
);

CREATE TABLE carrier_events (
    event_id text PRIMARY KEY,
    received_at timestamptz NOT NULL
);

-- Whether the actor of this transaction reaches what belongs to a pharmacy:
-- whoever works in pharmacies, and does nothing else, reaches their own.
CREATE FUNCTION salus_reaches_pharmacy(holder uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN nullif(current_setting('salus.pharmacist', true), '') IS NULL THEN true
        ELSE EXISTS (SELECT 1 FROM pharmacy_staff s WHERE s.pharmacy_id = holder
            AND s.account_id = nullif(current_setting('salus.pharmacist', true), '')::uuid)
    END
$$;

-- What is restrictive narrows what the patient's wall lets through.
CREATE POLICY pharmacy_scope ON prescriptions AS RESTRICTIVE
    USING (salus_reaches_pharmacy(pharmacy_id)) WITH CHECK (salus_reaches_pharmacy(pharmacy_id));
CREATE POLICY pharmacy_scope ON dispatches AS RESTRICTIVE
    USING (salus_reaches_pharmacy(pharmacy_id)) WITH CHECK (salus_reaches_pharmacy(pharmacy_id));
CREATE POLICY pharmacy_scope ON shipments AS RESTRICTIVE
    USING (nullif(current_setting('salus.pharmacist', true), '') IS NULL
        OR EXISTS (SELECT 1 FROM dispatches d WHERE d.id = dispatch_id));
CREATE POLICY pharmacy_scope ON prescription_fills AS RESTRICTIVE
    USING (nullif(current_setting('salus.pharmacist', true), '') IS NULL
        OR EXISTS (SELECT 1 FROM prescriptions p WHERE p.id = prescription_id));
CREATE POLICY pharmacy_scope ON erx_messages AS RESTRICTIVE
    USING (nullif(current_setting('salus.pharmacist', true), '') IS NULL
        OR EXISTS (SELECT 1 FROM prescriptions p WHERE p.id = prescription_id));
CREATE POLICY pharmacy_scope ON erx_received AS RESTRICTIVE
    USING (nullif(current_setting('salus.pharmacist', true), '') IS NULL
        OR EXISTS (SELECT 1 FROM prescriptions p WHERE p.id = prescription_id));

-- A provider who has handed a patient over reaches none of this but in an
-- emergency.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['prescriptions', 'prescription_fills', 'erx_messages',
        'erx_received', 'paid_fills', 'fill_holds', 'dispatches', 'shipments']
    LOOP
        EXECUTE format('CREATE POLICY handover_scope ON %I AS RESTRICTIVE
            USING (NOT salus_is_handed_over(patient_id))', name);
    END LOOP;
END
$$;
