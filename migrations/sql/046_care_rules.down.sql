DROP TRIGGER care_rule_sets_stay ON care_rule_sets;
DROP FUNCTION care_rules_stay();
DROP INDEX care_assessments_category;
DROP INDEX care_rule_sets_in_force;
-- What there was before knew neither drafts nor scopes, and its newest version
-- was the one in force: so the one in force is numbered last.
DELETE FROM care_rule_sets WHERE status = 'draft' OR state IS NOT NULL OR rxnorm IS NOT NULL;
ALTER TABLE care_rule_sets DROP CONSTRAINT care_rule_sets_version;
UPDATE care_rule_sets AS this SET version = 1 + (
    SELECT max(version) FROM care_rule_sets AS other
    WHERE other.category_id = this.category_id)
WHERE status = 'published';
ALTER TABLE care_rule_sets
    ADD CONSTRAINT care_rule_sets_version UNIQUE (category_id, version),
    DROP CONSTRAINT care_rule_sets_published,
    DROP COLUMN state,
    DROP COLUMN rxnorm,
    DROP COLUMN status,
    DROP COLUMN note,
    DROP COLUMN based_on,
    DROP COLUMN revision,
    DROP COLUMN changed_at,
    DROP COLUMN published_at;
