DROP INDEX care_assessments_unheld;
DROP INDEX care_assessments_held;
DROP TABLE care_review_turns;
DROP TABLE care_assignment_policy;
