DROP TABLE keyring_mark;
