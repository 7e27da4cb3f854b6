DROP FUNCTION salus_care_rejoin(uuid, uuid);
