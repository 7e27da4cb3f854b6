-- Every node drops what it remembers of the flags when one of them edits them.
CREATE FUNCTION salus_tell_feature_flags() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('salus_feature_flags', '');
    RETURN NULL;
END $$;
CREATE TRIGGER catalog_feature_flags_tell AFTER INSERT OR UPDATE OR DELETE
    ON catalog_feature_flags FOR EACH STATEMENT EXECUTE FUNCTION salus_tell_feature_flags();
