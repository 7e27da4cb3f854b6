-- Fills a clinic's tables with its past: what submissions leave behind, copied
-- from real ones with other ids and earlier times. Values that are sealed are
-- those of the real rows, and nobody opens them. Answers have their full size;
-- traces and the record's copies, which are several times as large and which
-- PostgreSQL would store apart, are cut, so that a million of them fit on a
-- small disk. The ids are in the order of time, as Salus makes them. The audit
-- log is not filled: a submission adds to its end and reads none of it.

CREATE FUNCTION bench_at(i bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT to_timestamp({base}::float8 + i * {step}::float8)
$$;

CREATE FUNCTION bench_id(kind text, i bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((({base}::float8 + i * {step}::float8) * 1000)::bigint), 12, '0')
        || '7' || substr(md5(kind || i), 1, 3) || '8' || substr(md5(kind || i), 5, 15))::uuid
$$;

CREATE TABLE bench_template AS
    SELECT row_number() OVER (ORDER BY r.id) - 1 AS n, r.id AS response_id, r.category_id,
        r.form_version_id, r.content, a.id AS assessment_id, a.state, a.outcome, a.reasons,
        substr(a.trace, 1, 1000) AS trace, a.priority, c.email, p.name, p.birth_date, p.sex, p.address, p.phone, p.time_zone
    FROM intake_responses r
    JOIN care_assessments a ON a.response_id = r.id
    JOIN identity_accounts c ON c.id = r.patient_id
    JOIN identity_profiles p ON p.patient_id = r.patient_id
    ORDER BY r.id LIMIT 200;
ALTER TABLE bench_template ADD PRIMARY KEY (n);

-- The two events that every submission causes.
CREATE TABLE bench_event AS
    SELECT kind, (array_agg(payload))[1] AS payload
    FROM outbox_events GROUP BY kind ORDER BY count(*) DESC LIMIT 2;

ANALYZE bench_template, bench_event;

CREATE PROCEDURE bench_fill(first bigint, last bigint) LANGUAGE plpgsql AS $$
DECLARE
    templates bigint := (SELECT count(*) FROM bench_template);
    providers uuid[] := ARRAY (SELECT provider_id FROM identity_providers ORDER BY 1);
BEGIN
    -- Every patient submits a few times.
    CREATE TEMPORARY TABLE batch ON COMMIT DROP AS
        SELECT i, i % {patients} AS patient, bench_id('patient', i % {patients}) AS patient_id,
            bench_id('response', i) AS response_id, bench_id('assessment', i) AS assessment_id,
            bench_id('plan', i) AS plan_id, bench_at(i) AS at,
            providers[1 + i % array_length(providers, 1)] AS provider_id, i % templates AS n,
            CASE WHEN t.outcome <> 'in_review' THEN 'not_needed'
                WHEN i % 500 = 0 THEN 'waiting'
                WHEN (i / templates + i) % 10 < 7 THEN 'approved'
                ELSE 'rejected' END AS review
        FROM generate_series(first, last) AS i
        JOIN bench_template t ON t.n = i % templates;

    INSERT INTO identity_accounts (id, email, email_index, status, status_at, created_at, version)
        SELECT patient_id, t.email, sha256(patient_id::text::bytea), 'active', at, at, 1
        FROM batch JOIN bench_template t USING (n) WHERE i < {patients};
    INSERT INTO identity_account_roles (account_id, role)
        SELECT patient_id, 'patient' FROM batch WHERE i < {patients};
    INSERT INTO identity_profiles (patient_id, name, birth_date, sex, address, state, phone,
            time_zone, updated_at, version)
        SELECT patient_id, t.name, t.birth_date, t.sex, t.address, t.state, t.phone, t.time_zone,
            at, 1
        FROM batch JOIN bench_template t USING (n) WHERE i < {patients};
    INSERT INTO analytics_journey (patient_id, stage, reached_at)
        SELECT patient_id, 'submitted', at FROM batch WHERE i < {patients};

    INSERT INTO intake_responses (id, patient_id, category_id, form_version_id, content,
            submitted_at)
        SELECT b.response_id, patient_id, category_id, form_version_id, content, at
        FROM batch b JOIN bench_template t USING (n);
    INSERT INTO idempotency_keys (actor, operation, key, fingerprint, resource, created_at)
        SELECT patient_id::text, 'intake.submit', sha256(response_id::text::bytea),
            sha256(assessment_id::text::bytea), response_id, at
        FROM batch;

    INSERT INTO care_assessments (id, patient_id, category_id, response_id, state, decided_at,
            outcome, reasons, trace, priority, due_at, review, review_provider_id, reviewed_at,
            treatment_plan_id, rejection_reason, version)
        SELECT b.assessment_id, patient_id, category_id, b.response_id, t.state, at, outcome,
            reasons, trace, priority,
            -- What waits is not overdue, or the minute's job would escalate it.
            CASE WHEN review = 'waiting' THEN now() + interval '3 days'
                WHEN review <> 'not_needed' THEN at + interval '1 day' END,
            review,
            CASE WHEN review IN ('approved', 'rejected') THEN provider_id END,
            CASE WHEN review IN ('approved', 'rejected') THEN at + interval '3 hours' END,
            CASE WHEN review = 'approved' THEN plan_id END,
            CASE WHEN review = 'rejected' THEN 'not_indicated' END,
            3
        FROM batch b JOIN bench_template t USING (n);
    INSERT INTO care_review_holders (patient_id, provider_id)
        SELECT patient_id, provider_id FROM batch WHERE review IN ('approved', 'rejected')
        ON CONFLICT DO NOTHING;
    -- The last submission of a patient is what is being treated.
    INSERT INTO care_treatment_plans (id, patient_id, provider_id, category_id, assessment_id,
            automatic, status, created_at, version, ended_at, end_reason)
        SELECT plan_id, patient_id, provider_id, category_id, b.assessment_id, false,
            CASE WHEN i >= {fill} - {patients} THEN 'active' ELSE 'completed' END, at, 1,
            CASE WHEN i < {fill} - {patients} THEN at + interval '90 days' END,
            CASE WHEN i < {fill} - {patients} THEN 'supply_used' END
        FROM batch b JOIN bench_template t USING (n) WHERE review = 'approved';
    INSERT INTO care_treatment_plan_versions (plan_id, number, patient_id, treatment, author_id,
            reason, created_at)
        SELECT plan_id, 1, patient_id, substr(t.trace, 1, 600), provider_id,
            substr(t.trace, 1, 100), at
        FROM batch JOIN bench_template t USING (n) WHERE review = 'approved';

    INSERT INTO record_resources (kind, id, patient_id, version, last_updated, deleted,
            source_version)
        SELECT r.kind, b.response_id, b.patient_id, 1, at, false, r.source_version
        FROM batch b JOIN bench_template t USING (n) JOIN record_resources r ON r.id = t.response_id;
    INSERT INTO record_versions (kind, id, version, patient_id, last_updated, deleted, content)
        SELECT r.kind, b.response_id, 1, b.patient_id, at, false, substr(r.content, 1, 1000)
        FROM batch b JOIN bench_template t USING (n) JOIN record_versions r ON r.id = t.response_id;
    INSERT INTO record_tokens (kind, id, patient_id, parameter, token)
        SELECT r.kind, b.response_id, b.patient_id, r.parameter, r.token
        FROM batch b JOIN bench_template t USING (n) JOIN record_tokens r ON r.id = t.response_id;

    INSERT INTO notifications (id, event_id, recipient_id, channel, kind, about_entity, about_id,
            about_status, state, attempts, delivered_at, created_at, version)
        SELECT bench_id(o.channel, i), bench_id('event', i), patient_id, o.channel, o.kind,
            o.about_entity, b.assessment_id, o.about_status, 'delivered', o.attempts, at, at, 2
        FROM batch b JOIN bench_template t USING (n) JOIN bench_notification o USING (n);

    INSERT INTO outbox_events (id, kind, payload, occurred_at)
        SELECT bench_id(e.kind, i), e.kind, e.payload, at FROM batch, bench_event e;
    DROP TABLE batch;
END $$;

CREATE TABLE bench_notification AS
    SELECT t.n, o.channel, o.kind, o.about_entity, o.about_status, o.attempts
    FROM bench_template t JOIN notifications o ON o.about_id = t.assessment_id;
CREATE INDEX ON bench_notification (n);
ANALYZE bench_notification;
