SELECT set_config('salus.scope', 'system', true);
ALTER TABLE subscriptions DROP CONSTRAINT subscriptions_features_coded, DROP COLUMN tier;
UPDATE subscriptions SET features = jsonb_path_query_array(features, '$[*].label');
