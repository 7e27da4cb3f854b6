ALTER TABLE catalog_plans DROP CONSTRAINT catalog_plans_features_coded;
UPDATE catalog_plans SET features = jsonb_path_query_array(features, '$[*].label');
