DROP TABLE catalog_feature_flags;
