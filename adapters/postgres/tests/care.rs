//! Care on PostgreSQL: its use cases against the store, with the neighbours
//! played by what a test says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use care::{
    CareError, CareStore, CategoryTerms, ClinicalFacts, Colleague, Dose, DoseLimit, Frequency,
    IntakeReader, Medication, Modality, PatientFacts, PeriodUnit, PlanStatus, Prescribed, Protocol,
    ProviderDirectory, RejectionReason, Review, Rule, Severity, Sources, Standing,
    SubmittedResponse, Treatment, assess,
    consultations::{self, Booking, CreateVideoRoom},
    plans::{self, PlanRequest, TreatmentChanges},
    reviews::{self, Approval},
    setup,
    tasks::{self, Shown},
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use kernel::{
    AccountId, Actor, ActorKind, AssessmentId, CategoryId, Coding, DeaSchedule, FormResponseId,
    PageRequest, PatientId, Permission, PrescriptionId, ProviderId, RequestContext, Role, Seen,
    Sex, Speciality, TreatmentPlanId, UsState, Uuid,
};
use ports::{
    IdempotencyKey, Panel as _, PortError,
    events::{AssessmentOutcome, PrescriptionStatusWord},
    repository::{get, lock},
};
use salus_tests::Database;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::json;

const CATEGORY: CategoryId = CategoryId(Uuid::from_u128(0xca7));
const IN_MASSACHUSETTS: ProviderId = ProviderId(Uuid::from_u128(0xa1));
const ALSO_THERE: ProviderId = ProviderId(Uuid::from_u128(0xa2));
const IN_TEXAS: ProviderId = ProviderId(Uuid::from_u128(0xb1));
const ADA: PatientId = PatientId(Uuid::from_u128(0xada));
const EVE: PatientId = PatientId(Uuid::from_u128(0xe7e));
const AUDITOR: AccountId = AccountId(Uuid::from_u128(0xa0d1));

/// What intake, identity and the record would say.
#[derive(Default)]
struct Neighbours {
    responses: Mutex<BTreeMap<FormResponseId, SubmittedResponse>>,
    states: Mutex<BTreeMap<PatientId, UsState>>,
    licenses: Mutex<BTreeMap<ProviderId, Vec<UsState>>>,
    /// Those who have not answered for medications and allergies.
    unanswered: Mutex<Vec<PatientId>>,
    /// Those who say that they are women.
    women: Mutex<Vec<PatientId>>,
    /// What the safety check finds against any treatment.
    alerts: Mutex<Vec<care::SafetyAlert>>,
    covers: Mutex<BTreeMap<PatientId, care::VisitCover>>,
    terms: Mutex<CategoryTerms>,
    skills: Mutex<BTreeMap<ProviderId, BTreeSet<Speciality>>>,
    away: Mutex<BTreeSet<ProviderId>>,
    /// The one shift of those who have said when they work.
    hours: Mutex<BTreeMap<ProviderId, std::ops::Range<DateTime<Utc>>>>,
}

#[async_trait]
impl IntakeReader for Neighbours {
    async fn submitted(&self, id: FormResponseId) -> ports::Result<Option<SubmittedResponse>> {
        Ok(self.responses.lock().unwrap().get(&id).cloned())
    }

    async fn asked(&self, id: FormResponseId) -> ports::Result<Option<Vec<care::AskedQuestion>>> {
        let found = self.responses.lock().unwrap().get(&id).cloned();
        Ok(found.map(|response| {
            let asked = |(link_id, value): (String, serde_json::Value)| care::AskedQuestion {
                question: format!("Does it {link_id}?"),
                answer: value.to_string(),
                link_id,
                value,
            };
            response.answers.into_iter().map(asked).collect()
        }))
    }
}

#[async_trait]
impl care::SafetyChecks for Neighbours {
    async fn alerts(
        &self,
        _: PatientId,
        _: &Treatment,
        _: Option<TreatmentPlanId>,
    ) -> ports::Result<Vec<care::SafetyAlert>> {
        Ok(self.alerts.lock().unwrap().clone())
    }
}

#[async_trait]
impl PatientFacts for Neighbours {
    async fn facts(&self, patient: PatientId) -> ports::Result<Option<ClinicalFacts>> {
        Ok(self.states.lock().unwrap().get(&patient).map(|state| ClinicalFacts {
            birth_date: NaiveDate::from_ymd_opt(1990, 1, 1).unwrap(),
            sex: match self.women.lock().unwrap().contains(&patient) {
                true => Sex::Female,
                false => Sex::Male,
            },
            state: *state,
            medications: vec![Coding::new("rxnorm", "1", "Aspirin 81 MG Oral Tablet")],
            allergies: vec![],
            record_answered: !self.unanswered.lock().unwrap().contains(&patient),
        }))
    }

    async fn names(
        &self,
        _: &[PatientId],
    ) -> ports::Result<BTreeMap<PatientId, care::PatientName>> {
        Ok(BTreeMap::new())
    }

    async fn states(&self, patients: &[PatientId]) -> ports::Result<BTreeMap<PatientId, UsState>> {
        let known = self.states.lock().unwrap();
        let found = |patient: &PatientId| Some((*patient, *known.get(patient)?));
        Ok(patients.iter().filter_map(found).collect())
    }
}

#[async_trait]
impl ProviderDirectory for Neighbours {
    async fn at_work(
        &self,
        provider: ProviderId,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> ports::Result<Option<bool>> {
        let hours = self.hours.lock().unwrap();
        Ok(hours.get(&provider).map(|shift| shift.start <= from && until <= shift.end))
    }

    async fn licensed_states(
        &self,
        provider: ProviderId,
        _: DateTime<Utc>,
    ) -> ports::Result<Vec<UsState>> {
        Ok(self.licenses.lock().unwrap().get(&provider).cloned().unwrap_or_default())
    }

    async fn licensed_providers(
        &self,
        state: UsState,
        _: DateTime<Utc>,
    ) -> ports::Result<Vec<ProviderId>> {
        let licenses = self.licenses.lock().unwrap();
        Ok(licenses
            .iter()
            .filter(|(_, states)| states.contains(&state))
            .map(|(provider, _)| *provider)
            .collect())
    }

    async fn access_reviewers(&self) -> ports::Result<Vec<AccountId>> {
        Ok(vec![AUDITOR])
    }

    async fn is_provider(&self, provider: ProviderId) -> ports::Result<bool> {
        Ok(self.licenses.lock().unwrap().contains_key(&provider))
    }

    async fn is_patient(&self, patient: PatientId) -> ports::Result<bool> {
        Ok(self.states.lock().unwrap().contains_key(&patient))
    }

    async fn colleagues(&self, state: UsState, at: DateTime<Utc>) -> ports::Result<Vec<Colleague>> {
        let licensed = self.licensed_providers(state, at).await?;
        let (skills, away) = (self.skills.lock().unwrap(), self.away.lock().unwrap());
        let licenses = self.licenses.lock().unwrap();
        Ok(licensed
            .into_iter()
            .map(|provider| Colleague {
                provider,
                licensed_in: licenses[&provider].clone(),
                specialities: skills.get(&provider).cloned().unwrap_or_default(),
                on_duty: Some(!away.contains(&provider)),
            })
            .collect())
    }

    async fn standing(
        &self,
        provider: ProviderId,
        at: DateTime<Utc>,
        _: u32,
    ) -> ports::Result<Standing> {
        let licensed_in = self.licensed_states(provider, at).await?;
        Ok(Standing { licensed_in, zone: Some(Tz::America__New_York), expiring: Vec::new() })
    }
}

struct Setting {
    database: Database,
    neighbours: Arc<Neighbours>,
    sources: Sources,
}

async fn setting() -> Setting {
    let database = Database::fresh().await;
    let neighbours = Arc::new(Neighbours::default());
    for (provider, state) in
        [(IN_MASSACHUSETTS, UsState::Ma), (ALSO_THERE, UsState::Ma), (IN_TEXAS, UsState::Tx)]
    {
        neighbours.licenses.lock().unwrap().insert(provider, vec![state]);
    }
    for patient in [ADA, EVE] {
        neighbours.states.lock().unwrap().insert(patient, UsState::Ma);
    }
    let sources = Sources {
        intake: neighbours.clone(),
        facts: neighbours.clone(),
        directory: neighbours.clone(),
        covers: neighbours.clone(),
        safety: neighbours.clone(),
    };
    let setting = Setting { database, neighbours, sources };
    setting.publish().await;
    setting.seat(&[IN_MASSACHUSETTS, ALSO_THERE, IN_TEXAS]).await;
    setting
}

fn treatment() -> Treatment {
    Treatment {
        medication: Medication {
            rxnorm: "200172".parse().unwrap(),
            ndc: "31722052630".parse().unwrap(),
            display: "finasteride 1 MG Oral Tablet".into(),
        },
        dose: Dose { value: 1.0, unit: "mg".into() },
        sig: "Take 1 tablet by mouth once a day.".into(),
        frequency: Frequency {
            frequency: 1,
            period: 1,
            period_unit: PeriodUnit::D,
            as_needed: false,
        },
        duration_days: 30,
        quantity: 30,
        quantity_unit: "tablet".into(),
        refills: 5,
        diagnosis: "L64.9".parse().unwrap(),
        titration: None,
        kidneys: None,
        overrides: Vec::new(),
    }
}

fn rule(id: &str, severity: Severity, expression: &str, urgent: bool) -> Rule {
    Rule {
        id: id.into(),
        description: id.into(),
        severity,
        expression: expression.into(),
        reason_code: id.into(),
        reason_text: format!("Because of {id}."),
        urgent,
    }
}

fn account(id: Uuid, role: Role, permissions: &[Permission]) -> Actor {
    Actor {
        kind: ActorKind::Account {
            account: AccountId(id),
            session: Uuid::from_u128(1).into(),
            roles: Arc::new([role].into()),
        },
        permissions: Arc::new(permissions.iter().copied().collect()),
        request: RequestContext::default(),
    }
}

fn provider(id: ProviderId) -> Actor {
    account(
        id.uuid(),
        Role::Provider,
        &[
            Permission::ReviewWork,
            Permission::TreatmentWrite,
            Permission::PatientRead,
            Permission::TaskWork,
            Permission::ConsultationConduct,
            Permission::BreakGlass,
        ],
    )
}

fn patient(id: PatientId) -> Actor {
    account(id.uuid(), Role::Patient, &[Permission::ConsultationOwn])
}

/// The version of what is changed, or any.
fn any_or(version: Option<i64>) -> Seen {
    version.map_or(Seen::Any, Seen::from)
}

/// The version of a setting that is replaced; that of one that is not there is 0.
fn replaced(version: Option<i64>) -> Seen {
    Seen::from(version.unwrap_or(0))
}

fn key(operation: &'static str, key: &str) -> IdempotencyKey {
    IdempotencyKey { operation, key: key.into(), fingerprint: [7; 32] }
}

impl Setting {
    fn store(&self) -> &dyn CareStore {
        &self.database.pg
    }

    async fn publish(&self) {
        let (actor, env, store) = (Actor::system("tests.care"), &self.database.env, self.store());
        let rules = vec![
            rule("refused", Severity::Refuse, "answers.refuse", false),
            rule("doubtful", Severity::Review, "answers.review", false),
            rule("danger", Severity::Review, "scores.phq9_9 > 0", true),
        ];
        setup::publish_rules(env, store, &actor, CATEGORY, rules).await.unwrap();
        let limit = DoseLimit {
            rxnorm: "200172".parse().unwrap(),
            display: "finasteride 1 MG Oral Tablet".into(),
            max_single: 1.0,
            max_daily: 1.0,
            unit: "mg".into(),
            reference: "The label.".into(),
            strength: "1 MG".into(),
            schedule: DeaSchedule::None,
            ndcs: vec!["31722052630".parse().unwrap()],
            max_weekly: None,
            to_confirm: None,
            followed_by: None,
        };
        setup::set_dose_limit(store, &actor, &limit).await.unwrap();
        let protocol = Protocol { category: CATEGORY, treatment: treatment() };
        setup::set_protocol(store, &actor, &protocol).await.unwrap();
        setup::set_modality(store, &actor, UsState::Ma, Modality::Asynchronous).await.unwrap();
        let drug = &limit.rxnorm;
        setup::allow_auto_approval(store, &actor, UsState::Ma, drug).await.unwrap();
    }

    /// Gives providers accounts with licenses in every state that a test asks for:
    /// what the directory says decides, until a test changes the rows.
    async fn seat(&self, providers: &[ProviderId]) {
        let ids: Vec<String> = providers.iter().map(|one| format!("('{one}'::uuid)")).collect();
        let ids = ids.join(", ");
        let sql = format!(
            "INSERT INTO identity_accounts (id, email, email_index, status, status_at, \
             created_at, version) SELECT id, '', uuid_send(id), 'active', now(), now(), 1 \
             FROM (VALUES {ids}) AS they (id); \
             INSERT INTO identity_account_roles SELECT id, 'provider' \
             FROM (VALUES {ids}) AS they (id); \
             INSERT INTO identity_providers (provider_id, given_name, family_name, npi, \
             specialities, updated_at, version) SELECT id, 'A', 'B', id::text, '{{}}', now(), 1 \
             FROM (VALUES {ids}) AS they (id); \
             INSERT INTO identity_licenses SELECT id, state, 'N-1', '2199-12-31', 'active' \
             FROM (VALUES {ids}) AS they (id), unnest(ARRAY['MA', 'TX', 'NY', 'CA']) AS state"
        );
        self.database.superuser().await.execute_unprepared(&sql).await.unwrap();
    }

    /// A patient in Massachusetts whom nobody has seen before.
    fn newcomer(&self) -> PatientId {
        let patient: PatientId = self.database.env.fresh();
        self.neighbours.states.lock().unwrap().insert(patient, UsState::Ma);
        patient
    }

    /// Submits a response; the words say which rules fire.
    fn submit(&self, patient: PatientId, fires: &[&str]) -> FormResponseId {
        let response: FormResponseId = self.database.env.fresh();
        let answers =
            ["refuse", "review"].map(|name| (name.to_owned(), json!(fires.contains(&name)))).into();
        let danger = if fires.contains(&"danger") { 1.0 } else { 0.0 };
        let submitted = SubmittedResponse {
            id: response,
            patient,
            category: CATEGORY,
            submitted_at: self.database.env.now(),
            answers,
            scores: [("phq9_9".to_owned(), danger)].into(),
        };
        self.neighbours.responses.lock().unwrap().insert(response, submitted);
        response
    }

    async fn assess(&self, patient: PatientId, fires: &[&str]) -> AssessmentId {
        let response = self.submit(patient, fires);
        self.deliver(response).await.unwrap();
        let mut tx = self.store().begin(&Actor::system("tests.care")).await.unwrap();
        tx.assessment_of(response).await.unwrap().unwrap()
    }

    async fn deliver(&self, response: FormResponseId) -> Result<(), CareError> {
        let env = &self.database.env;
        assess::on_response_submitted(env, self.store(), &self.sources, response).await
    }

    async fn count(&self, sql: &str) -> i64 {
        let superuser = self.database.superuser().await;
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = superuser.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    async fn claim(&self, id: AssessmentId, by: ProviderId) -> Result<Review, CareError> {
        let env = &self.database.env;
        let actor = provider(by);
        reviews::claim(env, self.store(), &self.sources, &actor, id)
            .await
            .map(|assessment| assessment.review)
    }

    async fn queue(&self, of: ProviderId) -> Vec<AssessmentId> {
        let (env, page) = (&self.database.env, PageRequest::default());
        let actor = provider(of);
        let page = reviews::queue(env, self.store(), &self.sources, &actor, &page).await.unwrap();
        page.items.into_iter().map(|item| item.id).collect()
    }

    /// The version of the whole review as the provider reads it; nothing where
    /// they may not.
    async fn read(&self, id: AssessmentId, by: ProviderId, treatment: Option<Treatment>) -> String {
        let (env, actor) = (&self.database.env, provider(by));
        let read =
            care::whole_review::read(env, self.store(), &self.sources, &actor, id, treatment);
        read.await.map(|whole| whole.version()).unwrap_or_default()
    }

    async fn approve(
        &self,
        id: AssessmentId,
        by: ProviderId,
        treatment: Option<Treatment>,
        key_text: &str,
    ) -> Result<care::TreatmentPlan, CareError> {
        let key = key("care.approve_review", key_text);
        let (env, actor) = (&self.database.env, provider(by));
        let seen = self.read(id, by, treatment.clone()).await;
        let approval = Approval { seen, treatment, ..Approval::default() };
        reviews::approve(env, self.store(), &self.sources, &actor, id, approval, &key).await
    }
}

#[tokio::test]
async fn whoever_has_not_answered_for_the_record_is_seen_by_a_provider() {
    let setting = setting().await;
    setting.neighbours.unanswered.lock().unwrap().push(EVE);
    setting.assess(ADA, &[]).await;
    setting.assess(EVE, &[]).await;
    let of = async |who: PatientId| {
        reviews::own(setting.store(), &patient(who)).await.unwrap().remove(0)
    };
    assert_eq!(of(ADA).await.outcome, AssessmentOutcome::AutoApproved);
    let eve = of(EVE).await;
    assert_eq!(eve.outcome, AssessmentOutcome::InReview);
    assert_eq!(eve.reasons[0].code, "record_unanswered");
}

#[tokio::test]
async fn a_response_is_assessed_once_however_often_it_is_delivered() {
    let setting = setting().await;
    let id = setting.assess(ADA, &[]).await;
    let actor = patient(ADA);
    let assessment = reviews::own_one(setting.store(), &actor, id).await.unwrap();
    assert_eq!(assessment.outcome, AssessmentOutcome::AutoApproved);
    setting.deliver(assessment.response).await.unwrap();
    assert_eq!(setting.count("SELECT count(*) FROM care_assessments").await, 1);

    let plans = plans::of_patient(setting.store(), &actor, ADA).await.unwrap();
    assert_eq!(plans.len(), 1);
    assert!(plans[0].automatic && plans[0].provider == IN_MASSACHUSETTS);
    assert_eq!(plans[0].current().treatment, treatment());
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'treatment_plan_created' \
                AND (payload->>'automatic')::boolean";
    assert_eq!(setting.count(told).await, 1);
}

#[tokio::test]
async fn the_stored_trace_decides_the_same_again_and_lies_sealed() {
    let setting = setting().await;
    let id = setting.assess(ADA, &["review"]).await;
    let actor = Actor::system("tests.care");
    let mut tx = setting.store().begin(&actor).await.unwrap();
    let assessment: care::Assessment = get(tx.as_mut(), id).await.unwrap();
    let (decision, trace) = assessment.trace.replay();
    assert_eq!(decision.reasons, assessment.reasons);
    assert_eq!(trace, assessment.trace);
    assert_eq!(trace.rule_set_version, 1);
    let open = "SELECT count(*) FROM care_assessments WHERE position('aspirin' in \
                lower(encode(trace, 'escape'))) > 0";
    assert_eq!(setting.count(open).await, 0);
}

#[tokio::test]
async fn a_refusal_is_not_queued_and_a_danger_goes_first_with_a_task() {
    let setting = setting().await;
    setting.assess(ADA, &["refuse"]).await;
    let doubtful = setting.assess(ADA, &["review"]).await;
    setting.database.clock.advance(TimeDelta::hours(2));
    let urgent = setting.assess(EVE, &["danger"]).await;
    assert_eq!(setting.queue(IN_MASSACHUSETTS).await, [urgent, doubtful]);
    assert_eq!(setting.queue(IN_TEXAS).await, []);

    let (env, page) = (&setting.database.env, PageRequest::default());
    let mut found = Vec::new();
    for who in [IN_MASSACHUSETTS, ALSO_THERE, IN_TEXAS] {
        let actor = provider(who);
        let listed =
            tasks::list(env, setting.store(), &setting.sources, &actor, Shown::Open, &page)
                .await
                .unwrap();
        found.extend(listed.items.into_iter().map(|task| (task.subject, task.patient)));
    }
    assert_eq!(found, [(urgent.uuid(), EVE)]);
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'task_created'";
    assert_eq!(setting.count(told).await, 1);
}

#[tokio::test]
async fn a_license_counts_where_the_patient_is_and_when_it_is_signed() {
    let setting = setting().await;
    let id = setting.assess(ADA, &["review"]).await;
    let unseen = setting.claim(id, IN_TEXAS).await;
    assert!(matches!(unseen, Err(CareError::Port(PortError::NotFound { .. }))), "{unseen:?}");
    let denied = "SELECT count(*) FROM audit_entries WHERE outcome = 'denied'";
    assert_eq!(setting.count(denied).await, 1);

    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    setting.neighbours.licenses.lock().unwrap().insert(IN_MASSACHUSETTS, vec![]);
    let expired = setting.approve(id, IN_MASSACHUSETTS, None, "k1").await;
    assert!(matches!(expired, Err(CareError::LicenseRequired(UsState::Ma))), "{expired:?}");
    assert_eq!(setting.count("SELECT count(*) FROM care_treatment_plans").await, 0);

    // A patient who has moved is treated where they are now.
    setting.neighbours.licenses.lock().unwrap().insert(IN_MASSACHUSETTS, vec![UsState::Ma]);
    setting.neighbours.states.lock().unwrap().insert(ADA, UsState::Tx);
    let moved = setting.approve(id, IN_MASSACHUSETTS, None, "k2").await;
    assert!(matches!(moved, Err(CareError::LicenseRequired(UsState::Tx))), "{moved:?}");
}

#[tokio::test]
async fn an_approval_makes_one_plan_and_repeating_it_none_more() {
    let setting = setting().await;
    let id = setting.assess(ADA, &["review"]).await;
    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    let mut heavy = treatment();
    heavy.dose.value = 5.0;
    let refused = setting.approve(id, IN_MASSACHUSETTS, Some(heavy), "k0").await;
    assert!(matches!(refused, Err(CareError::Invalid(_))), "{refused:?}");

    let plan = setting.approve(id, IN_MASSACHUSETTS, None, "k1").await.unwrap();
    let again = setting.approve(id, IN_MASSACHUSETTS, None, "k1").await.unwrap();
    assert_eq!(plan, again);
    let closed = setting.approve(id, IN_MASSACHUSETTS, None, "k2").await;
    assert!(matches!(closed, Err(CareError::ReviewClosed)), "{closed:?}");
    let stranger = setting.approve(id, ALSO_THERE, None, "k3").await;
    assert!(matches!(stranger, Err(CareError::Port(PortError::NotFound { .. }))), "{stranger:?}");
    assert_eq!(setting.count("SELECT count(*) FROM care_treatment_plans").await, 1);
}

#[tokio::test]
async fn another_form_under_treatment_goes_to_a_provider_who_cannot_double_the_medicine() {
    let setting = setting().await;
    setting.assess(ADA, &[]).await;
    let again = setting.assess(ADA, &[]).await;
    let seen = reviews::own_one(setting.store(), &patient(ADA), again).await.unwrap();
    assert_eq!(seen.outcome, AssessmentOutcome::InReview);
    assert_eq!(seen.reasons[0].code, "already_under_treatment");
    assert!(seen.trace.gates.under_treatment);

    setting.claim(again, IN_MASSACHUSETTS).await.unwrap();
    let second = setting.approve(again, IN_MASSACHUSETTS, None, "k1").await;
    assert!(matches!(second, Err(CareError::AlreadyTreated)), "{second:?}");
    let (env, actor) = (&setting.database.env, provider(IN_MASSACHUSETTS));
    let request = PlanRequest {
        patient: ADA,
        category: CATEGORY,
        treatment: treatment(),
        reason: "Once more.".into(),
        supersedes: None,
        met_elsewhere: None,
    };
    let key = key("care.create_plan", "k2");
    let store = setting.store();
    let second = plans::create(env, store, &setting.sources, &actor, request, &key).await;
    assert!(matches!(second, Err(CareError::AlreadyTreated)), "{second:?}");
    assert_eq!(setting.count("SELECT count(*) FROM care_treatment_plans").await, 1);

    // The last fill ends the plan, and the way is free for the next one.
    let plan = plans::of_patient(store, &actor, ADA).await.unwrap().remove(0);
    for _ in 0..2 {
        let status = PrescriptionStatusWord::Completed;
        plans::on_prescription_changed(env, store, (plan.id, 1), status).await.unwrap();
    }
    let plan = plans::of_patient(store, &actor, ADA).await.unwrap().remove(0);
    assert_eq!(plan.status, PlanStatus::Completed);
    setting.approve(again, IN_MASSACHUSETTS, None, "k3").await.unwrap();
}

#[tokio::test]
async fn of_eight_forms_assessed_at_once_one_is_approved_automatically() {
    let setting = Arc::new(setting().await);
    let responses: Vec<_> = (0..8).map(|_| setting.submit(ADA, &[])).collect();
    let handlers: Vec<_> = responses
        .into_iter()
        .map(|response| {
            let setting = Arc::clone(&setting);
            tokio::spawn(async move {
                // A delivery that failed is repeated.
                while setting.deliver(response).await.is_err() {}
            })
        })
        .collect();
    for handler in handlers {
        handler.await.unwrap();
    }
    let outcomes = "SELECT count(*) FROM care_assessments WHERE outcome = 'in_review'";
    assert_eq!(setting.count(outcomes).await, 7);
    assert_eq!(setting.count("SELECT count(*) FROM care_treatment_plans").await, 1);
}

#[tokio::test]
async fn a_claim_puts_the_patient_on_the_panel_and_release_gives_the_review_back() {
    let setting = setting().await;
    let id = setting.assess(ADA, &["review"]).await;
    let (env, pg) = (&setting.database.env, &setting.database.pg);
    let actor = provider(IN_MASSACHUSETTS);
    let chart = |actor: Actor| async move { reviews::eligibility(pg, &actor, ADA).await };
    let before = chart(actor.clone()).await;
    assert!(matches!(before, Err(CareError::Port(PortError::NotFound { .. }))), "{before:?}");
    assert!(!pg.treats(IN_MASSACHUSETTS, ADA).await.unwrap());

    reviews::claim(env, pg, &setting.sources, &actor, id).await.unwrap();
    assert!(pg.treats(IN_MASSACHUSETTS, ADA).await.unwrap());
    assert!(!pg.treats(IN_MASSACHUSETTS, EVE).await.unwrap());
    assert!(!pg.treats(ALSO_THERE, ADA).await.unwrap());
    let assessments = chart(actor.clone()).await.unwrap();
    assert_eq!(assessments[0].trace.rules.len(), 3);

    reviews::release(env, pg, &setting.sources, &actor, id).await.unwrap();
    assert!(pg.treats(IN_MASSACHUSETTS, ADA).await.unwrap());
    let other = provider(ALSO_THERE);
    reviews::claim(env, pg, &setting.sources, &other, id).await.unwrap();
    let reason = RejectionReason::NotIndicated;
    let note = Some("Telogen effluvium is likelier.".to_owned());
    reviews::reject(env, pg, &setting.sources, &other, id, reason, note).await.unwrap();
    let seen = reviews::own_one(pg, &patient(ADA), id).await.unwrap();
    assert!(matches!(seen.review, Review::Rejected { .. }));
}

#[tokio::test]
async fn a_patient_reaches_their_own_rows_and_no_other() {
    let setting = setting().await;
    let id = setting.assess(ADA, &[]).await;
    let eve = patient(EVE);
    let others = reviews::own_one(setting.store(), &eve, id).await;
    assert!(matches!(others, Err(CareError::Port(PortError::NotFound { .. }))), "{others:?}");
    assert!(reviews::own(setting.store(), &eve).await.unwrap().is_empty());
    let others = plans::of_patient(setting.store(), &eve, ADA).await;
    assert!(matches!(others, Err(CareError::Port(PortError::NotFound { .. }))), "{others:?}");

    // The wall stands even where a query would forget its scope.
    let mut tx = setting.store().begin(&eve).await.unwrap();
    let found: Option<care::Assessment> = tx.find(id).await.unwrap();
    assert_eq!(found, None);
    assert_eq!(tx.plans(ADA).await.unwrap(), []);
}

#[tokio::test]
async fn a_modification_adds_a_version_and_a_stale_one_is_refused() {
    let setting = setting().await;
    let id = setting.assess(ADA, &["review"]).await;
    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    let plan = setting.approve(id, IN_MASSACHUSETTS, None, "k1").await.unwrap();
    let (env, actor) = (&setting.database.env, provider(IN_MASSACHUSETTS));
    let changes = TreatmentChanges { refills: Some(2), ..TreatmentChanges::default() };
    let store = setting.store();
    let modified = plans::modify(
        env,
        store,
        &setting.sources,
        &actor,
        (plan.id, &Seen::Any),
        changes,
        "Fewer refills.",
    )
    .await
    .unwrap();
    let stored = plans::of_patient(store, &actor, ADA).await.unwrap().remove(0);
    assert_eq!(stored, modified);
    assert_eq!(stored.first.treatment, treatment());
    assert_eq!((stored.current().number, stored.current().treatment.refills), (2, 2));

    let mut tx = store.begin(&actor).await.unwrap();
    let stale = lock::<care::TreatmentPlan>(tx.as_mut(), plan.id, &plan.version.into()).await;
    assert!(matches!(stale, Err(PortError::Stale(_))), "{stale:?}");
}

/// What the pharmacy says of the plan.
struct Last(Option<u32>);

#[async_trait]
impl Prescribed for Last {
    async fn last_version(&self, _: TreatmentPlanId) -> ports::Result<Option<u32>> {
        Ok(self.0)
    }
}

async fn tell_of_prescription(
    setting: &Setting,
    (about, of): ((PrescriptionId, TreatmentPlanId, u32), (PatientId, ProviderId)),
    status: PrescriptionStatusWord,
    last: Option<u32>,
) {
    let env = &setting.database.env;
    let (store, last) = (setting.store(), &Last(last));
    tasks::on_prescription_changed(env, store, last, about, of, status).await.unwrap();
}

#[tokio::test]
async fn a_blocked_prescription_becomes_one_task() {
    let setting = setting().await;
    let env = &setting.database.env;
    let prescription = env.fresh();
    for _ in 0..2 {
        let about = ((prescription, env.fresh(), 1), (ADA, IN_TEXAS));
        tell_of_prescription(&setting, about, PrescriptionStatusWord::Blocked, None).await;
    }
    assert_eq!(setting.count("SELECT count(*) FROM care_tasks").await, 1);
}

#[tokio::test]
async fn a_queue_goes_in_pages_and_an_expired_claim_comes_back() {
    let setting = setting().await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(setting.assess(setting.newcomer(), &["review"]).await);
        setting.database.clock.advance(TimeDelta::minutes(1));
    }
    let (env, actor) = (&setting.database.env, provider(ALSO_THERE));
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = PageRequest::new(Some(2), cursor);
        let page =
            reviews::queue(env, setting.store(), &setting.sources, &actor, &page).await.unwrap();
        seen.extend(page.items.iter().map(|item| item.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, expected);

    setting.claim(expected[0], IN_MASSACHUSETTS).await.unwrap();
    assert_eq!(setting.queue(ALSO_THERE).await, expected[1..]);
    assert_eq!(setting.queue(IN_MASSACHUSETTS).await, expected);
    let claim = Review::CLAIM + TimeDelta::from_std(Duration::from_secs(1)).unwrap();
    setting.database.clock.advance(claim);
    assert_eq!(setting.queue(ALSO_THERE).await, expected);
    setting.claim(expected[0], ALSO_THERE).await.unwrap();
}

mod assigning;
mod break_glass;
mod dosing;
mod endings;
mod handover;
mod overview;
mod pharmacy_calls;
mod queue;
mod requirements;
mod rooms;
mod safeguards;
mod settings;
mod superseded;
mod visits;
mod whole;
mod working;
