DROP TRIGGER catalog_feature_flags_tell ON catalog_feature_flags;
DROP FUNCTION salus_tell_feature_flags();
