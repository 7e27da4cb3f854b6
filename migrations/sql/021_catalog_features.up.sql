-- A feature of a plan has a code of its own beside its words. What was only a
-- sentence gets the code that it spells in ASCII; where two sentences of a plan
-- spell one code, or one is too long, a part of the sentence's digest tells
-- them apart, so that the same sentence has the same code in a subscription.
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
UPDATE catalog_plans SET features = salus_coded_features(features);
DROP FUNCTION salus_coded_features;
ALTER TABLE catalog_plans ADD CONSTRAINT catalog_plans_features_coded CHECK (
    jsonb_typeof(features) = 'array'
    AND NOT features @? '$[*] ? (!(@.code like_regex "^[a-z][a-z0-9_]{0,63}$"))');
