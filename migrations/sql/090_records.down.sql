DROP TABLE clinical_profiles;
DROP TABLE record_tokens;
DROP TABLE record_versions;
DROP TABLE record_resources;
