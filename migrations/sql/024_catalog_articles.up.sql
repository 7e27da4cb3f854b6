-- What subscribers of a category read, from a tier on or everybody.
CREATE TABLE catalog_articles (
    id uuid PRIMARY KEY,
    category_id uuid NOT NULL REFERENCES catalog_categories (id),
    title text NOT NULL,
    summary text NOT NULL,
    body text NOT NULL,
    minimum_tier text CHECK (minimum_tier IN ('basic', 'standard', 'premium')),
    published boolean NOT NULL,
    version bigint NOT NULL CHECK (version > 0)
);
CREATE INDEX catalog_articles_category ON catalog_articles (category_id, title);
ALTER TABLE catalog_revisions
    DROP CONSTRAINT catalog_revisions_kind_check,
    ADD CONSTRAINT catalog_revisions_kind_check
        CHECK (kind IN ('category', 'plan', 'feature_flag', 'article'));
