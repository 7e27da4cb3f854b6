DROP TABLE carrier_events;
DROP TABLE shipment_tracking;
DROP TABLE shipments;
DROP TABLE dispatch_allocations;
DROP TABLE dispatches;
DROP TABLE paid_fills;
DROP TABLE inventory_lots;
DROP TABLE inventory_stock;
