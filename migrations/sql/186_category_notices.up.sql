-- Every node drops what it remembers of the categories when one of them edits them.
CREATE FUNCTION salus_tell_categories() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('salus_categories', '');
    RETURN NULL;
END $$;
CREATE TRIGGER catalog_categories_tell AFTER INSERT OR UPDATE OR DELETE
    ON catalog_categories FOR EACH STATEMENT EXECUTE FUNCTION salus_tell_categories();
