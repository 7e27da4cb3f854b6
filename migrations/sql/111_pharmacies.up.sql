-- Pharmacies are administered: with their registration, the states to which they
-- may send, a version that each change is made over, and the people who work
-- there. A pharmacy from before this is taken to be licensed where it stands.
ALTER TABLE pharmacies
    ADD COLUMN dea text,
    ADD COLUMN licensed_in text[],
    ADD COLUMN version bigint NOT NULL DEFAULT 1 CHECK (version > 0);
UPDATE pharmacies SET licensed_in = ARRAY[state::text];
ALTER TABLE pharmacies
    ALTER COLUMN licensed_in SET NOT NULL,
    ALTER COLUMN version DROP DEFAULT;

CREATE TABLE pharmacy_staff (
    pharmacy_id uuid NOT NULL REFERENCES pharmacies (id),
    account_id uuid NOT NULL,
    assigned_at timestamptz NOT NULL,
    PRIMARY KEY (pharmacy_id, account_id)
);
CREATE INDEX pharmacy_staff_account ON pharmacy_staff (account_id);

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

INSERT INTO identity_role_permissions (role, permission) VALUES ('admin', 'pharmacy.administer')
    ON CONFLICT DO NOTHING;
