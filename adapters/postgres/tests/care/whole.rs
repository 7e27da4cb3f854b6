//! The whole review: what the provider reads is what they sign.

use care::{AlertSeverity, SafetyAlert, whole_review};
use kernel::{DomainError as _, ErrorKind};

use super::*;

async fn claimed(setting: &Setting) -> AssessmentId {
    let id = setting.assess(ADA, &["review"]).await;
    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    id
}

async fn sign(
    setting: &Setting,
    id: AssessmentId,
    seen: &str,
    treatment: Option<Treatment>,
) -> Result<care::TreatmentPlan, CareError> {
    let approval = Approval { seen: seen.into(), treatment, ..Approval::default() };
    let (env, actor) = (&setting.database.env, provider(IN_MASSACHUSETTS));
    let key = key("care.approve_review", &setting.database.env.fresh::<Uuid>().to_string());
    reviews::approve(env, setting.store(), &setting.sources, &actor, id, approval, &key).await
}

/// The parts of which a refusal says that they have changed.
fn parts(refused: Result<care::TreatmentPlan, CareError>) -> Vec<String> {
    let refused = refused.expect_err("it is refused");
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Conflict, "care.review_changed"));
    refused.fields().iter().map(|field| field.path.clone()).collect()
}

fn nitrates() -> SafetyAlert {
    SafetyAlert {
        key: "interaction:one-two".into(),
        kind: "interaction".into(),
        severity: AlertSeverity::High,
        summary: "The two do not go together.".into(),
        source: "The list.".into(),
        blocks: true,
        overridable: true,
    }
}

#[tokio::test]
async fn whoever_holds_a_review_reads_all_of_it_and_nobody_else() {
    let setting = setting().await;
    setting.assess(ADA, &["refuse"]).await;
    let id = setting.assess(ADA, &["review"]).await;
    let (env, store) = (&setting.database.env, setting.store());
    let read =
        async |by| whole_review::read(env, store, &setting.sources, &provider(by), id, None).await;
    assert_eq!(read(IN_MASSACHUSETTS).await.unwrap_err().code(), "care.review_not_claimed");
    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    *setting.neighbours.alerts.lock().unwrap() = vec![nitrates()];
    let whole = read(IN_MASSACHUSETTS).await.unwrap();
    let asked: Vec<_> = whole.questions.iter().map(|one| one.question.as_str()).collect();
    assert_eq!(asked, ["Does it refuse?", "Does it review?"]);
    let proposal = whole.proposal.as_ref().unwrap();
    assert_eq!((&proposal.treatment, proposal.is_default), (&treatment(), true));
    assert_eq!(proposal.alerts, [nitrates()]);
    assert_eq!(proposal.limit.as_ref().unwrap().max_daily, 1.0);
    assert_eq!((whole.earlier.len(), whole.facts.medications.len()), (1, 1));
    assert_eq!(whole.age.years, 36);

    let other = read(ALSO_THERE).await.unwrap_err();
    assert_eq!(other.code(), "care.review_already_claimed");
    assert_eq!(read(IN_TEXAS).await.unwrap_err().code(), "assessment_not_found");
    let audited = "SELECT count(*) FROM audit_entries WHERE entity = 'review' \
                   AND patient_id IS NOT NULL";
    assert_eq!(setting.count(audited).await, 1);
}

#[tokio::test]
async fn nothing_is_signed_but_what_was_shown() {
    let setting = setting().await;
    let id = claimed(&setting).await;
    let all = ["record", "answers", "treatment", "alerts", "history"];
    assert_eq!(parts(sign(&setting, id, "", None).await), all);
    assert_eq!(parts(sign(&setting, id, "something", None).await), all);

    let shown = async || setting.read(id, IN_MASSACHUSETTS, None).await;
    // The record.
    let seen = shown().await;
    setting.neighbours.women.lock().unwrap().push(ADA);
    // Another sex is refused for itself.
    assert_eq!(sign(&setting, id, &seen, None).await.unwrap_err().code(), "care.profile_changed");
    setting.neighbours.women.lock().unwrap().clear();
    setting.neighbours.unanswered.lock().unwrap().push(ADA);
    assert_eq!(parts(sign(&setting, id, &seen, None).await), ["record"]);
    // The alerts.
    let seen = shown().await;
    setting.neighbours.alerts.lock().unwrap().push(nitrates());
    assert_eq!(parts(sign(&setting, id, &seen, None).await), ["alerts"]);
    // The default treatment.
    let seen = shown().await;
    let halved = Treatment { refills: 2, ..treatment() };
    let protocol = Protocol { category: CATEGORY, treatment: halved.clone() };
    let system = Actor::system("tests.care");
    setup::set_protocol(setting.store(), &system, &protocol).await.unwrap();
    assert_eq!(parts(sign(&setting, id, &seen, None).await), ["treatment"]);
    // The history: a visit is booked.
    let seen = shown().await;
    let (env, starts_at) = (&setting.database.env, setting.database.env.now());
    let booking = Booking {
        provider: IN_MASSACHUSETTS,
        category: None,
        starts_at: starts_at + TimeDelta::minutes(15),
    };
    let booked = key("care.book_consultation", "visit");
    consultations::book(env, setting.store(), &setting.sources, &patient(ADA), booking, &booked)
        .await
        .unwrap();
    assert_eq!(parts(sign(&setting, id, &seen, None).await), ["history"]);

    // Prolonging the claim changes nothing of it.
    let seen = shown().await;
    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    let plan = sign(&setting, id, &seen, None).await.unwrap();
    assert_eq!(plan.current().treatment, halved);
}

#[tokio::test]
async fn a_treatment_of_ones_own_is_looked_at_before_it_is_signed() {
    let setting = setting().await;
    let id = claimed(&setting).await;
    let own = Treatment { refills: 1, ..treatment() };
    let default = setting.read(id, IN_MASSACHUSETTS, None).await;
    assert_eq!(parts(sign(&setting, id, &default, Some(own.clone())).await), ["treatment"]);
    let seen = setting.read(id, IN_MASSACHUSETTS, Some(own.clone())).await;
    let other = Treatment { refills: 2, ..own.clone() };
    assert_eq!(parts(sign(&setting, id, &seen, Some(other)).await), ["treatment"]);
    let plan = sign(&setting, id, &seen, Some(own.clone())).await.unwrap();
    assert_eq!(plan.current().treatment, own);
}

#[tokio::test]
async fn whoever_signs_reads_the_formulary_and_the_defaults() {
    let setting = setting().await;
    let (store, doctor) = (setting.store(), provider(IN_MASSACHUSETTS));
    assert_eq!(care::setting::formulary(store, &doctor).await.unwrap().len(), 1);
    let (protocol, _) = care::setting::protocol(store, &doctor, CATEGORY).await.unwrap();
    assert_eq!(protocol.treatment, treatment());
    let refused = care::setting::formulary(store, &patient(ADA)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
}
