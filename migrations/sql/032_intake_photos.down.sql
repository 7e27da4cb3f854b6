DROP TABLE intake_photos;
DROP FUNCTION intake_photo_stays();
