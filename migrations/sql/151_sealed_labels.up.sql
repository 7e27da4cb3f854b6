-- A label's address opens a page with name and address on it, and carriers tell
-- everybody who has a tracking number where the box goes. Both are sealed here
-- from now on; tracking_number then holds the keyed digest by which a box is
-- found, and label_url nothing. Rows from before are sealed when they are saved
-- the next time.
ALTER TABLE shipments ADD COLUMN sealed_label bytea;
