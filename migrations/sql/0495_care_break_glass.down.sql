DROP TABLE care_break_glass;
