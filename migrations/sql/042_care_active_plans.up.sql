-- One active plan of a kind for a patient: a second one would be a second
-- supply of the same medicine. Of those that stand beside each other the
-- newest stays. The wall around the rows holds for migrations too.
SELECT set_config('salus.scope', 'system', true);
UPDATE care_treatment_plans AS plan SET status = 'revoked', version = version + 1
WHERE status = 'active' AND EXISTS (
    SELECT 1 FROM care_treatment_plans AS newer
    WHERE newer.patient_id = plan.patient_id AND newer.category_id = plan.category_id
        AND newer.status = 'active' AND (newer.created_at, newer.id) > (plan.created_at, plan.id));
CREATE UNIQUE INDEX care_treatment_plans_active
    ON care_treatment_plans (patient_id, category_id) WHERE status = 'active';
