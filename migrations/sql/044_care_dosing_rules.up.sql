-- How drugs are dosed: the method, what can be dispensed, and for whom.
CREATE TABLE care_dosing_rules (
    rxnorm text PRIMARY KEY,
    rule jsonb NOT NULL,
    version bigint NOT NULL CHECK (version > 0)
);
