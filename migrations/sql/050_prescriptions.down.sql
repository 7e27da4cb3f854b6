DROP TABLE erx_received;
DROP TABLE erx_messages;
DROP TABLE prescription_fills;
DROP TABLE prescriptions;
DROP TABLE pharmacies;
