//! What stands between a request and a treatment besides the rules: a no of
//! before, a visit, an age, a profile and a record that have changed, and a
//! prescription that nobody writes.

use care::EndReason;
use kernel::DomainError as _;

use super::{
    endings::{approved, modify, revoke, tell_of_profile},
    *,
};

async fn decided(setting: &Setting, who: PatientId, id: AssessmentId) -> care::Assessment {
    reviews::own_one(setting.store(), &patient(who), id).await.unwrap()
}

fn open(kind: &str) -> String {
    format!("SELECT count(*) FROM care_tasks WHERE kind = '{kind}' AND status = 'open'")
}

#[tokio::test]
async fn what_was_said_no_to_passes_by_a_provider_only() {
    let setting = setting().await;
    let env = &setting.database.env;
    let again = async |who: PatientId| {
        let id = setting.assess(who, &[]).await;
        let second = decided(&setting, who, id).await;
        assert_eq!(second.outcome, AssessmentOutcome::InReview);
        assert_eq!(second.reasons.last().unwrap().code, "refused_before");
    };
    // The rules refused.
    let refused = setting.assess(EVE, &["refuse"]).await;
    assert_eq!(decided(&setting, EVE, refused).await.outcome, AssessmentOutcome::Refused);
    again(EVE).await;

    // A provider rejected.
    let rejected = setting.newcomer();
    let id = setting.assess(rejected, &["review"]).await;
    setting.claim(id, ALSO_THERE).await.unwrap();
    let (actor, reason) = (provider(ALSO_THERE), RejectionReason::Contraindicated);
    reviews::reject(env, setting.store(), &setting.sources, &actor, id, reason, None)
        .await
        .unwrap();
    again(rejected).await;

    // A provider took the treatment back.
    let automatic = setting.assess(ADA, &[]).await;
    assert_eq!(decided(&setting, ADA, automatic).await.outcome, AssessmentOutcome::AutoApproved);
    let plan = plans::of_patient(setting.store(), &patient(ADA), ADA).await.unwrap().remove(0);
    let ended = revoke(&setting, IN_MASSACHUSETTS, (plan.id, None)).await.unwrap();
    assert_eq!(ended.ended.unwrap().reason, EndReason::AdverseReaction);
    again(ADA).await;
}

#[tokio::test]
async fn without_a_visit_nothing_is_approved_where_one_is_asked_for() {
    let setting = setting().await;
    setting.neighbours.states.lock().unwrap().insert(ADA, UsState::Tx);
    let (env, store) = (&setting.database.env, setting.store());
    let id = setting.assess(ADA, &[]).await;
    assert_eq!(decided(&setting, ADA, id).await.outcome, AssessmentOutcome::InReview);
    setting.claim(id, IN_TEXAS).await.unwrap();
    let approve = async |met_elsewhere: Option<&str>, text: &str| {
        let seen = setting.read(id, IN_TEXAS, None).await;
        let met_elsewhere = met_elsewhere.map(str::to_owned);
        let approval = Approval { seen, met_elsewhere, ..Approval::default() };
        let (actor, key) = (provider(IN_TEXAS), key("care.approve_review", text));
        reviews::approve(env, store, &setting.sources, &actor, id, approval, &key).await
    };
    let refused = approve(None, "unseen").await.unwrap_err();
    assert_eq!(refused.code(), "care.visit_required");
    assert_eq!(
        approve(Some("  yes "), "short").await.unwrap_err().fields()[0].path,
        "met_elsewhere"
    );
    assert_eq!(setting.count("SELECT count(*) FROM care_treatment_plans").await, 0);

    // A booked visit is none yet; one that was held is.
    let starts_at = env.now() + TimeDelta::minutes(15);
    let booking = Booking { provider: IN_TEXAS, category: Some(CATEGORY), starts_at };
    let booked = key("care.book_consultation", "visit");
    consultations::book(env, store, &setting.sources, &patient(ADA), booking, &booked)
        .await
        .unwrap();
    assert_eq!(approve(None, "booked").await.unwrap_err().code(), "care.visit_required");
    let held = "UPDATE care_consultations SET status = 'completed'";
    setting.database.superuser().await.execute_unprepared(held).await.unwrap();
    approve(None, "held").await.unwrap();
}

#[tokio::test]
async fn how_the_two_met_stands_in_the_history() {
    let setting = setting().await;
    *setting.neighbours.terms.lock().unwrap() =
        CategoryTerms { visit: true, ..CategoryTerms::default() };
    let id = setting.assess(ADA, &[]).await;
    let seen = decided(&setting, ADA, id).await;
    assert_eq!(seen.reasons[0].code, "visit_required", "the state alone asks for none");
    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    let (env, store) = (&setting.database.env, setting.store());
    let met = Some("At the practice on Monday.".to_owned());
    let seen = setting.read(id, IN_MASSACHUSETTS, None).await;
    let approval = Approval { seen, met_elsewhere: met.clone(), ..Approval::default() };
    let (actor, approving) = (provider(IN_MASSACHUSETTS), key("care.approve_review", "met"));
    let plan = reviews::approve(env, store, &setting.sources, &actor, id, approval, &approving)
        .await
        .unwrap();
    let reason = "Approved on review. Met elsewhere: At the practice on Monday.";
    assert_eq!(plan.first.reason, reason);

    // A plan without a review asks for the same.
    let request = |met_elsewhere| PlanRequest {
        patient: ADA,
        category: CATEGORY,
        treatment: treatment(),
        reason: "Another one.".into(),
        supersedes: Some(plan.id),
        met_elsewhere,
    };
    let create = async |request, text| {
        let key = key("care.create_plan", text);
        plans::create(env, store, &setting.sources, &actor, request, &key).await
    };
    let refused = create(request(None), "unseen").await.unwrap_err();
    assert_eq!(refused.code(), "care.visit_required");
    create(request(met), "seen").await.unwrap();
}

#[tokio::test]
async fn whoever_is_not_of_the_categorys_age_is_refused() {
    let setting = setting().await;
    let terms = |minimum_age, maximum_age| {
        let terms = CategoryTerms { visit: false, minimum_age, maximum_age };
        *setting.neighbours.terms.lock().unwrap() = terms;
    };
    let outcome = async || {
        let who = setting.newcomer();
        let id = setting.assess(who, &[]).await;
        let decided = decided(&setting, who, id).await;
        (decided.outcome, decided.reasons.first().map(|reason| reason.code.clone()))
    };
    for (minimum, maximum) in [(200, None), (0, Some(1))] {
        terms(minimum, maximum);
        let refused = (AssessmentOutcome::Refused, Some("outside_age_range".to_owned()));
        assert_eq!(outcome().await, refused);
    }
    terms(1, Some(200));
    assert_eq!(outcome().await, (AssessmentOutcome::AutoApproved, None));
}

#[tokio::test]
async fn another_sex_than_was_assessed_is_not_approved() {
    let setting = setting().await;
    let id = setting.assess(ADA, &["review"]).await;
    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    setting.neighbours.women.lock().unwrap().push(ADA);
    let refused = setting.approve(id, IN_MASSACHUSETTS, None, "k1").await.unwrap_err();
    assert_eq!(refused.code(), "care.profile_changed");
    setting.neighbours.women.lock().unwrap().clear();
    setting.approve(id, IN_MASSACHUSETTS, None, "k2").await.unwrap();
}

#[tokio::test]
async fn a_plan_that_a_provider_wrote_is_a_task_until_it_is_prescribed() {
    let setting = setting().await;
    let plan = approved(&setting).await;
    let unprescribed = open("unprescribed_treatment");
    assert_eq!(setting.count(&unprescribed).await, 1);
    let about = ((setting.database.env.fresh(), plan.id, 1), (plan.patient, plan.provider));
    tell_of_prescription(&setting, about, PrescriptionStatusWord::Queued, None).await;
    assert_eq!(setting.count(&unprescribed).await, 0);
    // Under protocol it is prescribed by itself.
    setting.assess(EVE, &[]).await;
    assert_eq!(setting.count(&unprescribed).await, 0);
}

#[tokio::test]
async fn what_speaks_against_a_treatment_under_way_is_a_task() {
    let setting = setting().await;
    let plan = approved(&setting).await;
    let health = open("changed_health");
    let refused = setting.assess(ADA, &["refuse"]).await;
    assert_eq!(decided(&setting, ADA, refused).await.outcome, AssessmentOutcome::Refused);
    assert_eq!(setting.count(&health).await, 1);

    let tell = async |who: PatientId| {
        let env = &setting.database.env;
        tasks::on_record_changed(env, setting.store(), who).await.unwrap();
    };
    tell(EVE).await;
    assert_eq!(setting.count(&health).await, 1, "Eve is not under treatment");
    for _ in 0..2 {
        tell(ADA).await;
        assert_eq!(setting.count(&health).await, 2);
    }
    revoke(&setting, IN_MASSACHUSETTS, (plan.id, None)).await.unwrap();
    tell(ADA).await;
    // With the plan its own task has settled; what was refused is still to see.
    assert_eq!(setting.count(&health).await, 1);
}

#[tokio::test]
async fn a_change_of_nothing_is_no_version() {
    let setting = setting().await;
    let plan = approved(&setting).await;
    let same = plan.current().treatment.refills;
    let refused = modify(&setting, (plan.id, None), same).await.unwrap_err();
    assert_eq!(refused.fields()[0].code, "unchanged");
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'treatment_plan_modified'";
    assert_eq!(setting.count(told).await, 0);
}

#[tokio::test]
async fn the_dose_that_is_checked_is_the_dose_that_is_taken() {
    let setting = setting().await;
    let id = setting.assess(ADA, &["review"]).await;
    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    let with = |dose: f64, sig: &str, unit: &str| Treatment {
        dose: Dose { value: dose, unit: "mg".into() },
        sig: sig.into(),
        quantity_unit: unit.into(),
        ..treatment()
    };
    for (treatment, path) in [
        (with(0.3, "Take 1 tablet.", "tablet"), "treatment.dose.value"),
        (with(1e-9, "Take 1 tablet.", "tablet"), "treatment.dose.value"),
        (with(0.5, "Take 1 tablet once a day.", "tablet"), "treatment.sig"),
        (with(1.0, "Take 2 tablets once a day.", "tablet"), "treatment.sig"),
        (with(1.0, "Take 1 tablet.", "film-coated tablet"), "treatment.quantity_unit"),
    ] {
        let refused = setting.approve(id, IN_MASSACHUSETTS, Some(treatment), path).await;
        let refused = refused.unwrap_err();
        let paths: Vec<_> = refused.fields().iter().map(|field| field.path.as_str()).collect();
        assert_eq!(paths, [path]);
    }
    let half = with(0.5, "Take half a tablet once a day.", "tablets");
    setting.approve(id, IN_MASSACHUSETTS, Some(half), "half").await.unwrap();
}

#[tokio::test]
async fn an_open_review_goes_with_a_patient_who_moves() {
    let setting = setting().await;
    let open = setting.assess(ADA, &["review"]).await;
    tell_of_profile(&setting).await;
    assert_eq!(setting.queue(IN_MASSACHUSETTS).await, [open]);
    setting.neighbours.states.lock().unwrap().insert(ADA, UsState::Tx);
    for _ in 0..2 {
        tell_of_profile(&setting).await;
        assert_eq!(setting.queue(IN_MASSACHUSETTS).await, []);
        assert_eq!(setting.queue(IN_TEXAS).await, [open]);
    }
    let moved = "SELECT count(*) FROM audit_entries WHERE detail->>'review' = 'follow' \
                 AND detail->>'old' = 'MA' AND detail->>'new' = 'TX'";
    assert_eq!(setting.count(moved).await, 1);
    setting.claim(open, IN_TEXAS).await.unwrap();
    // Whoever holds it keeps it when the patient moves on, and decides no more.
    setting.neighbours.states.lock().unwrap().insert(ADA, UsState::Ma);
    tell_of_profile(&setting).await;
    let kept = decided(&setting, ADA, open).await;
    assert_eq!(kept.review.provider(), Some(IN_TEXAS));
    let elsewhere = setting.approve(open, IN_TEXAS, None, "k1").await.unwrap_err();
    assert_eq!(elsewhere.code(), "care.license_required");
    setting.neighbours.states.lock().unwrap().insert(ADA, UsState::Tx);
    tell_of_profile(&setting).await;
    // What was decided is told as it was when it was decided.
    let mut tx = setting.store().begin(&Actor::system("tests.care")).await.unwrap();
    let held: care::Assessment = get(tx.as_mut(), open).await.unwrap();
    assert_eq!((held.state, held.trace.inputs.patient.state), (UsState::Tx, UsState::Ma));
}
