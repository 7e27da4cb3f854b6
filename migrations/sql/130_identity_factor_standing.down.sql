ALTER TABLE identity_accounts DROP COLUMN previous_email;
ALTER TABLE identity_sessions DROP COLUMN proved;
ALTER TABLE identity_recovery_codes DROP COLUMN proved;
ALTER TABLE identity_passkeys
    DROP COLUMN proved_at,
    DROP COLUMN suspended_at,
    DROP COLUMN confirmation_nonce,
    DROP COLUMN confirmation_issued_at,
    DROP COLUMN confirmation_expires_at;
ALTER TABLE identity_totps
    DROP COLUMN proved_at,
    DROP COLUMN suspended_at,
    DROP COLUMN confirmation_nonce,
    DROP COLUMN confirmation_issued_at,
    DROP COLUMN confirmation_expires_at;
