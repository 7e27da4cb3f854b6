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

-- A held fill is a task of a provider, and so is a pharmacy that has to be
-- phoned.
ALTER TABLE care_tasks
    DROP CONSTRAINT care_tasks_kind_check,
    ADD CONSTRAINT care_tasks_kind_check CHECK (kind ~ '^[a-z_]+$');
CREATE INDEX care_tasks_open_of_patient ON care_tasks (patient_id) WHERE status = 'open';
