DROP TABLE catalog_prices;
DROP FUNCTION catalog_price_stays();
DROP TABLE catalog_plans;
DROP TABLE catalog_categories;
