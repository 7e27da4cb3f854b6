-- An invoice pays for every fill of its period, and they are released one by
-- one: each has its own number, the time that it is planned for, and the time
-- until which it is held back when the patient still has enough of the drug.
ALTER TABLE paid_fills
    ADD COLUMN number integer NOT NULL DEFAULT 1 CHECK (number > 0),
    ADD COLUMN scheduled_for timestamptz,
    ADD COLUMN due_at timestamptz;
-- The policies hold for the owner as well, who sees no rows without an actor.
ALTER TABLE paid_fills NO FORCE ROW LEVEL SECURITY;
UPDATE paid_fills SET scheduled_for = paid_at, due_at = paid_at;
ALTER TABLE paid_fills FORCE ROW LEVEL SECURITY;
ALTER TABLE paid_fills
    ALTER COLUMN number DROP DEFAULT,
    ALTER COLUMN scheduled_for SET NOT NULL,
    ALTER COLUMN due_at SET NOT NULL;

ALTER TABLE dispatches DROP CONSTRAINT dispatches_invoice_id_fkey;
ALTER TABLE paid_fills DROP CONSTRAINT paid_fills_pkey;
ALTER TABLE paid_fills ADD CONSTRAINT paid_fills_pkey PRIMARY KEY (invoice_id, number);
CREATE INDEX paid_fills_due ON paid_fills (due_at);

ALTER TABLE dispatches
    -- The first of the invoice's fills that it serves, and how many: a supply
    -- for three months takes the place of three fills of one.
    ADD COLUMN paid_fill integer NOT NULL DEFAULT 1 CHECK (paid_fill > 0),
    ADD COLUMN covers integer NOT NULL DEFAULT 1 CHECK (covers > 0);
ALTER TABLE dispatches
    ALTER COLUMN paid_fill DROP DEFAULT,
    ALTER COLUMN covers DROP DEFAULT,
    ADD CONSTRAINT dispatches_paid_fill_fkey
        FOREIGN KEY (invoice_id, paid_fill) REFERENCES paid_fills (invoice_id, number);
DROP INDEX dispatches_one_per_invoice;
CREATE UNIQUE INDEX dispatches_one_per_paid_fill
    ON dispatches (invoice_id, paid_fill) WHERE state <> 'cancelled';
CREATE INDEX dispatches_patient ON dispatches (patient_id);
