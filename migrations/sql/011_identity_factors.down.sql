DROP TABLE identity_ceremonies;
DROP TABLE identity_passkeys;
DROP TABLE identity_recovery_codes;
DROP TABLE identity_totps;

ALTER TABLE identity_accounts
    DROP CONSTRAINT identity_accounts_new_email_check,
    DROP COLUMN new_email,
    DROP COLUMN new_email_nonce,
    DROP COLUMN new_email_issued_at,
    DROP COLUMN new_email_expires_at;

-- The reasons that the older schema does not know become its nearest.
UPDATE identity_sessions SET revoked_reason = 'logout'
    WHERE revoked_reason IN ('owner', 'administrator');
UPDATE identity_sessions SET revoked_reason = 'password_reset'
    WHERE revoked_reason IN ('password_changed', 'email_changed', 'factors_changed');
ALTER TABLE identity_sessions
    DROP COLUMN method,
    DROP COLUMN ip,
    DROP COLUMN user_agent,
    DROP CONSTRAINT identity_sessions_revoked_reason_check,
    ADD CONSTRAINT identity_sessions_revoked_reason_check
        CHECK (revoked_reason IN ('logout', 'reuse', 'password_reset'));
