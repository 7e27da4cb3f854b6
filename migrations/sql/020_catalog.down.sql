DROP TABLE catalog_articles;
DROP TABLE catalog_feature_flags;
DROP FUNCTION salus_tell_feature_flags();
DROP TABLE catalog_prices;
DROP FUNCTION catalog_price_stays();
DROP TABLE catalog_plans;
DROP TABLE catalog_categories;
