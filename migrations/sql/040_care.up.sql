-- Care: what it decides by, assessments with their reviews, treatment plans
-- with every version, tasks, video consultations, and who treats whom.

-- Rules as data: drafts, publishing and rolling back, and versions for a state
-- or a drug.
CREATE TABLE care_rule_sets (
    id uuid PRIMARY KEY,
    category_id uuid NOT NULL,
    state text,
    rxnorm text,
    number integer NOT NULL CHECK (number > 0),
    based_on uuid REFERENCES care_rule_sets (id),
    status text NOT NULL CHECK (status IN ('draft', 'published', 'retired')),
    rules jsonb NOT NULL,
    note text,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    published_at timestamptz,
    version bigint NOT NULL CHECK (version > 0),
    CONSTRAINT care_rule_sets_number
        UNIQUE NULLS NOT DISTINCT (category_id, state, rxnorm, number),
    CONSTRAINT care_rule_sets_published CHECK ((status = 'draft') = (published_at IS NULL))
);
CREATE UNIQUE INDEX care_rule_sets_in_force
    ON care_rule_sets (category_id, state, rxnorm) NULLS NOT DISTINCT WHERE status = 'published';

-- A decision names the version that made it, so what was published stays.
CREATE FUNCTION care_rules_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.status <> 'draft' THEN
            RAISE EXCEPTION 'a published rule set stays'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN OLD;
    END IF;
    IF (NEW.id, NEW.category_id, NEW.state, NEW.rxnorm, NEW.number, NEW.created_at)
            IS DISTINCT FROM
            (OLD.id, OLD.category_id, OLD.state, OLD.rxnorm, OLD.number, OLD.created_at)
        OR (OLD.status <> 'draft' AND NEW.rules IS DISTINCT FROM OLD.rules)
        OR (OLD.status <> 'draft' AND NEW.status = 'draft')
    THEN
        RAISE EXCEPTION 'a published rule set never changes; add another'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER care_rule_sets_stay
    BEFORE UPDATE OR DELETE ON care_rule_sets
    FOR EACH ROW EXECUTE FUNCTION care_rules_stay();

-- What administrators set, each under a name and a key of its own: `protocol` by category,
-- `state_policy` by state, `formulary_drug` and `dosing_rule` by RxNorm concept, and
-- `assignment_policy`. Whoever changes a setting names the version that it replaces.
CREATE TABLE care_settings (
    name text NOT NULL,
    key text NOT NULL,
    value jsonb NOT NULL CHECK (jsonb_typeof(value) = 'object'),
    version bigint NOT NULL CHECK (version > 0),
    PRIMARY KEY (name, key)
);
-- Nothing is given out by itself until an administrator says so.
INSERT INTO care_settings (name, key, value, version) VALUES ('assignment_policy', 'clinic',
    '{"automatic": false, "within_hours": true, "hold_minutes": 120, "most_held": 20, "specialities": {}}', 1);

CREATE TABLE care_auto_approvals (
    state text NOT NULL,
    rxnorm text NOT NULL,
    PRIMARY KEY (state, rxnorm)
);

-- The trace holds answers and codes of the record, so it is sealed; so is what
-- a provider writes. A decision never changes, only its review does. A review
-- may wait for the patient, and its clock stands meanwhile; one that is overdue
-- is escalated once; and it gives way to that of a later response of the patient
-- in the category.
CREATE TABLE care_assessments (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL,
    category_id uuid NOT NULL,
    response_id uuid NOT NULL CONSTRAINT care_assessments_response UNIQUE,
    state text NOT NULL,
    decided_at timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('auto_approved', 'in_review', 'refused')),
    reasons bytea NOT NULL,
    trace bytea NOT NULL,
    priority smallint NOT NULL CHECK (priority IN (0, 1)),
    due_at timestamptz,
    escalated_at timestamptz,
    review text NOT NULL CHECK (review IN ('not_needed', 'waiting', 'claimed',
        'waiting_on_patient', 'approved', 'rejected', 'superseded')),
    review_provider_id uuid,
    claimed_until timestamptz,
    waiting_since timestamptz,
    seconds_left bigint CHECK (seconds_left >= 0),
    reviewed_at timestamptz,
    treatment_plan_id uuid,
    rejection_reason text CHECK (rejection_reason IN ('contraindicated', 'not_indicated',
        'needs_in_person_visit', 'insufficient_information', 'other')),
    rejection_note bytea,
    superseded_by uuid REFERENCES care_assessments (id),
    superseded_at timestamptz,
    version bigint NOT NULL,
    CHECK ((review IN ('not_needed', 'waiting', 'superseded')) = (review_provider_id IS NULL)),
    CHECK ((review = 'claimed') = (claimed_until IS NOT NULL)),
    CHECK ((review IN ('approved', 'rejected')) = (reviewed_at IS NOT NULL)),
    CHECK ((review = 'approved') = (treatment_plan_id IS NOT NULL)),
    CHECK ((review = 'rejected') = (rejection_reason IS NOT NULL)),
    CHECK ((outcome = 'in_review') = (review <> 'not_needed')),
    CHECK ((outcome = 'in_review') = (due_at IS NOT NULL)),
    CONSTRAINT care_assessments_waiting CHECK
        (num_nulls(waiting_since, seconds_left) = CASE review WHEN 'waiting_on_patient' THEN 0
            ELSE 2 END),
    CONSTRAINT care_assessments_superseded CHECK
        (num_nonnulls(superseded_by, superseded_at) = CASE review WHEN 'superseded' THEN 2
            ELSE 0 END)
);
CREATE INDEX care_assessments_patient ON care_assessments (patient_id, decided_at DESC);
CREATE INDEX care_assessments_category ON care_assessments (category_id, id DESC);
CREATE INDEX care_assessments_queue ON care_assessments (state, priority, due_at, id)
    WHERE review IN ('waiting', 'claimed');
CREATE INDEX care_assessments_unheld ON care_assessments (priority, due_at, id)
    WHERE review IN ('waiting', 'claimed');
CREATE INDEX care_assessments_overdue ON care_assessments (due_at)
    WHERE review IN ('waiting', 'claimed') AND escalated_at IS NULL;
CREATE INDEX care_assessments_held ON care_assessments (review_provider_id, claimed_until)
    WHERE review = 'claimed';
CREATE INDEX care_assessments_reviewer ON care_assessments (review_provider_id, patient_id)
    WHERE review_provider_id IS NOT NULL;
SELECT salus_protect('care_assessments', 'patient_id');

-- What a provider asks the patient during a review. The answer is sealed like
-- the question.
CREATE TABLE care_review_exchanges (
    id uuid PRIMARY KEY,
    assessment_id uuid NOT NULL REFERENCES care_assessments (id),
    patient_id uuid NOT NULL,
    asked_by uuid NOT NULL,
    asked_at timestamptz NOT NULL,
    question bytea NOT NULL,
    answered_at timestamptz,
    answer bytea,
    CHECK ((answered_at IS NULL) = (answer IS NULL))
);
CREATE INDEX care_review_exchanges_assessment ON care_review_exchanges (assessment_id, asked_at);
SELECT salus_protect('care_review_exchanges', 'patient_id');

-- Who was given which review, and who gave it back. A turn that is forgotten
-- still counts when turns are taken, but the review may come to them again.
CREATE TABLE care_review_turns (
    assessment_id uuid NOT NULL REFERENCES care_assessments (id),
    provider_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    assigned_at timestamptz,
    let_go_at timestamptz,
    forgotten boolean NOT NULL DEFAULT false,
    PRIMARY KEY (assessment_id, provider_id),
    CHECK (num_nonnulls(assigned_at, let_go_at) > 0)
);
CREATE INDEX care_review_turns_provider ON care_review_turns (provider_id, assigned_at);
SELECT salus_protect('care_review_turns', 'patient_id');

-- Which patients a provider has ever held a review of. It is what remains of a
-- claim after it was released, and it keeps the patient on the panel.
CREATE TABLE care_review_holders (
    patient_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    PRIMARY KEY (provider_id, patient_id)
);
SELECT salus_protect('care_review_holders', 'patient_id');

CREATE TABLE care_treatment_plans (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    category_id uuid NOT NULL,
    assessment_id uuid CONSTRAINT care_treatment_plans_assessment UNIQUE
        REFERENCES care_assessments (id),
    automatic boolean NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'completed', 'revoked')),
    -- How the plan ended. The note is a provider's own words and sealed.
    ended_at timestamptz,
    ended_by uuid,
    end_reason text CHECK (end_reason IN ('goal_reached', 'supply_used', 'superseded',
        'adverse_reaction', 'ineffective', 'contraindicated', 'patient_request',
        'entered_in_error', 'other')),
    end_note bytea,
    superseded_by uuid,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT care_treatment_plans_ending CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    CONSTRAINT care_treatment_plans_ended CHECK (ended_at IS NULL OR status <> 'active'),
    CONSTRAINT care_treatment_plans_superseded
        CHECK ((superseded_by IS NOT NULL) = (end_reason IS NOT DISTINCT FROM 'superseded'))
);
CREATE INDEX care_treatment_plans_patient ON care_treatment_plans (patient_id, created_at DESC);
CREATE INDEX care_treatment_plans_provider ON care_treatment_plans (provider_id, patient_id);
-- One active plan of a kind for a patient: a second one would be a second
-- supply of the same medicine.
CREATE UNIQUE INDEX care_treatment_plans_active
    ON care_treatment_plans (patient_id, category_id) WHERE status = 'active';
SELECT salus_protect('care_treatment_plans', 'patient_id');

CREATE TABLE care_treatment_plan_versions (
    plan_id uuid NOT NULL REFERENCES care_treatment_plans (id),
    number integer NOT NULL CHECK (number > 0),
    patient_id uuid NOT NULL,
    treatment bytea NOT NULL,
    author_id uuid NOT NULL,
    reason bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (plan_id, number)
);
SELECT salus_protect('care_treatment_plan_versions', 'patient_id');
CREATE TRIGGER care_treatment_plan_versions_append_only
    BEFORE UPDATE OR DELETE ON care_treatment_plan_versions
    FOR EACH ROW EXECUTE FUNCTION salus_append_only();

-- What a provider has to do: a review that is urgent or overdue, a prescription
-- that is blocked or failed, a changed treatment whose prescription was withdrawn,
-- a plan that nobody has prescribed or whose patient has changed since, what a
-- patient under treatment tells that speaks against it, a held fill, a pharmacy
-- that has to be phoned. Tasks are worked: done, put off, handed on. The note is
-- a provider's own words and sealed.
CREATE TABLE care_tasks (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind ~ '^[a-z_]+$'),
    provider_id uuid,
    patient_id uuid NOT NULL,
    state text,
    subject_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'done')),
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    snoozed_until timestamptz,
    done_at timestamptz,
    done_by uuid,
    note bytea,
    version bigint NOT NULL CHECK (version > 0),
    CONSTRAINT care_tasks_done CHECK ((status = 'done') = (done_at IS NOT NULL)),
    CONSTRAINT care_tasks_ending CHECK (done_at IS NOT NULL OR num_nonnulls(done_by, note) = 0)
);
-- A subject can have another task of a kind once the one before is done.
CREATE UNIQUE INDEX care_tasks_subject ON care_tasks (kind, subject_id) WHERE status = 'open';
CREATE INDEX care_tasks_about ON care_tasks (subject_id) WHERE status = 'open';
CREATE INDEX care_tasks_open_of_patient ON care_tasks (patient_id) WHERE status = 'open';
-- The dashboard of a provider.
CREATE INDEX care_tasks_open ON care_tasks (provider_id, due_at, id) WHERE status = 'open';
CREATE INDEX care_tasks_unassigned ON care_tasks (state, due_at, id)
    WHERE status = 'open' AND provider_id IS NULL;
CREATE INDEX care_tasks_past ON care_tasks (provider_id, done_at DESC, id DESC)
    WHERE status = 'done';
SELECT salus_protect('care_tasks', 'patient_id');
-- What is restrictive narrows what the patient's wall lets through. Of a patient
-- whom a provider has handed over, they end or give away what is still open with
-- them.
CREATE POLICY handover_scope ON care_tasks AS RESTRICTIVE
    USING (NOT salus_is_handed_over(patient_id) OR (status = 'open'
        AND provider_id = nullif(current_setting('salus.provider', true), '')::uuid))
    WITH CHECK (true);

CREATE TABLE care_consultations (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    category_id uuid,
    state text NOT NULL,
    starts_at timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('scheduled', 'in_progress', 'completed', 'canceled')),
    room text CONSTRAINT care_consultations_room UNIQUE,
    -- When somebody first connected, and when the provider closed the visit.
    began_at timestamptz,
    ended_at timestamptz,
    notes bytea,
    version bigint NOT NULL
);
-- A meeting that is over or was called off takes no slot.
CREATE UNIQUE INDEX care_consultations_provider_slot
    ON care_consultations (provider_id, starts_at) WHERE status IN ('scheduled', 'in_progress');
CREATE UNIQUE INDEX care_consultations_patient_slot
    ON care_consultations (patient_id, starts_at) WHERE status IN ('scheduled', 'in_progress');
-- One's own visits by their time, for the lists of patients and of providers.
CREATE INDEX care_consultations_patient_time ON care_consultations (patient_id, starts_at, id);
CREATE INDEX care_consultations_provider_time ON care_consultations (provider_id, starts_at, id);
-- The panel of a provider.
CREATE INDEX care_consultations_panel ON care_consultations (provider_id, patient_id, starts_at);
SELECT salus_protect('care_consultations', 'patient_id');

-- Charts opened in an emergency by a provider who does not treat the patient.
CREATE TABLE care_break_glass (
    id uuid PRIMARY KEY,
    provider_id uuid NOT NULL,
    patient_id uuid NOT NULL,
    reason bytea NOT NULL,
    opened_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > opened_at),
    reviewed_at timestamptz,
    reviewed_by uuid,
    justified boolean,
    review_note bytea,
    version bigint NOT NULL CHECK (version > 0),
    CHECK (num_nulls(reviewed_at, reviewed_by, justified, review_note) IN (0, 4))
);
CREATE INDEX care_break_glass_open ON care_break_glass (provider_id, patient_id, expires_at);
CREATE INDEX care_break_glass_pending ON care_break_glass (id) WHERE reviewed_at IS NULL;
SELECT salus_protect('care_break_glass', 'patient_id');

-- The providers whose licenses, role or account have changed, who are looked at
-- again and again.
CREATE TABLE care_standing (
    provider_id uuid PRIMARY KEY,
    changed_at timestamptz NOT NULL
);

-- The patients who are a provider's, whatever makes them so: a review that was
-- ever held, a plan, or a consultation that was not called off. One who is not
-- closed to them is treated by them.
CREATE FUNCTION salus_care_panel(provider uuid) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT patient_id FROM care_review_holders WHERE provider_id = provider
    UNION ALL
    SELECT patient_id FROM care_treatment_plans WHERE provider_id = provider
    UNION ALL
    SELECT patient_id FROM care_consultations
        WHERE provider_id = provider AND status <> 'canceled'
$$;

-- Whether a chart is closed to a provider, for whatever reason.
CREATE FUNCTION salus_care_is_closed(provider uuid, patient uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM care_closed_charts
                   WHERE provider_id = provider AND patient_id = patient
                   AND (unlicensed OR handed_over_at IS NOT NULL))
$$;

CREATE FUNCTION salus_care_treats(provider uuid, patient uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT NOT salus_care_is_closed(provider, patient)
        AND EXISTS (SELECT 1 FROM salus_care_panel(provider) AS panel (patient_id)
                    WHERE panel.patient_id = patient)
$$;

-- Opens a chart again that was closed by a handover. A patient who books a
-- visit does so as well, in whose name the table itself shows and changes
-- nothing.
CREATE FUNCTION salus_care_rejoin(provider uuid, patient uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    scope text := current_setting('salus.scope', true);
BEGIN
    PERFORM set_config('salus.scope', 'system', true);
    UPDATE care_closed_charts SET handed_over_at = NULL
    WHERE provider_id = provider AND patient_id = patient AND handed_over_at IS NOT NULL;
    PERFORM set_config('salus.scope', scope, true);
END $$;
