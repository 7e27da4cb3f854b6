DROP TABLE intake_photos;
DROP FUNCTION intake_photo_stays();
DROP TABLE intake_responses;
DROP TABLE intake_drafts;
DROP TABLE intake_form_versions;
DROP FUNCTION intake_version_stays();
DROP TABLE intake_forms;
