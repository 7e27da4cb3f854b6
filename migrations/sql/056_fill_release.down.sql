-- The way back forgets the fills that were not sent out yet. It is refused
-- where a later fill of an invoice has been, because the old tables cannot say
-- so.
DROP INDEX dispatches_patient;
DROP INDEX dispatches_one_per_paid_fill;
ALTER TABLE paid_fills NO FORCE ROW LEVEL SECURITY;
DELETE FROM paid_fills WHERE number > 1;
ALTER TABLE paid_fills FORCE ROW LEVEL SECURITY;
ALTER TABLE dispatches DROP CONSTRAINT dispatches_paid_fill_fkey;
ALTER TABLE dispatches DROP COLUMN paid_fill, DROP COLUMN covers;
DROP INDEX paid_fills_due;
ALTER TABLE paid_fills DROP CONSTRAINT paid_fills_pkey;
ALTER TABLE paid_fills DROP COLUMN number, DROP COLUMN scheduled_for, DROP COLUMN due_at;
ALTER TABLE paid_fills ADD CONSTRAINT paid_fills_pkey PRIMARY KEY (invoice_id);
ALTER TABLE dispatches ADD CONSTRAINT dispatches_invoice_id_fkey
    FOREIGN KEY (invoice_id) REFERENCES paid_fills (invoice_id);
CREATE UNIQUE INDEX dispatches_one_per_invoice
    ON dispatches (invoice_id) WHERE state <> 'cancelled';
