DROP POLICY handover_scope ON care_tasks;
DROP POLICY handover_scope ON shipments;
DROP POLICY handover_scope ON dispatches;
DROP POLICY handover_scope ON fill_holds;
DROP POLICY handover_scope ON paid_fills;
DROP POLICY handover_scope ON erx_received;
DROP POLICY handover_scope ON erx_messages;
DROP POLICY handover_scope ON prescription_fills;
DROP POLICY handover_scope ON prescriptions;
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
