DROP TABLE care_dosing_rules;
