-- Stock, dispatches and shipments.

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

-- What a paid invoice entitles to.
CREATE TABLE paid_fills (
    invoice_id uuid PRIMARY KEY,
    subscription_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    category_id uuid NOT NULL,
    paid_at timestamptz NOT NULL
);
CREATE INDEX paid_fills_patient ON paid_fills (patient_id, category_id, paid_at);
SELECT salus_protect('paid_fills', 'patient_id');

CREATE TABLE dispatches (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL,
    category_id uuid NOT NULL,
    prescription_id uuid NOT NULL,
    fill_number integer NOT NULL CHECK (fill_number > 0),
    invoice_id uuid NOT NULL REFERENCES paid_fills (invoice_id),
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
    CHECK ((state = 'on_hold') = (hold_reason IS NOT NULL))
);
-- Nothing ships twice: a fill, and an invoice, have one dispatch that counts.
CREATE UNIQUE INDEX dispatches_one_per_fill
    ON dispatches (prescription_id, fill_number) WHERE state <> 'cancelled';
CREATE UNIQUE INDEX dispatches_one_per_invoice
    ON dispatches (invoice_id) WHERE state <> 'cancelled';
CREATE INDEX dispatches_open ON dispatches (created_at, id)
    WHERE state IN ('awaiting_stock', 'reserved', 'picked', 'labelling', 'on_hold');
CREATE INDEX dispatches_awaiting_stock ON dispatches (pharmacy_id, ndc, created_at)
    WHERE state = 'awaiting_stock';
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
    CHECK (num_nulls(carrier_shipment_id, carrier, service, tracking_number, tracker_id, label_id,
        label_url, cost_minor, cost_currency, shipped_at) IN (0, 10))
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
