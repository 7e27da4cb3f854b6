ALTER TABLE shipments NO FORCE ROW LEVEL SECURITY;
UPDATE shipments SET shipped_at = status_at WHERE label_id IS NOT NULL AND shipped_at IS NULL;
ALTER TABLE shipments FORCE ROW LEVEL SECURITY;

ALTER TABLE shipments DROP CONSTRAINT shipments_shipped_with_label;
ALTER TABLE shipments DROP CONSTRAINT shipments_label_whole;
ALTER TABLE shipments ADD CONSTRAINT shipments_check CHECK (
    num_nulls(carrier_shipment_id, carrier, service, tracking_number, tracker_id, label_id,
        label_url, cost_minor, cost_currency, shipped_at) IN (0, 10));
