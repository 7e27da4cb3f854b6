-- Threads, messages, notifications and whom not to write to any more.

CREATE TABLE message_threads (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    topic text NOT NULL
        CHECK (topic IN ('general', 'treatment', 'side_effect', 'refill', 'shipping', 'billing')),
    subscription_id uuid,
    created_at timestamptz NOT NULL,
    CHECK (patient_id <> provider_id),
    CONSTRAINT message_threads_one_a_topic
        UNIQUE NULLS NOT DISTINCT (patient_id, provider_id, topic, subscription_id)
);
CREATE INDEX message_threads_provider ON message_threads (provider_id);
SELECT salus_protect('message_threads', 'patient_id');

CREATE TABLE messages (
    id uuid PRIMARY KEY,
    thread_id uuid NOT NULL REFERENCES message_threads (id),
    -- The thread's patient, for the wall around PHI.
    patient_id uuid NOT NULL,
    sender_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    format text NOT NULL CHECK (format IN ('plain', 'html')),
    body bytea NOT NULL,
    sent_at timestamptz NOT NULL,
    delivered_at timestamptz,
    read_at timestamptz,
    version bigint NOT NULL,
    CHECK (read_at IS NULL OR delivered_at IS NOT NULL)
);
CREATE INDEX messages_thread ON messages (thread_id, id DESC);
CREATE INDEX messages_unread ON messages (thread_id, recipient_id) WHERE read_at IS NULL;
SELECT salus_protect('messages', 'patient_id');

CREATE TABLE notifications (
    id uuid PRIMARY KEY,
    event_id uuid NOT NULL,
    recipient_id uuid NOT NULL,
    channel text NOT NULL CHECK (channel IN ('in_app', 'mail')),
    kind text NOT NULL,
    about_entity text NOT NULL,
    about_id uuid NOT NULL,
    about_status text,
    state text NOT NULL
        CHECK (state IN ('queued', 'sending', 'delivered', 'read', 'failed', 'dropped')),
    attempts integer NOT NULL,
    delivered_at timestamptz,
    read_at timestamptz,
    -- When it failed or was dropped, and why.
    ended_at timestamptz,
    reason text,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL,
    CHECK ((state IN ('delivered', 'read')) = (delivered_at IS NOT NULL)),
    CHECK ((state = 'read') = (read_at IS NOT NULL)),
    CHECK ((state IN ('failed', 'dropped')) = (ended_at IS NOT NULL AND reason IS NOT NULL)),
    CONSTRAINT notifications_once UNIQUE (event_id, recipient_id, channel, kind)
);
CREATE INDEX notifications_recipient ON notifications (recipient_id, id DESC);
CREATE INDEX notifications_unread ON notifications (recipient_id)
    WHERE channel = 'in_app' AND state = 'delivered';
SELECT salus_protect('notifications', 'recipient_id');

CREATE TABLE notification_preferences (
    account_id uuid NOT NULL,
    kind text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('in_app', 'mail')),
    enabled boolean NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, kind, channel)
);
SELECT salus_protect('notification_preferences', 'account_id');

CREATE TABLE suppressed_mail_addresses (
    -- A blind index: the address itself is not here.
    address_index bytea PRIMARY KEY,
    notification_id uuid NOT NULL REFERENCES notifications (id),
    since timestamptz NOT NULL
);
