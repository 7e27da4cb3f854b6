-- Care: what it decides by, assessments with their reviews, treatment plans
-- with every version, tasks and video consultations.

CREATE TABLE care_rule_sets (
    id uuid PRIMARY KEY,
    category_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    rules jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT care_rule_sets_version UNIQUE (category_id, version)
);

CREATE TABLE care_protocols (
    category_id uuid PRIMARY KEY,
    treatment jsonb NOT NULL
);

CREATE TABLE care_dose_limits (
    rxnorm text PRIMARY KEY,
    display text NOT NULL,
    max_single double precision NOT NULL CHECK (max_single > 0),
    max_daily double precision NOT NULL CHECK (max_daily > 0),
    unit text NOT NULL,
    reference text NOT NULL
);

CREATE TABLE care_auto_approvals (
    state text NOT NULL,
    rxnorm text NOT NULL,
    PRIMARY KEY (state, rxnorm)
);

CREATE TABLE care_state_modalities (
    state text PRIMARY KEY,
    modality text NOT NULL CHECK (modality IN ('asynchronous', 'video'))
);

-- The trace holds answers and codes of the record, so it is sealed; so is what
-- a provider writes. A decision never changes, only its review does.
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
    review text NOT NULL
        CHECK (review IN ('not_needed', 'waiting', 'claimed', 'approved', 'rejected')),
    review_provider_id uuid,
    claimed_until timestamptz,
    reviewed_at timestamptz,
    treatment_plan_id uuid,
    rejection_reason text CHECK (rejection_reason IN ('contraindicated', 'not_indicated',
        'needs_in_person_visit', 'insufficient_information', 'other')),
    rejection_note bytea,
    version bigint NOT NULL,
    CHECK ((review IN ('not_needed', 'waiting')) = (review_provider_id IS NULL)),
    CHECK ((review = 'claimed') = (claimed_until IS NOT NULL)),
    CHECK ((review IN ('approved', 'rejected')) = (reviewed_at IS NOT NULL)),
    CHECK ((review = 'approved') = (treatment_plan_id IS NOT NULL)),
    CHECK ((review = 'rejected') = (rejection_reason IS NOT NULL)),
    CHECK ((outcome = 'in_review') = (review <> 'not_needed')),
    CHECK ((outcome = 'in_review') = (due_at IS NOT NULL))
);
CREATE INDEX care_assessments_patient ON care_assessments (patient_id, decided_at DESC);
CREATE INDEX care_assessments_queue ON care_assessments (state, priority, due_at, id)
    WHERE review IN ('waiting', 'claimed');
SELECT salus_protect('care_assessments', 'patient_id');

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
    created_at timestamptz NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX care_treatment_plans_patient ON care_treatment_plans (patient_id, created_at DESC);
CREATE INDEX care_treatment_plans_provider ON care_treatment_plans (provider_id, patient_id);
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

CREATE TABLE care_tasks (
    id uuid PRIMARY KEY,
    kind text NOT NULL
        CHECK (kind IN ('urgent_review', 'blocked_prescription', 'failed_prescription')),
    provider_id uuid,
    patient_id uuid NOT NULL,
    state text,
    subject_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'done')),
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    CONSTRAINT care_tasks_subject UNIQUE (kind, subject_id)
);
CREATE INDEX care_tasks_open ON care_tasks (provider_id, due_at, id) WHERE status = 'open';
SELECT salus_protect('care_tasks', 'patient_id');

CREATE TABLE care_consultations (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL,
    provider_id uuid NOT NULL,
    category_id uuid,
    state text NOT NULL,
    starts_at timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('scheduled', 'in_progress', 'completed')),
    room text CONSTRAINT care_consultations_room UNIQUE,
    notes bytea,
    version bigint NOT NULL,
    CONSTRAINT care_consultations_provider_slot UNIQUE (provider_id, starts_at),
    CONSTRAINT care_consultations_patient_slot UNIQUE (patient_id, starts_at)
);
SELECT salus_protect('care_consultations', 'patient_id');

-- The panel: a provider treats a patient whose review was ever held, for whom
-- there is a plan, or with whom there is a consultation.
CREATE FUNCTION salus_care_treats(provider uuid, patient uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM care_review_holders
                   WHERE provider_id = provider AND patient_id = patient)
        OR EXISTS (SELECT 1 FROM care_treatment_plans
                   WHERE provider_id = provider AND patient_id = patient)
        OR EXISTS (SELECT 1 FROM care_consultations
                   WHERE provider_id = provider AND patient_id = patient)
$$;
