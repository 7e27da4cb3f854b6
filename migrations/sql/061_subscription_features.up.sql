-- A subscription keeps the features and the tier that were bought. Sentences
-- become features with codes as those of the plans did. Which tier a plan had
-- when it was bought was not kept, so what was bought before has the one that
-- its plan has now. The wall around the rows holds for migrations too.
SELECT set_config('salus.scope', 'system', true);
CREATE FUNCTION salus_coded_features(sentences jsonb) RETURNS jsonb LANGUAGE sql AS $$
    WITH named AS (
        SELECT label, min(position) AS position
        FROM jsonb_array_elements_text(sentences) WITH ORDINALITY AS list (label, position)
        GROUP BY label
    ), spelt AS (
        SELECT label, position, btrim(regexp_replace(lower(
            regexp_replace(normalize(label, NFKD), '[\u0300-\u036f]', '', 'g') COLLATE "C"),
            '[^a-z0-9]+', '_', 'g'), '_') AS word
        FROM named
    ), lettered AS (
        SELECT label, position,
            CASE WHEN word ~ '^[a-z]' THEN word ELSE 'feature_' || word END AS word
        FROM spelt
    ), coded AS (
        SELECT label, position,
            CASE WHEN word <> 'feature_' AND length(word) <= 64
                    AND count(*) OVER (PARTITION BY word) = 1
                THEN word
                ELSE rtrim(left(word, 55), '_') || '_' || left(md5(label), 8)
            END AS code
        FROM lettered
    )
    SELECT coalesce(
        jsonb_agg(jsonb_build_object('code', code, 'label', label) ORDER BY position), '[]')
    FROM coded
$$;
ALTER TABLE subscriptions
    ADD COLUMN tier text CHECK (tier IN ('basic', 'standard', 'premium'));
UPDATE subscriptions SET features = salus_coded_features(features),
    tier = coalesce((SELECT plan.tier FROM catalog_plans AS plan WHERE plan.id = plan_id), 'basic');
DROP FUNCTION salus_coded_features;
ALTER TABLE subscriptions
    ALTER COLUMN tier SET NOT NULL,
    ADD CONSTRAINT subscriptions_features_coded CHECK (
        jsonb_typeof(features) = 'array'
        AND NOT features @? '$[*] ? (!(@.code like_regex "^[a-z][a-z0-9_]{0,63}$"))');
