//! The review queue: who holds a review, what waits, and what is overdue.

use care::{
    Priority,
    information::{self, EscalateReviews},
};
use kernel::DomainError as _;

use super::*;

pub(super) async fn stored(setting: &Setting, id: AssessmentId) -> care::Assessment {
    let mut tx = setting.store().begin(&Actor::system("tests.care")).await.unwrap();
    get(tx.as_mut(), id).await.unwrap()
}

pub(super) async fn licensed(setting: &Setting, many: u128) -> Vec<ProviderId> {
    let who: Vec<ProviderId> =
        (1..=many).map(|number| ProviderId(Uuid::from_u128(0xc000 + number))).collect();
    for one in &who {
        setting.neighbours.licenses.lock().unwrap().insert(*one, vec![UsState::Ma]);
    }
    setting.seat(&who).await;
    who
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixty_four_who_claim_at_once_one_holds_the_review() {
    let setting = Arc::new(setting().await);
    let claimers = licensed(&setting, 64).await;
    // A claim that ran out is raced for like a review that waits.
    for round in 0..2 {
        let id = setting.assess(ADA, &["review"]).await;
        if round == 1 {
            setting.claim(id, ALSO_THERE).await.unwrap();
            setting.database.clock.advance(Review::CLAIM);
        }
        let attempts: Vec<_> = claimers
            .iter()
            .map(|claimer| {
                let (setting, claimer) = (Arc::clone(&setting), *claimer);
                tokio::spawn(async move { setting.claim(id, claimer).await })
            })
            .collect();
        let mut winners = Vec::new();
        for attempt in attempts {
            match attempt.await.unwrap() {
                Ok(review) => winners.push(review),
                Err(lost) => assert!(matches!(lost, CareError::ReviewAlreadyClaimed), "{lost:?}"),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(stored(&setting, id).await.review, winners[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixty_four_who_loaded_the_same_review_the_store_lets_one_save() {
    let setting = Arc::new(setting().await);
    let claimers = licensed(&setting, 64).await;
    let id = setting.assess(ADA, &["review"]).await;
    let loaded = stored(&setting, id).await;
    let saves: Vec<_> = claimers
        .into_iter()
        .map(|claimer| {
            let (setting, loaded) = (Arc::clone(&setting), loaded.clone());
            tokio::spawn(async move {
                let now = setting.database.env.now();
                let mut tx = setting.store().begin(&Actor::system("tests.care")).await?;
                let seen = loaded.version.into();
                let mut review = lock::<care::Assessment>(tx.as_mut(), id, &seen).await?;
                review.claim(claimer, now).unwrap();
                tx.save(&mut review).await?;
                tx.commit().await
            })
        })
        .collect();
    let mut saved = 0;
    for save in saves {
        match save.await.unwrap() {
            Ok(()) => saved += 1,
            Err(lost) => assert!(matches!(lost, PortError::Stale(_)), "{lost:?}"),
        }
    }
    assert_eq!(saved, 1);
    assert_eq!(setting.count("SELECT count(*) FROM care_review_holders").await, 1);
}

#[tokio::test]
async fn a_license_that_runs_out_ends_seeing_claiming_and_signing() {
    let setting = setting().await;
    let (held, open) =
        (setting.assess(ADA, &["review"]).await, setting.assess(EVE, &["review"]).await);
    setting.claim(held, IN_MASSACHUSETTS).await.unwrap();
    setting.neighbours.licenses.lock().unwrap().insert(IN_MASSACHUSETTS, vec![]);
    assert_eq!(setting.queue(IN_MASSACHUSETTS).await, []);
    let unseen = setting.claim(open, IN_MASSACHUSETTS).await;
    assert!(matches!(unseen, Err(CareError::Port(PortError::NotFound { .. }))), "{unseen:?}");
    let signed = setting.approve(held, IN_MASSACHUSETTS, None, "k1").await;
    assert!(matches!(signed, Err(CareError::LicenseRequired(UsState::Ma))), "{signed:?}");
    let (env, actor) = (&setting.database.env, provider(IN_MASSACHUSETTS));
    let (store, sources) = (setting.store(), &setting.sources);
    let reason = RejectionReason::Other;
    let refused = reviews::reject(env, store, sources, &actor, held, reason, None).await;
    assert!(matches!(refused, Err(CareError::LicenseRequired(UsState::Ma))), "{refused:?}");
    let asked =
        information::request_information(env, store, sources, &actor, held, "Since when?").await;
    assert!(matches!(asked, Err(CareError::LicenseRequired(UsState::Ma))), "{asked:?}");
}

#[tokio::test]
async fn a_question_stops_the_clock_and_the_answer_gives_the_review_back() {
    let setting = setting().await;
    let id = setting.assess(ADA, &["review"]).await;
    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    let due = stored(&setting, id).await.due_at.unwrap();
    let (env, doctor) = (&setting.database.env, provider(IN_MASSACHUSETTS));
    let (store, sources) = (setting.store(), &setting.sources);
    let question = "Since when do you take the tablets?";
    information::request_information(env, store, sources, &doctor, id, question).await.unwrap();
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'review_information_requested'";
    assert_eq!(setting.count(told).await, 1);
    assert!(!setting.queue(ALSO_THERE).await.contains(&id));
    let other = setting.claim(id, ALSO_THERE).await;
    assert!(matches!(other, Err(CareError::Port(PortError::NotFound { .. }))), "{other:?}");
    let signed = setting.approve(id, IN_MASSACHUSETTS, None, "early").await;
    assert!(matches!(signed, Err(CareError::ReviewWaitsForPatient)), "{signed:?}");

    // A week later it is not overdue.
    setting.database.clock.advance(TimeDelta::days(7));
    let job = EscalateReviews {};
    assert_eq!(information::escalate_reviews(env, store, sources, job).await.unwrap(), 0);
    let stranger = information::answer(env, store, &patient(EVE), id, "Mine.").await;
    assert!(matches!(stranger, Err(CareError::Port(PortError::NotFound { .. }))), "{stranger:?}");
    let words = "Since the first of May.";
    information::answer(env, store, &patient(ADA), id, words).await.unwrap();
    let twice = information::answer(env, store, &patient(ADA), id, words).await;
    assert!(matches!(twice, Err(CareError::NothingAsked)), "{twice:?}");
    let back = stored(&setting, id).await;
    // Daylight time began in between, so that a business hour is an hour
    // earlier by the clock of Greenwich.
    assert_eq!(
        (back.review, back.due_at.unwrap() - due),
        (Review::Waiting, TimeDelta::days(7) - TimeDelta::hours(1))
    );
    assert!(setting.queue(ALSO_THERE).await.contains(&id));

    for reader in [doctor, provider(ALSO_THERE), patient(ADA)] {
        let read = information::exchanges(env, store, sources, &reader, id).await.unwrap();
        assert_eq!((&*read[0].question, read[0].answer.as_deref()), (question, Some(words)));
    }
    let texan = provider(IN_TEXAS);
    let stranger = information::exchanges(env, store, sources, &texan, id).await;
    assert!(matches!(stranger, Err(CareError::Port(PortError::NotFound { .. }))), "{stranger:?}");
    let open = "SELECT count(*) FROM care_review_exchanges \
                WHERE position('tablets' in encode(question, 'escape')) > 0 \
                OR position('May' in encode(answer, 'escape')) > 0";
    assert_eq!(setting.count(open).await, 0, "it lies open");
}

#[tokio::test]
async fn a_review_is_handed_to_a_colleague_who_is_licensed_there() {
    let setting = setting().await;
    let id = setting.assess(ADA, &["review"]).await;
    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    let (env, doctor) = (&setting.database.env, provider(IN_MASSACHUSETTS));
    let (store, sources) = (setting.store(), &setting.sources);
    let texan = information::reassign(env, store, sources, &doctor, id, IN_TEXAS).await;
    assert!(matches!(texan, Err(CareError::Invalid(_))), "{texan:?}");
    let handed = information::reassign(env, store, sources, &doctor, id, ALSO_THERE).await.unwrap();
    assert_eq!(handed.review.provider(), Some(ALSO_THERE));
    let again = information::reassign(env, store, sources, &doctor, id, ALSO_THERE).await;
    assert!(matches!(again, Err(CareError::ReviewAlreadyClaimed)), "{again:?}");
    setting.approve(id, ALSO_THERE, None, "k1").await.unwrap();
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'review_assigned'";
    assert_eq!(setting.count(told).await, 1);
}

#[tokio::test]
async fn an_overdue_review_goes_to_the_front_with_one_task() {
    let setting = setting().await;
    let late = setting.assess(ADA, &["review"]).await;
    let due = stored(&setting, late).await.due_at.unwrap();
    let (env, store, sources) = (&setting.database.env, setting.store(), &setting.sources);
    let run = || information::escalate_reviews(env, store, sources, EscalateReviews {});
    assert_eq!(run().await.unwrap(), 0);
    setting.database.clock.advance(due - env.now());
    assert_eq!(run().await.unwrap(), 1);
    assert_eq!(run().await.unwrap(), 0, "once");
    let now = stored(&setting, late).await;
    assert_eq!((now.priority, now.due_at), (Priority::Urgent, Some(due)));
    let tasks = "SELECT count(*) FROM care_tasks WHERE kind = 'overdue_review' \
                 AND provider_id IS NOT NULL";
    assert_eq!(setting.count(tasks).await, 1);
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'task_created'";
    assert_eq!(setting.count(told).await, 1);
    let danger = setting.assess(EVE, &["danger"]).await;
    assert_eq!(setting.queue(ALSO_THERE).await, [late, danger]);
}

#[tokio::test]
async fn whoever_loses_a_race_hears_what_has_become_of_the_review() {
    let setting = setting().await;
    let id = setting.assess(ADA, &["review"]).await;
    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    let (env, doctor) = (&setting.database.env, provider(IN_MASSACHUSETTS));
    let (store, sources) = (setting.store(), &setting.sources);
    // The same provider in two tabs: one rejects, the other approves or asks.
    let (reject, approve, ask) = tokio::join!(
        reviews::reject(env, store, sources, &doctor, id, RejectionReason::NotIndicated, None),
        setting.approve(id, IN_MASSACHUSETTS, None, "k1"),
        information::request_information(env, store, sources, &doctor, id, "Since when?"),
    );
    let failures: Vec<CareError> =
        [reject.err(), approve.err(), ask.err()].into_iter().flatten().collect();
    assert_eq!(failures.len(), 2, "{failures:?}");
    let expected = match stored(&setting, id).await.review {
        Review::WaitingOnPatient { .. } => "care.review_waits_for_patient",
        _ => "care.review_closed",
    };
    for lost in failures {
        assert_eq!(lost.code(), expected);
    }
}
