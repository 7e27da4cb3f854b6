//! How plans end, who is told, and what their history says.

use care::{EndReason, TreatmentPlan, plans::PlanHistory};
use kernel::{DomainError as _, ErrorKind};

use super::*;

async fn approve_over(
    setting: &Setting,
    review: AssessmentId,
    supersedes: Option<TreatmentPlanId>,
    text: &str,
) -> Result<TreatmentPlan, CareError> {
    let (env, actor) = (&setting.database.env, provider(IN_MASSACHUSETTS));
    let seen = setting.read(review, IN_MASSACHUSETTS, None).await;
    let approval = Approval { seen, supersedes, ..Approval::default() };
    let (store, key) = (setting.store(), key("care.approve_review", text));
    reviews::approve(env, store, &setting.sources, &actor, review, approval, &key).await
}

/// A plan that a provider approved on review.
pub async fn approved(setting: &Setting) -> TreatmentPlan {
    let id = setting.assess(ADA, &["review"]).await;
    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    approve_over(setting, id, None, "first").await.unwrap()
}

pub async fn revoke(
    setting: &Setting,
    by: ProviderId,
    place: (TreatmentPlanId, Option<i64>),
) -> Result<TreatmentPlan, CareError> {
    let (env, actor, sources) = (&setting.database.env, provider(by), &setting.sources);
    let note = Some("Rash.".to_owned());
    let reason = EndReason::AdverseReaction;
    let place = (place.0, &any_or(place.1));
    plans::revoke(env, setting.store(), sources, &actor, place, reason, note).await
}

pub async fn modify(
    setting: &Setting,
    place: (TreatmentPlanId, Option<i64>),
    refills: u32,
) -> Result<TreatmentPlan, CareError> {
    let (env, actor) = (&setting.database.env, provider(IN_MASSACHUSETTS));
    let changes = TreatmentChanges { refills: Some(refills), ..TreatmentChanges::default() };
    let (store, sources) = (setting.store(), &setting.sources);
    let place = (place.0, &any_or(place.1));
    plans::modify(env, store, sources, &actor, place, changes, "Fewer refills.").await
}

async fn history(setting: &Setting, id: TreatmentPlanId) -> PlanHistory {
    plans::history(setting.store(), &patient(ADA), id).await.unwrap()
}

const ENDED: &str = "SELECT count(*) FROM outbox_events WHERE kind = 'treatment_plan_ended'";

#[tokio::test]
async fn an_approval_that_names_the_active_plan_takes_its_place() {
    let setting = setting().await;
    let first = approved(&setting).await;
    let again = setting.assess(ADA, &[]).await;
    setting.claim(again, IN_MASSACHUSETTS).await.unwrap();
    let silent = approve_over(&setting, again, None, "silent").await;
    assert!(matches!(silent, Err(CareError::AlreadyTreated)), "{silent:?}");
    let other = approve_over(&setting, again, Some(setting.database.env.fresh()), "other").await;
    assert!(
        matches!(other, Err(CareError::NotTheActivePlan(Some(active))) if active == first.id),
        "{other:?}"
    );
    assert_eq!(setting.count(ENDED).await, 0);

    let second = approve_over(&setting, again, Some(first.id), "named").await.unwrap();
    let repeated = approve_over(&setting, again, Some(first.id), "named").await.unwrap();
    assert_eq!(second, repeated);
    let ended = history(&setting, first.id).await.plan;
    let ending = ended.ended.unwrap();
    assert_eq!(ended.status, PlanStatus::Revoked);
    assert_eq!((ending.reason, ending.by), (EndReason::Superseded, Some(IN_MASSACHUSETTS)));
    assert_eq!(ending.superseded_by, Some(second.id));
    assert_eq!(second.status, PlanStatus::Active);
    let told = format!("{ENDED} AND payload->>'superseded_by' = '{}'", second.id);
    assert_eq!(setting.count(&told).await, 1);

    let gone = setting.assess(ADA, &[]).await;
    setting.claim(gone, IN_MASSACHUSETTS).await.unwrap();
    let stale = approve_over(&setting, gone, Some(first.id), "stale").await;
    assert!(
        matches!(stale, Err(CareError::NotTheActivePlan(Some(active))) if active == second.id),
        "{stale:?}"
    );
}

#[tokio::test]
async fn a_plan_is_revoked_by_who_treats_the_patient_and_holds_a_license() {
    let setting = setting().await;
    let plan = approved(&setting).await;
    let stranger = revoke(&setting, ALSO_THERE, (plan.id, None)).await;
    assert!(matches!(stranger, Err(CareError::Port(PortError::NotFound { .. }))), "{stranger:?}");
    let denied = "SELECT count(*) FROM audit_entries WHERE outcome = 'denied'";
    assert_eq!(setting.count(denied).await, 1);
    setting.neighbours.licenses.lock().unwrap().insert(IN_MASSACHUSETTS, vec![]);
    let expired = revoke(&setting, IN_MASSACHUSETTS, (plan.id, None)).await;
    assert!(matches!(expired, Err(CareError::LicenseRequired(UsState::Ma))), "{expired:?}");
    setting.neighbours.licenses.lock().unwrap().insert(IN_MASSACHUSETTS, vec![UsState::Ma]);

    let revoked = revoke(&setting, IN_MASSACHUSETTS, (plan.id, None)).await.unwrap();
    assert_eq!(revoked, history(&setting, plan.id).await.plan);
    assert_eq!(revoked.ended.unwrap().note.as_deref(), Some("Rash."));
    assert_eq!(setting.count(ENDED).await, 1);
    let open = "SELECT count(*) FROM care_treatment_plans \
                WHERE position('Rash' in encode(end_note, 'escape')) > 0";
    assert_eq!(setting.count(open).await, 0, "the note lies open");
    let again = revoke(&setting, IN_MASSACHUSETTS, (plan.id, None)).await;
    assert!(matches!(again, Err(CareError::PlanNotActive)), "{again:?}");
    let stranger = plans::history(setting.store(), &patient(EVE), plan.id).await;
    assert!(matches!(stranger, Err(CareError::Port(PortError::NotFound { .. }))), "{stranger:?}");
}

#[tokio::test]
async fn the_history_tells_what_each_version_changed() {
    let setting = setting().await;
    let plan = approved(&setting).await;
    modify(&setting, (plan.id, Some(1)), 2).await.unwrap();
    let (env, actor) = (&setting.database.env, provider(IN_MASSACHUSETTS));
    let (store, sources) = (setting.store(), &setting.sources);
    let mut lower = treatment();
    lower.refills = 2;
    lower.dose.value = 0.5;
    lower.sig = "Take half a tablet by mouth once a day.".into();
    let place = (plan.id, &Seen::from(2));
    plans::replace(env, store, sources, &actor, place, lower, "Side effects.").await.unwrap();
    plans::complete(env, store, sources, &actor, (plan.id, &Seen::from(3)), None).await.unwrap();

    let history = history(&setting, plan.id).await;
    let told: Vec<Vec<(&str, String, String)>> = history
        .versions
        .iter()
        .map(|version| {
            let changes = version.changes.iter().map(|change| {
                let text = |value: &Option<serde_json::Value>| value.as_ref().unwrap().to_string();
                (change.path.as_str(), text(&change.before), text(&change.after))
            });
            changes.collect()
        })
        .collect();
    assert_eq!(told[0], []);
    assert_eq!(told[1], [("refills", "5".into(), "2".into())]);
    let paths: Vec<&str> = told[2].iter().map(|change| change.0).collect();
    assert_eq!(paths, ["dose.value", "sig"]);
    assert_eq!(history.versions[2].version.reason, "Side effects.");
    assert_eq!(history.plan.status, PlanStatus::Completed);
    assert_eq!(history.plan.ended.unwrap().reason, EndReason::GoalReached);
}

#[tokio::test]
async fn of_two_who_change_a_plan_the_slower_hears_what_the_other_did() {
    let setting = setting().await;
    let plan = approved(&setting).await;
    modify(&setting, (plan.id, Some(plan.version)), 3).await.unwrap();
    let late = modify(&setting, (plan.id, Some(plan.version)), 1).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::PreconditionFailed);
    assert_eq!(late.code(), "version_mismatch");
    let paths: Vec<&str> = late.fields().iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, ["header.If-Match", "treatment.refills"]);

    // Without a version one waits for the other.
    let attempts = (0..12).filter(|refills| *refills != 3).map(|refills| {
        let setting = &setting;
        async move { modify(setting, (plan.id, None), refills).await }
    });
    let results = futures::future::join_all(attempts).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(history(&setting, plan.id).await.versions.len(), 2 + results.len());

    revoke(&setting, IN_MASSACHUSETTS, (plan.id, None)).await.unwrap();
    let late = modify(&setting, (plan.id, Some(2)), 1).await.unwrap_err();
    let status = late.fields().iter().find(|field| field.path == "status");
    assert!(status.is_some_and(|field| field.message.ends_with("\"revoked\"")), "{late:?}");
}

async fn tell_of_change(setting: &Setting, plan: &TreatmentPlan, last: Option<u32>) {
    let env = &setting.database.env;
    let store = setting.store();
    tasks::on_treatment_plan_modified(env, store, &Last(last), plan.id).await.unwrap();
}

const CHANGED: &str =
    "SELECT count(*) FROM care_tasks WHERE kind = 'changed_treatment' AND status = 'open'";

#[tokio::test]
async fn a_change_of_what_was_prescribed_is_a_task_until_it_is_prescribed_anew() {
    let setting = setting().await;
    let plan = approved(&setting).await;
    let modified = modify(&setting, (plan.id, None), 2).await.unwrap();
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'treatment_plan_modified'";
    assert_eq!(setting.count(told).await, 1);
    for (last, open) in [(None, 0), (Some(2), 0), (Some(1), 1), (Some(1), 1)] {
        tell_of_change(&setting, &modified, last).await;
        assert_eq!(setting.count(CHANGED).await, open, "{last:?}");
    }
    let env = &setting.database.env;
    // What the prescription of before still tells settles nothing and ends
    // nothing.
    for (status, version, open) in [
        (PrescriptionStatusWord::Active, 1, 1),
        (PrescriptionStatusWord::Completed, 1, 1),
        (PrescriptionStatusWord::Canceled, 2, 1),
        (PrescriptionStatusWord::Queued, 2, 0),
    ] {
        let about = ((env.fresh(), plan.id, version), (plan.patient, plan.provider));
        tell_of_prescription(&setting, about, status, Some(2)).await;
        assert_eq!(setting.count(CHANGED).await, open, "{status:?}");
        let about = (plan.id, version);
        let store = setting.store();
        plans::on_prescription_changed(env, store, about, status).await.unwrap();
        let held = plans::of_patient(store, &patient(ADA), ADA).await.unwrap().remove(0);
        assert_eq!(held.status, PlanStatus::Active, "{status:?} of version {version}");
    }
}

#[tokio::test]
async fn a_step_of_a_titration_that_is_used_up_asks_for_the_next_and_ends_nothing() {
    let setting = setting().await;
    let (env, store) = (&setting.database.env, setting.store());
    let system = Actor::system("tests.care");
    let drug = treatment().medication.rxnorm;
    let (listed, version) = care::setting::drug(store, &system, &drug).await.unwrap();
    let step = DoseLimit { followed_by: Some("310346".parse().unwrap()), ..listed };
    care::setting::set_drug(store, &system, &step, &replaced(Some(version))).await.unwrap();
    assert_eq!(care::setting::drug(store, &system, &drug).await.unwrap().0, step);
    let plan = approved(&setting).await;
    let used_up = async || {
        let status = PrescriptionStatusWord::Completed;
        plans::on_prescription_changed(env, store, (plan.id, 1), status).await.unwrap();
        plans::of_patient(store, &patient(ADA), ADA).await.unwrap().remove(0).status
    };
    let open = "SELECT count(*) FROM care_tasks WHERE kind = 'titration_step' AND status = 'open'";
    for _ in 0..2 {
        assert_eq!(used_up().await, PlanStatus::Active);
        assert_eq!(setting.count(open).await, 1);
    }
    assert_eq!(setting.count(ENDED).await, 0);

    // The last step has no other after it.
    let (listed, version) = care::setting::drug(store, &system, &drug).await.unwrap();
    let last = DoseLimit { followed_by: None, ..listed };
    care::setting::set_drug(store, &system, &last, &replaced(Some(version))).await.unwrap();
    assert_eq!(used_up().await, PlanStatus::Completed);
}

#[tokio::test]
async fn a_first_prescription_that_the_change_of_its_plan_overtook_is_a_task() {
    let setting = setting().await;
    let plan = approved(&setting).await;
    let modified = modify(&setting, (plan.id, None), 2).await.unwrap();
    // When the change is told of, the prescription is being written still.
    tell_of_change(&setting, &modified, None).await;
    assert_eq!(setting.count(CHANGED).await, 0);
    let canceled = PrescriptionStatusWord::Canceled;
    let prescription = setting.database.env.fresh();
    let about = |version| ((prescription, plan.id, version), (plan.patient, plan.provider));
    for (version, last, open) in [(1, 2, 0), (2, 2, 0), (1, 1, 1), (1, 1, 1)] {
        tell_of_prescription(&setting, about(version), canceled, Some(last)).await;
        assert_eq!(setting.count(CHANGED).await, open, "version {version}, last {last}");
    }
    revoke(&setting, IN_MASSACHUSETTS, (plan.id, None)).await.unwrap();
    tell_of_prescription(&setting, about(1), canceled, Some(1)).await;
    assert_eq!(setting.count(CHANGED).await, 0, "the plan has ended");
}

#[tokio::test]
async fn the_end_of_a_plan_settles_what_was_to_be_prescribed() {
    let setting = setting().await;
    let plan = approved(&setting).await;
    let modified = modify(&setting, (plan.id, None), 2).await.unwrap();
    tell_of_change(&setting, &modified, Some(1)).await;
    revoke(&setting, IN_MASSACHUSETTS, (plan.id, None)).await.unwrap();
    assert_eq!(setting.count(CHANGED).await, 0);
    // An event that comes after the end raises nothing.
    tell_of_change(&setting, &modified, Some(1)).await;
    assert_eq!(setting.count(CHANGED).await, 0);
}

pub async fn tell_of_profile(setting: &Setting) {
    let env = &setting.database.env;
    let (store, facts) = (setting.store(), setting.neighbours.as_ref());
    tasks::on_profile_changed(env, store, facts, ADA).await.unwrap();
}

const PROFILE: &str =
    "SELECT count(*) FROM care_tasks WHERE kind = 'changed_profile' AND status = 'open'";

#[tokio::test]
async fn whoever_is_another_person_or_elsewhere_now_is_looked_at() {
    let setting = setting().await;
    let plan = approved(&setting).await;
    tell_of_profile(&setting).await;
    assert_eq!(setting.count(PROFILE).await, 0, "nothing has changed");
    setting.neighbours.states.lock().unwrap().insert(ADA, UsState::Tx);
    for _ in 0..2 {
        tell_of_profile(&setting).await;
        assert_eq!(setting.count(PROFILE).await, 1, "the plan was approved elsewhere");
    }
    setting.neighbours.states.lock().unwrap().insert(ADA, UsState::Ma);
    revoke(&setting, IN_MASSACHUSETTS, (plan.id, None)).await.unwrap();
    assert_eq!(setting.count(PROFILE).await, 0);

    // A form that would be approved automatically is not, with another sex.
    setting.neighbours.women.lock().unwrap().push(ADA);
    let again = setting.assess(ADA, &[]).await;
    let own = reviews::own(setting.store(), &patient(ADA)).await.unwrap();
    let decided = own.into_iter().find(|assessment| assessment.id == again).unwrap();
    assert_eq!(decided.outcome, AssessmentOutcome::InReview);
    assert!(decided.reasons.iter().any(|reason| reason.code == "profile_changed"));
}
