DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['care_tasks', 'shipments', 'dispatches', 'fill_holds',
        'paid_fills', 'erx_received', 'erx_messages', 'prescription_fills', 'prescriptions']
    LOOP
        EXECUTE format('DROP POLICY handover_scope ON %I', name);
    END LOOP;
END
$$;
DROP FUNCTION salus_is_handed_over(uuid);
CREATE OR REPLACE FUNCTION salus_care_treats(provider uuid, patient uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (SELECT 1 FROM care_closed_charts
                       WHERE provider_id = provider AND patient_id = patient
                       AND (unlicensed OR handed_over_at IS NOT NULL))
        AND (EXISTS (SELECT 1 FROM care_review_holders
                     WHERE provider_id = provider AND patient_id = patient)
            OR EXISTS (SELECT 1 FROM care_treatment_plans
                       WHERE provider_id = provider AND patient_id = patient)
            OR EXISTS (SELECT 1 FROM care_consultations
                       WHERE provider_id = provider AND patient_id = patient
                       AND status <> 'canceled'))
$$;
DROP FUNCTION salus_care_is_closed(uuid, uuid);
DROP FUNCTION salus_care_panel(uuid);
