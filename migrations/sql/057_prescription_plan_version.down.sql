DROP INDEX prescriptions_by_plan;
ALTER TABLE prescriptions DROP COLUMN plan_version;
