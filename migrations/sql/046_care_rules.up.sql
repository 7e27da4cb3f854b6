-- Rules as data: drafts, publishing and rolling back, and versions for a state
-- or a drug. What was the newest version of a category is the one in force.
ALTER TABLE care_rule_sets
    ADD COLUMN state text,
    ADD COLUMN rxnorm text,
    ADD COLUMN status text NOT NULL DEFAULT 'retired'
        CHECK (status IN ('draft', 'published', 'retired')),
    ADD COLUMN note text,
    ADD COLUMN based_on uuid REFERENCES care_rule_sets (id),
    ADD COLUMN revision bigint NOT NULL DEFAULT 1 CHECK (revision > 0),
    ADD COLUMN changed_at timestamptz,
    ADD COLUMN published_at timestamptz;
UPDATE care_rule_sets AS this SET changed_at = created_at, published_at = created_at,
    status = CASE WHEN version = (SELECT max(version) FROM care_rule_sets AS other
                                  WHERE other.category_id = this.category_id)
             THEN 'published' ELSE 'retired' END;
ALTER TABLE care_rule_sets
    ALTER COLUMN status DROP DEFAULT,
    ALTER COLUMN revision DROP DEFAULT,
    ALTER COLUMN changed_at SET NOT NULL,
    ADD CONSTRAINT care_rule_sets_published CHECK ((status = 'draft') = (published_at IS NULL)),
    DROP CONSTRAINT care_rule_sets_version,
    ADD CONSTRAINT care_rule_sets_version
        UNIQUE NULLS NOT DISTINCT (category_id, state, rxnorm, version);
CREATE UNIQUE INDEX care_rule_sets_in_force
    ON care_rule_sets (category_id, state, rxnorm) NULLS NOT DISTINCT WHERE status = 'published';
CREATE INDEX care_assessments_category ON care_assessments (category_id, id DESC);

-- A decision names the version that made it, so what was published stays.
CREATE FUNCTION care_rules_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.status <> 'draft' THEN
            RAISE EXCEPTION 'a published rule set stays'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN OLD;
    END IF;
    IF (NEW.id, NEW.category_id, NEW.state, NEW.rxnorm, NEW.version, NEW.created_at)
            IS DISTINCT FROM
            (OLD.id, OLD.category_id, OLD.state, OLD.rxnorm, OLD.version, OLD.created_at)
        OR (OLD.status <> 'draft' AND NEW.rules IS DISTINCT FROM OLD.rules)
        OR (OLD.status <> 'draft' AND NEW.status = 'draft')
    THEN
        RAISE EXCEPTION 'a published rule set never changes; add another'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER care_rule_sets_stay
    BEFORE UPDATE OR DELETE ON care_rule_sets
    FOR EACH ROW EXECUTE FUNCTION care_rules_stay();
