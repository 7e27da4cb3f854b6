//! One complaint has one open review: that of the response submitted last.

use kernel::DomainError as _;

use super::{queue::stored, *};

async fn open(setting: &Setting) -> Vec<FormResponseId> {
    let mut tx = setting.store().begin(&Actor::system("tests.care")).await.unwrap();
    let all = tx.assessments(ADA).await.unwrap();
    let open = all.into_iter().filter(|assessment| assessment.review.is_open());
    open.map(|assessment| assessment.response).collect()
}

#[tokio::test]
async fn a_later_submission_takes_the_place_of_every_open_review() {
    let setting = setting().await;
    let claimed = setting.assess(ADA, &["review"]).await;
    setting.claim(claimed, ALSO_THERE).await.unwrap();
    let waiting = setting.assess(ADA, &["review"]).await;
    let another = setting.assess(EVE, &["review"]).await;
    let last = setting.assess(ADA, &["review"]).await;
    assert_eq!(setting.queue(IN_MASSACHUSETTS).await, [another, last]);
    for (old, by) in [(claimed, waiting), (waiting, last)] {
        let review = stored(&setting, old).await.review;
        assert_eq!(review, Review::Superseded { by, at: setting.database.env.now() });
    }

    // Whoever held the old one cannot decide it, whatever is found of the new.
    let approved = setting.approve(claimed, ALSO_THERE, None, "k1").await.unwrap_err();
    assert_eq!(approved.code(), "care.review_superseded");
    let taken = setting.claim(waiting, ALSO_THERE).await.unwrap_err();
    assert_eq!(taken.code(), "care.review_superseded");
    setting.claim(last, ALSO_THERE).await.unwrap();
    let (env, store) = (&setting.database.env, setting.store());
    let (actor, reason) = (provider(ALSO_THERE), RejectionReason::Contraindicated);
    reviews::reject(env, store, &setting.sources, &actor, last, reason, None).await.unwrap();
    assert_eq!(open(&setting).await, []);
}

#[tokio::test]
async fn a_refusal_closes_the_review_of_the_form_before_it() {
    let setting = setting().await;
    let before = setting.assess(ADA, &["review"]).await;
    setting.assess(ADA, &["refuse"]).await;
    assert_eq!(stored(&setting, before).await.review.word(), care::ReviewWord::Superseded);
    assert_eq!(open(&setting).await, []);
}

#[tokio::test]
async fn the_last_submission_decides_in_whatever_order_they_are_assessed() {
    let setting = setting().await;
    let (first, last) = (setting.submit(ADA, &["review"]), setting.submit(ADA, &["review"]));
    setting.deliver(last).await.unwrap();
    setting.deliver(first).await.unwrap();
    assert_eq!(open(&setting).await, [last]);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_submissions_assessed_at_once_leave_the_last_one_open() {
    let setting = Arc::new(setting().await);
    let responses: Vec<_> = (0..8).map(|_| setting.submit(ADA, &["review"])).collect();
    let deliveries: Vec<_> = responses
        .iter()
        .map(|response| {
            let (setting, response) = (Arc::clone(&setting), *response);
            tokio::spawn(async move { setting.deliver(response).await })
        })
        .collect();
    for delivery in deliveries {
        delivery.await.unwrap().unwrap();
    }
    assert_eq!(open(&setting).await, responses[7..]);
}

#[tokio::test]
async fn another_form_neither_takes_a_danger_back_nor_passes_in_its_place() {
    let setting = setting().await;
    setting.assess(ADA, &["danger"]).await;
    let open = "SELECT count(*) FROM care_tasks WHERE kind = 'urgent_review' AND status = 'open'";
    assert_eq!(setting.count(open).await, 1);
    let plain = setting.assess(ADA, &[]).await;
    assert_eq!(setting.count(open).await, 1, "it is still to be looked at");
    let own = reviews::own(setting.store(), &patient(ADA)).await.unwrap();
    let decided = own.into_iter().find(|assessment| assessment.id == plain).unwrap();
    assert_eq!(decided.outcome, AssessmentOutcome::InReview);
    assert!(decided.reasons.iter().any(|reason| reason.code == "another_request"));
}

#[tokio::test]
async fn what_is_assessed_after_a_later_form_is_not_approved_by_itself() {
    let setting = setting().await;
    let first = setting.submit(ADA, &[]);
    let later = setting.submit(ADA, &["refuse"]);
    setting.deliver(later).await.unwrap();
    setting.deliver(first).await.unwrap();
    assert_eq!(setting.count("SELECT count(*) FROM care_treatment_plans").await, 0);
}
