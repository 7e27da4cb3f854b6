DROP TRIGGER catalog_categories_tell ON catalog_categories;
DROP FUNCTION salus_tell();
