-- The patients who are a provider's, whatever makes them so: one who is not
-- closed to them is treated by them.
CREATE FUNCTION salus_care_panel(provider uuid) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT patient_id FROM care_review_holders WHERE provider_id = provider
    UNION ALL
    SELECT patient_id FROM care_treatment_plans WHERE provider_id = provider
    UNION ALL
    SELECT patient_id FROM care_consultations
        WHERE provider_id = provider AND status <> 'canceled'
$$;

-- Whether a chart is closed to a provider, for whatever reason.
CREATE FUNCTION salus_care_is_closed(provider uuid, patient uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM care_closed_charts
                   WHERE provider_id = provider AND patient_id = patient
                   AND (unlicensed OR handed_over_at IS NOT NULL))
$$;

CREATE OR REPLACE FUNCTION salus_care_treats(provider uuid, patient uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT NOT salus_care_is_closed(provider, patient)
        AND EXISTS (SELECT 1 FROM salus_care_panel(provider) AS panel (patient_id)
                    WHERE panel.patient_id = patient)
$$;

-- Whether the provider in whose name the transaction runs has handed the
-- patient over; an emergency opens it for a while. A review of the patient may
-- be claimed again, so this closes only what the queue does not need.
CREATE FUNCTION salus_is_handed_over(owner uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE coalesce(current_setting('salus.provider', true), '')
        WHEN '' THEN false
        ELSE EXISTS (
            SELECT 1 FROM care_closed_charts c
            WHERE c.provider_id = nullif(current_setting('salus.provider', true), '')::uuid
            AND c.patient_id = owner AND c.handed_over_at IS NOT NULL
            AND (c.open_until IS NULL
                OR c.open_until <= nullif(current_setting('salus.now', true), '')::timestamptz))
    END
$$;

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
-- What is still open with them they end or give away.
CREATE POLICY handover_scope ON care_tasks AS RESTRICTIVE
    USING (NOT salus_is_handed_over(patient_id) OR (status = 'open'
        AND provider_id = nullif(current_setting('salus.provider', true), '')::uuid))
    WITH CHECK (true);
