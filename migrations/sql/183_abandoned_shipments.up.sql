-- A label that was bought for a box which stays in the pharmacy is kept without
-- a day on which it was shipped.
ALTER TABLE shipments DROP CONSTRAINT shipments_check;
ALTER TABLE shipments ADD CONSTRAINT shipments_label_whole CHECK (
    num_nulls(carrier_shipment_id, carrier, service, tracking_number, tracker_id, label_id,
        label_url, cost_minor, cost_currency) IN (0, 9));
ALTER TABLE shipments ADD CONSTRAINT shipments_shipped_with_label CHECK (
    shipped_at IS NULL OR label_id IS NOT NULL);

-- The policies hold for the owner as well, who sees no rows without an actor.
ALTER TABLE shipments NO FORCE ROW LEVEL SECURITY;
ALTER TABLE dispatches NO FORCE ROW LEVEL SECURITY;
UPDATE shipments SET shipped_at = NULL
WHERE status = 'cancelled' AND shipped_at IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM dispatches d WHERE d.shipment_id = shipments.id);
ALTER TABLE dispatches FORCE ROW LEVEL SECURITY;
ALTER TABLE shipments FORCE ROW LEVEL SECURITY;
