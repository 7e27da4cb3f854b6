ALTER TABLE catalog_revisions DISABLE TRIGGER catalog_revisions_append_only;
DELETE FROM catalog_revisions WHERE kind = 'article';
ALTER TABLE catalog_revisions ENABLE TRIGGER catalog_revisions_append_only;
ALTER TABLE catalog_revisions
    DROP CONSTRAINT catalog_revisions_kind_check,
    ADD CONSTRAINT catalog_revisions_kind_check
        CHECK (kind IN ('category', 'plan', 'feature_flag'));
DROP TABLE catalog_articles;
