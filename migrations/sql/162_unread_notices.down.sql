DELETE FROM identity_role_permissions WHERE permission = 'notice.work';
DROP TABLE unread_notices;
