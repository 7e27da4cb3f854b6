//! When a provider leaves or a license ends: what they hold goes back, charts
//! are closed in queries and by row-level security, and a panel is handed over.

use care::{
    TaskKind, break_glass,
    handover::{self, Handed, Handover, HandoverRequest, Obstacle},
    pharmacy_tasks,
    standing::{self, CheckStanding},
};
use futures::future::BoxFuture;
use kernel::DomainError as _;
use sea_orm::TransactionTrait as _;

use super::{endings::approved, *};

/// The whole panel, to whoever fits.
fn all() -> HandoverRequest {
    HandoverRequest { patients: Handed::Everybody, to: None, dry_run: false }
}

fn admin() -> Actor {
    account(Uuid::from_u128(0xad), Role::Admin, &[Permission::AccountAdminister])
}

async fn tell(setting: &Setting, of: ProviderId) {
    let (env, store) = (&setting.database.env, setting.store());
    standing::on_standing_changed(env, store, &setting.sources, of).await.unwrap();
}

fn license(setting: &Setting, of: ProviderId, states: &[UsState]) {
    setting.neighbours.licenses.lock().unwrap().insert(of, states.to_vec());
}

async fn hand_over(setting: &Setting, request: HandoverRequest) -> Vec<Handover> {
    let (env, store) = (&setting.database.env, setting.store());
    handover::hand_over(env, store, &setting.sources, &admin(), IN_MASSACHUSETTS, request)
        .await
        .unwrap()
}

async fn book(setting: &Setting, who: PatientId, by: ProviderId, slot: i64) {
    let (env, store) = (&setting.database.env, setting.store());
    let starts_at = env.now() + TimeDelta::minutes(15 * slot);
    let booking = Booking { provider: by, category: None, starts_at };
    let key = key("care.book_consultation", &format!("{who}-{slot}"));
    consultations::book(env, store, &setting.sources, &patient(who), booking, &key).await.unwrap();
}

/// How many rows of the patient the provider sees in the table itself, behind
/// every query.
async fn seen(setting: &Setting, by: ProviderId, table: &str, who: PatientId) -> i64 {
    let tx = setting.database.pg.open(&provider(by)).await.unwrap();
    let sql = format!("SELECT count(*) FROM {table} WHERE patient_id = '{who}'");
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let row = tx.read().query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

#[tokio::test]
async fn a_license_that_ends_closes_charts_and_gives_reviews_back() {
    let setting = setting().await;
    approved(&setting).await;
    let held = setting.assess(EVE, &["review"]).await;
    setting.claim(held, IN_MASSACHUSETTS).await.unwrap();
    let (pg, env) = (&setting.database.pg, &setting.database.env);
    let chart = async || plans::of_patient(pg, &provider(IN_MASSACHUSETTS), ADA).await;
    assert_eq!(chart().await.unwrap().len(), 1);
    assert_eq!(seen(&setting, IN_MASSACHUSETTS, "care_treatment_plans", ADA).await, 1);

    license(&setting, IN_MASSACHUSETTS, &[UsState::Tx]);
    tell(&setting, IN_MASSACHUSETTS).await;
    assert_eq!(chart().await.unwrap_err().code(), "patient_not_found");
    assert!(!pg.opens_chart(IN_MASSACHUSETTS, ADA).await.unwrap());
    assert_eq!(seen(&setting, IN_MASSACHUSETTS, "care_treatment_plans", ADA).await, 0, "the wall");
    assert_eq!(seen(&setting, ALSO_THERE, "care_treatment_plans", ADA).await, 1);
    assert_eq!(setting.queue(ALSO_THERE).await, [held], "it waits for anybody");
    let signed = setting.approve(held, IN_MASSACHUSETTS, None, "k1").await.unwrap_err();
    assert_eq!(signed.code(), "assessment_not_found");

    // An emergency opens the chart, through the wall too, and for an hour.
    let reason = "Found unconscious at home, allergies unknown.";
    let actor = provider(IN_MASSACHUSETTS);
    break_glass::open(env, pg, &setting.sources, &actor, ADA, reason).await.unwrap();
    assert_eq!(chart().await.unwrap().len(), 1);
    setting.database.clock.advance(TimeDelta::minutes(61));
    assert_eq!(chart().await.unwrap_err().code(), "patient_not_found");
    assert_eq!(seen(&setting, IN_MASSACHUSETTS, "care_treatment_plans", ADA).await, 0);

    // With the license the charts come back.
    license(&setting, IN_MASSACHUSETTS, &[UsState::Ma]);
    tell(&setting, IN_MASSACHUSETTS).await;
    assert_eq!(chart().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_began_before_an_account_was_closed_is_closed_after() {
    let setting = setting().await;
    license(&setting, IN_MASSACHUSETTS, &[]);
    tell(&setting, IN_MASSACHUSETTS).await;
    // A claim that was on its way when the event was handled.
    license(&setting, IN_MASSACHUSETTS, &[UsState::Ma]);
    let id = setting.assess(ADA, &["review"]).await;
    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    license(&setting, IN_MASSACHUSETTS, &[]);
    assert_eq!(setting.queue(ALSO_THERE).await, []);
    let (env, store) = (&setting.database.env, setting.store());
    standing::check_standing(env, store, &setting.sources, CheckStanding {}).await.unwrap();
    assert_eq!(setting.queue(ALSO_THERE).await, [id]);
    assert!(!setting.database.pg.opens_chart(IN_MASSACHUSETTS, ADA).await.unwrap());
}

#[tokio::test]
async fn a_signature_meets_the_account_as_it_is_when_it_is_made() {
    let setting = setting().await;
    let id = setting.assess(ADA, &["review"]).await;
    let superuser = setting.database.superuser().await;
    let run = async |sql: String| {
        superuser.execute_unprepared(&sql).await.unwrap();
    };
    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    // The directory has been asked already when these change.
    for (broken, mended) in [
        (
            "UPDATE identity_accounts SET status = 'disabled'",
            "UPDATE identity_accounts SET status = 'active'",
        ),
        (
            "UPDATE identity_licenses SET status = 'suspended'",
            "UPDATE identity_licenses SET status = 'active'",
        ),
        (
            "UPDATE identity_account_roles SET role = 'support'",
            "UPDATE identity_account_roles SET role = 'provider'",
        ),
        // The last day of a license counts where the patient is.
        (
            "UPDATE identity_licenses SET expires_on = '2000-01-01'",
            "UPDATE identity_licenses SET expires_on = '2199-12-31'",
        ),
    ] {
        run(broken.to_owned()).await;
        let refused = setting.approve(id, IN_MASSACHUSETTS, None, broken).await.unwrap_err();
        assert_eq!(refused.code(), "care.license_required", "{broken}");
        let actor = provider(IN_MASSACHUSETTS);
        let rejected = reviews::reject(
            &setting.database.env,
            setting.store(),
            &setting.sources,
            &actor,
            id,
            RejectionReason::NotIndicated,
            None,
        );
        assert_eq!(rejected.await.unwrap_err().code(), "care.license_required", "{broken}");
        run(mended.to_owned()).await;
    }
    setting.approve(id, IN_MASSACHUSETTS, None, "mended").await.unwrap();

    // Of whom identity knows nothing nobody takes so much as a claim.
    let stranger = ProviderId(Uuid::from_u128(0xfa));
    license(&setting, stranger, &[UsState::Ma]);
    let id = setting.assess(EVE, &["review"]).await;
    let refused = setting.claim(id, stranger).await.unwrap_err();
    assert_eq!(refused.code(), "care.license_required");
}

#[tokio::test]
async fn a_panel_goes_to_colleagues_who_are_licensed_where_each_patient_is() {
    let setting = setting().await;
    let plan = approved(&setting).await;
    book(&setting, ADA, IN_MASSACHUSETTS, 4).await;
    let held = setting.assess(EVE, &["review"]).await;
    setting.claim(held, IN_MASSACHUSETTS).await.unwrap();
    license(&setting, IN_MASSACHUSETTS, &[]);
    tell(&setting, IN_MASSACHUSETTS).await;

    let (env, pg) = (&setting.database.env, &setting.database.pg);
    let orphans = async || handover::orphans(env, pg, &setting.sources, &admin()).await.unwrap();
    let listed = orphans().await;
    assert_eq!(listed.len(), 1, "the review of the other went back by itself: {listed:?}");
    assert_eq!((listed[0].work.patient, listed[0].licensed_colleagues), (ADA, 1));
    assert_eq!((listed[0].work.plans.len(), listed[0].work.visits.len()), (1, 1));

    let would = hand_over(&setting, HandoverRequest { dry_run: true, ..all() }).await;
    assert_eq!(would[0].outcome, Ok(ALSO_THERE));
    assert_eq!(orphans().await.len(), 1, "a dry run changes nothing");

    // Not while the colleague meets somebody else at that time.
    book(&setting, EVE, ALSO_THERE, 4).await;
    assert_eq!(hand_over(&setting, all()).await[0].outcome, Err(Obstacle::VisitsCollide));
    let cancel = "UPDATE care_consultations SET status = 'canceled' WHERE provider_id <> '{}'";
    let cancel = cancel.replace("{}", &IN_MASSACHUSETTS.to_string());
    setting.database.superuser().await.execute_unprepared(&cancel).await.unwrap();
    // Nor to whom has no license there.
    let texan = HandoverRequest { to: Some(IN_TEXAS), ..all() };
    assert_eq!(hand_over(&setting, texan).await[0].outcome, Err(Obstacle::NobodyLicensed));

    assert_eq!(hand_over(&setting, all()).await[0].outcome, Ok(ALSO_THERE));
    assert_eq!(orphans().await, []);
    assert_eq!(hand_over(&setting, all()).await, [], "nothing is left");
    let moved = plans::of_patient(pg, &provider(ALSO_THERE), ADA).await.unwrap().remove(0);
    assert_eq!(
        (moved.id, moved.provider, moved.first.author),
        (plan.id, ALSO_THERE, IN_MASSACHUSETTS)
    );
    let open = |kind: &str| {
        format!(
            "SELECT count(*) FROM care_tasks WHERE status = 'open' AND kind = '{kind}' \
             AND provider_id = '{ALSO_THERE}'"
        )
    };
    assert_eq!(setting.count(&open("taken_over")).await, 1);
    assert_eq!(setting.count(&open("unprescribed_treatment")).await, 1, "it went with the patient");
    let visits = format!(
        "SELECT count(*) FROM care_consultations WHERE provider_id = '{ALSO_THERE}' \
         AND status = 'scheduled' AND patient_id = '{ADA}'"
    );
    assert_eq!(setting.count(&visits).await, 1);
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'patient_handed_over'";
    assert_eq!(setting.count(told).await, 1);

    // The former provider reads nothing more, even after the license is restored.
    license(&setting, IN_MASSACHUSETTS, &[UsState::Ma]);
    tell(&setting, IN_MASSACHUSETTS).await;
    let former = plans::of_patient(pg, &provider(IN_MASSACHUSETTS), ADA).await;
    assert_eq!(former.unwrap_err().code(), "patient_not_found");
    // A new review of the patient is a new beginning.
    let again = setting.assess(ADA, &["review"]).await;
    setting.claim(again, IN_MASSACHUSETTS).await.unwrap();
    assert!(pg.opens_chart(IN_MASSACHUSETTS, ADA).await.unwrap());
}

/// Patients of whom it is asked where they are while something else goes on.
struct Meanwhile {
    neighbours: Arc<Neighbours>,
    first: tokio::sync::Mutex<Option<BoxFuture<'static, ()>>>,
}

#[async_trait]
impl PatientFacts for Meanwhile {
    async fn facts(&self, patient: PatientId) -> ports::Result<Option<ClinicalFacts>> {
        self.neighbours.facts(patient).await
    }

    async fn names(
        &self,
        patients: &[PatientId],
    ) -> ports::Result<BTreeMap<PatientId, care::PatientName>> {
        self.neighbours.names(patients).await
    }

    async fn states(&self, patients: &[PatientId]) -> ports::Result<BTreeMap<PatientId, UsState>> {
        if let Some(first) = self.first.lock().await.take() {
            first.await;
        }
        self.neighbours.states(patients).await
    }
}

#[tokio::test]
async fn of_two_handovers_at_once_the_second_moves_nothing() {
    let setting = setting().await;
    approved(&setting).await;
    book(&setting, ADA, IN_MASSACHUSETTS, 4).await;
    license(&setting, IN_TEXAS, &[UsState::Ma]);
    let to = |colleague| HandoverRequest { to: Some(colleague), ..all() };
    let (env, pg) = (setting.database.env.clone(), setting.database.pg.clone());
    let sources = setting.sources.clone();
    let first = Box::pin(async move {
        let request = to(ALSO_THERE);
        let from = IN_MASSACHUSETTS;
        let done = handover::hand_over(&env, &pg, &sources, &admin(), from, request).await;
        assert_eq!(done.unwrap()[0].outcome, Ok(ALSO_THERE));
    });
    let facts = Arc::new(Meanwhile {
        neighbours: setting.neighbours.clone(),
        first: tokio::sync::Mutex::new(Some(first)),
    });
    let sources = Sources { facts, ..setting.sources.clone() };
    let (env, pg) = (&setting.database.env, &setting.database.pg);
    let (from, request) = (IN_MASSACHUSETTS, to(IN_TEXAS));
    let second = handover::hand_over(env, pg, &sources, &admin(), from, request).await.unwrap();
    assert_eq!(second[0].outcome, Err(Obstacle::ChangedMeanwhile));

    assert!(pg.opens_chart(ALSO_THERE, ADA).await.unwrap());
    assert!(!pg.opens_chart(IN_TEXAS, ADA).await.unwrap(), "the plan went to the other");
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'patient_handed_over'";
    assert_eq!(setting.count(told).await, 1);
}

/// The provider signs a plan without a review.
async fn sign(setting: &Setting, by: ProviderId, patient: PatientId) -> Result<(), CareError> {
    let request = PlanRequest {
        patient,
        category: CATEGORY,
        treatment: treatment(),
        reason: "As spoken of.".into(),
        supersedes: None,
        met_elsewhere: None,
    };
    let (env, store) = (&setting.database.env, setting.store());
    let (actor, key) = (provider(by), key("care.create_plan", "signed"));
    plans::create(env, store, &setting.sources, &actor, request, &key).await.map(drop)
}

/// Waits until somebody in the database waits for a lock.
async fn until_blocked(setting: &Setting) {
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    salus_tests::eventually("somebody to wait", Duration::from_secs(20), async || {
        (setting.count(waiting).await > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_given_while_a_patient_is_handed_over_meets_the_chart_as_it_is_after() {
    let setting = Arc::new(setting().await);
    approved(&setting).await;
    let review = setting.assess(ADA, &["review"]).await;
    let superuser = setting.database.superuser().await;
    let starts = ["signs a plan of their own", "claims a review", "is booked by the patient"];
    for what in starts {
        // As a handover that is under way: it holds the patient, and closes the chart.
        let handover = superuser.begin().await.unwrap();
        let lock = format!("SELECT pg_advisory_xact_lock(hashtextextended('handover/{ADA}', 0))");
        handover.execute_unprepared(&lock).await.unwrap();
        let doing = tokio::spawn({
            let setting = setting.clone();
            async move {
                match what {
                    "signs a plan of their own" => sign(&setting, IN_MASSACHUSETTS, ADA).await,
                    "claims a review" => setting.claim(review, IN_MASSACHUSETTS).await.map(drop),
                    _ => {
                        book(&setting, ADA, IN_MASSACHUSETTS, 4).await;
                        Ok(())
                    }
                }
            }
        });
        until_blocked(&setting).await;
        let close = format!(
            "INSERT INTO care_closed_charts (provider_id, patient_id, unlicensed, handed_over_at) \
             VALUES ('{IN_MASSACHUSETTS}', '{ADA}', false, now()) \
             ON CONFLICT (provider_id, patient_id) DO UPDATE SET handed_over_at = now()"
        );
        handover.execute_unprepared(&close).await.unwrap();
        handover.commit().await.unwrap();
        let done = doing.await.unwrap();
        let open = setting.database.pg.opens_chart(IN_MASSACHUSETTS, ADA).await.unwrap();
        match what {
            "signs a plan of their own" => {
                assert_eq!(done.unwrap_err().code(), "patient_not_found", "{what}");
                assert!(!open, "{what}");
            }
            // A claimed review or a booked visit opens the chart again.
            _ => {
                done.unwrap();
                assert!(open, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn nobody_is_moved_whose_last_task_ends_meanwhile() {
    let setting = Arc::new(setting().await);
    let plan = approved(&setting).await;
    let superuser = setting.database.superuser().await;
    let alone =
        format!("UPDATE care_treatment_plans SET status = 'revoked' WHERE id = '{}'", plan.id);
    superuser.execute_unprepared(&alone).await.unwrap();
    let ending = superuser.begin().await.unwrap();
    let end = "UPDATE care_tasks SET status = 'done', done_at = now() WHERE status = 'open'";
    ending.execute_unprepared(end).await.unwrap();
    let handing = tokio::spawn({
        let setting = setting.clone();
        async move { hand_over(&setting, all()).await }
    });
    until_blocked(&setting).await;
    ending.commit().await.unwrap();
    assert_eq!(handing.await.unwrap()[0].outcome, Err(Obstacle::ChangedMeanwhile));
    assert!(setting.database.pg.opens_chart(IN_MASSACHUSETTS, ADA).await.unwrap());
}

#[tokio::test]
async fn only_administrators_hand_over_and_nobody_to_themselves() {
    let setting = setting().await;
    let (env, store) = (&setting.database.env, setting.store());
    let ask = async |actor: &Actor, request| {
        let from = IN_MASSACHUSETTS;
        handover::hand_over(env, store, &setting.sources, actor, from, request).await.unwrap_err()
    };
    let refused = ask(&provider(IN_MASSACHUSETTS), all()).await;
    assert_eq!(refused.code(), "forbidden");
    let paths = |refused: CareError| -> Vec<String> {
        refused.fields().iter().map(|field| field.path.clone()).collect()
    };
    let none = Handed::These(Vec::new());
    let own = HandoverRequest { to: Some(IN_MASSACHUSETTS), patients: none, ..all() };
    assert_eq!(paths(ask(&admin(), own).await), ["to", "patient_ids"]);
    // Whoever is no provider takes nobody, and nobody else's patients are given.
    approved(&setting).await;
    let others = Handed::These(vec![ADA, EVE, PatientId(Uuid::from_u128(0xbad))]);
    let to = Some(ProviderId(ADA.uuid()));
    let strange = HandoverRequest { to, patients: others, ..all() };
    assert_eq!(paths(ask(&admin(), strange).await), ["to", "patient_ids[1]", "patient_ids[2]"]);
    let nobody = ProviderId(Uuid::from_u128(0xfa));
    let unknown = handover::hand_over(env, store, &setting.sources, &admin(), nobody, all()).await;
    assert_eq!(unknown.unwrap_err().code(), "provider_not_found");

    // The same request again finds nothing left, and is no mistake.
    for moved in [1, 0] {
        let request = HandoverRequest { patients: Handed::These(vec![ADA]), ..all() };
        assert_eq!(hand_over(&setting, request).await.len(), moved);
    }
}

/// What a provider may see and end of a patient's tasks, by kind.
async fn tasks_of(setting: &Setting, by: ProviderId, shown: Shown) -> Vec<TaskKind> {
    let (env, store) = (&setting.database.env, setting.store());
    let page = PageRequest::default();
    let found = tasks::list(env, store, &setting.sources, &provider(by), shown, &page).await;
    found.unwrap().items.into_iter().map(|task| task.kind).collect()
}

#[tokio::test]
async fn whoever_handed_over_settles_no_task_and_is_given_none() {
    let setting = setting().await;
    let plan = approved(&setting).await;
    assert_eq!(hand_over(&setting, all()).await[0].outcome, Ok(ALSO_THERE));
    // Both are licensed there; the one has handed the patient over.
    let (env, store) = (&setting.database.env, setting.store());
    let hold = env.fresh();
    let about = (ADA, Some(IN_MASSACHUSETTS));
    pharmacy_tasks::on_fill_held(env, store, &setting.sources, hold, about).await.unwrap();
    let prescription: PrescriptionId = env.fresh();
    let about = (ADA, IN_MASSACHUSETTS);
    let ended = (prescription, env.fresh());
    pharmacy_tasks::on_pharmacy_to_be_told(env, store, &setting.sources, ended, about)
        .await
        .unwrap();
    // A prescription of the one that fails now is a task of the other's plan.
    let failed = PrescriptionStatusWord::Failed;
    let from = (prescription, plan.id, 1);
    tasks::on_prescription_changed(env, store, &Last(None), from, about, failed).await.unwrap();
    let open = tasks_of(&setting, ALSO_THERE, Shown::Open).await;
    for kind in [TaskKind::HeldFill, TaskKind::PhonePharmacy, TaskKind::FailedPrescription] {
        assert!(open.contains(&kind), "{kind}: {open:?}");
    }
    assert_eq!(tasks_of(&setting, IN_MASSACHUSETTS, Shown::Open).await, []);
    assert_eq!(tasks_of(&setting, IN_MASSACHUSETTS, Shown::Done).await, []);

    // Nor do they see those that are nobody's, in the list or behind it.
    let pooled = "UPDATE care_tasks SET provider_id = NULL, state = 'MA'";
    setting.database.superuser().await.execute_unprepared(pooled).await.unwrap();
    assert_eq!(tasks_of(&setting, IN_MASSACHUSETTS, Shown::Open).await, []);
    assert_eq!(seen(&setting, IN_MASSACHUSETTS, "care_tasks", ADA).await, 0);
    assert!(tasks_of(&setting, ALSO_THERE, Shown::Open).await.contains(&TaskKind::HeldFill));
    let page = PageRequest::default();
    let actor = provider(ALSO_THERE);
    let found =
        tasks::list(env, store, &setting.sources, &actor, Shown::Open, &page).await.unwrap();
    let held = found.items.iter().find(|task| task.kind == TaskKind::HeldFill).unwrap();
    let task = (held.id, &Seen::Any);
    let change = tasks::TaskChange::HandOver { to: IN_MASSACHUSETTS };
    let actor = provider(IN_MASSACHUSETTS);
    let taken = tasks::change(env, store, &setting.sources, &actor, task, change).await;
    assert_eq!(taken.unwrap_err().code(), "task_not_found");
    assert!(!setting.database.pg.treats(IN_MASSACHUSETTS, ADA).await.unwrap());
    // A colleague may give one back on purpose, and the chart with it.
    let change = tasks::TaskChange::HandOver { to: IN_MASSACHUSETTS };
    let actor = provider(ALSO_THERE);
    tasks::change(env, store, &setting.sources, &actor, task, change).await.unwrap();
    assert!(setting.database.pg.treats(IN_MASSACHUSETTS, ADA).await.unwrap());
}
