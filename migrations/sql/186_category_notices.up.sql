-- Every node drops what it remembers of the categories when one of them edits them.
-- The trigger names the channel, so that the next table needs no function of its own.
CREATE FUNCTION salus_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(TG_ARGV[0], '');
    RETURN NULL;
END $$;
CREATE TRIGGER catalog_categories_tell AFTER INSERT OR UPDATE OR DELETE
    ON catalog_categories FOR EACH STATEMENT EXECUTE FUNCTION salus_tell('salus_categories');
