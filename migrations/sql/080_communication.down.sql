DROP TABLE suppressed_mail_addresses;
DROP TABLE notification_preferences;
DROP TABLE notifications;
DROP TABLE messages;
DROP TABLE message_threads;
