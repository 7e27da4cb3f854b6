//! Giving out reviews: never twice, never to somebody unlicensed, and in turn.

use care::{
    AssignmentPolicy,
    assigning::{self, AssignReviews, HandedOut},
    information,
};
use kernel::{DomainError as _, ErrorKind};

use super::{
    queue::{licensed, stored},
    *,
};

fn administrator() -> Actor {
    account(Uuid::from_u128(0xad), Role::Admin, &[Permission::RuleAdminister])
}

async fn switch_on(setting: &Setting, change: impl FnOnce(&mut AssignmentPolicy)) {
    let (store, admin) = (setting.store(), administrator());
    let (mut policy, version) = assigning::policy(store, &admin).await.unwrap();
    policy.automatic = true;
    change(&mut policy);
    assigning::set_policy(store, &admin, &policy, &version.into()).await.unwrap();
}

async fn run(setting: &Setting) -> HandedOut {
    let (env, store, sources) = (&setting.database.env, setting.store(), &setting.sources);
    assigning::assign_reviews(env, store, sources, AssignReviews {}).await.unwrap()
}

async fn holder(setting: &Setting, id: AssessmentId) -> Option<ProviderId> {
    stored(setting, id).await.review.provider()
}

#[tokio::test]
async fn nothing_is_given_out_until_the_clinic_or_an_administrator_says_so() {
    let setting = setting().await;
    let id = setting.assess(ADA, &["review"]).await;
    assert_eq!(run(&setting).await, HandedOut::default());
    assert_eq!(stored(&setting, id).await.review, Review::Waiting);
    let (env, store, sources) = (&setting.database.env, setting.store(), &setting.sources);
    let doctor = provider(IN_TEXAS);
    let refused = assigning::assign_waiting(env, store, sources, &doctor).await;
    assert!(matches!(refused, Err(CareError::Forbidden(_))), "{refused:?}");
    let done = assigning::assign_waiting(env, store, sources, &administrator()).await.unwrap();
    assert_eq!(done, HandedOut { assigned: 1, left: 0 });
    let held = stored(&setting, id).await;
    let until = env.now() + TimeDelta::minutes(120);
    assert_eq!(held.review, Review::Claimed { provider: IN_MASSACHUSETTS, until });
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'review_assigned'";
    assert_eq!(setting.count(told).await, 1);
    let audited = "SELECT count(*) FROM audit_entries WHERE detail->>'review' = 'assign' \
                   AND patient_id IS NOT NULL";
    assert_eq!(setting.count(audited).await, 1);
    // Whoever was given it may decide it without claiming it first.
    setting.approve(id, IN_MASSACHUSETTS, None, "k1").await.unwrap();
}

#[tokio::test]
async fn the_policy_is_changed_by_who_read_it_and_both_values_are_audited() {
    let setting = setting().await;
    let (store, admin) = (setting.store(), administrator());
    let (policy, version) = assigning::policy(store, &admin).await.unwrap();
    assert_eq!((&policy, version), (&AssignmentPolicy::default(), 1));
    let mut changed = AssignmentPolicy { hold_minutes: 45, ..policy };
    changed.specialities.insert(CATEGORY, [Speciality::Dermatology].into());
    assert_eq!(assigning::set_policy(store, &admin, &changed, &1.into()).await.unwrap(), 2);
    assert_eq!(assigning::policy(store, &admin).await.unwrap(), (changed.clone(), 2));
    let stale = assigning::set_policy(store, &admin, &changed, &1.into()).await.unwrap_err();
    assert_eq!(stale.kind(), ErrorKind::PreconditionFailed);
    let audited = "SELECT count(*) FROM audit_entries WHERE entity = 'assignment_policy' \
                   AND detail->'old'->>'hold_minutes' = '120' \
                   AND detail->'new'->>'hold_minutes' = '45'";
    assert_eq!(setting.count(audited).await, 1);
}

#[tokio::test]
async fn a_review_that_enters_the_queue_asks_to_be_given_out() {
    let setting = setting().await;
    let asked =
        "SELECT count(*) FROM graphile_worker.jobs WHERE key = 'care.assign_reviews:entered'";
    setting.assess(EVE, &["review"]).await;
    assert_eq!(setting.count(asked).await, 0, "the queue is there to be pulled from");
    switch_on(&setting, |_| {}).await;
    assert_eq!(setting.count(asked).await, 1, "what waits is given out then");
    setting.assess(ADA, &["review"]).await;
    assert_eq!(setting.count(asked).await, 1, "one job does for both");
}

#[tokio::test]
async fn reviews_go_round_among_equals_and_to_whoever_holds_fewer() {
    let setting = setting().await;
    switch_on(&setting, |_| {}).await;
    let mut given: BTreeMap<ProviderId, u32> = BTreeMap::new();
    let mut given_out = Vec::new();
    for _ in 0..6 {
        let id = setting.assess(setting.newcomer(), &["review"]).await;
        assert_eq!(run(&setting).await.assigned, 1);
        *given.entry(holder(&setting, id).await.unwrap()).or_default() += 1;
        given_out.push(id);
        setting.database.clock.advance(TimeDelta::minutes(1));
    }
    assert_eq!(given, [(IN_MASSACHUSETTS, 3), (ALSO_THERE, 3)].into());
    // One of them decides two: the next two are theirs.
    let mut done = 0;
    for id in given_out {
        if done < 2 && holder(&setting, id).await == Some(ALSO_THERE) {
            let (env, actor) = (&setting.database.env, provider(ALSO_THERE));
            let reason = RejectionReason::NotIndicated;
            let (store, sources) = (setting.store(), &setting.sources);
            reviews::reject(env, store, sources, &actor, id, reason, None).await.unwrap();
            done += 1;
        }
    }
    for _ in 0..2 {
        let id = setting.assess(setting.newcomer(), &["review"]).await;
        run(&setting).await;
        assert_eq!(holder(&setting, id).await, Some(ALSO_THERE));
    }
}

#[tokio::test]
async fn hours_specialities_and_licenses_keep_people_out_and_a_full_one_is_given_no_more() {
    let setting = setting().await;
    switch_on(&setting, |policy| {
        policy.most_held = 1;
        policy.specialities.insert(CATEGORY, [Speciality::Dermatology].into());
    })
    .await;
    let id = setting.assess(ADA, &["review"]).await;
    assert_eq!(run(&setting).await, HandedOut { assigned: 0, left: 1 }, "no dermatologist");
    let dermatologist = |who| {
        setting.neighbours.skills.lock().unwrap().insert(who, [Speciality::Dermatology].into());
    };
    dermatologist(IN_TEXAS);
    dermatologist(ALSO_THERE);
    setting.neighbours.away.lock().unwrap().insert(ALSO_THERE);
    assert_eq!(run(&setting).await.assigned, 0, "one is in Texas, the other at home");
    setting.neighbours.away.lock().unwrap().clear();
    assert_eq!(run(&setting).await.assigned, 1);
    assert_eq!(holder(&setting, id).await, Some(ALSO_THERE));
    let more = setting.assess(EVE, &["review"]).await;
    assert_eq!(run(&setting).await, HandedOut { assigned: 0, left: 1 }, "full");
    assert_eq!(stored(&setting, more).await.review, Review::Waiting);
}

#[tokio::test]
async fn who_has_moved_is_given_to_somebody_licensed_where_they_are() {
    let setting = setting().await;
    switch_on(&setting, |_| {}).await;
    let id = setting.assess(ADA, &["review"]).await;
    setting.neighbours.states.lock().unwrap().insert(ADA, UsState::Tx);
    assert_eq!(run(&setting).await.assigned, 1);
    assert_eq!(holder(&setting, id).await, Some(IN_TEXAS));
    let (store, actor) = (setting.store(), Actor::system("tests.care"));
    setup::set_modality(store, &actor, UsState::Tx, Modality::Asynchronous).await.unwrap();
    setting.approve(id, IN_TEXAS, None, "k1").await.unwrap();
}

#[tokio::test]
async fn what_was_let_go_returns_and_goes_to_the_next_until_all_had_it() {
    let setting = setting().await;
    switch_on(&setting, |_| {}).await;
    let id = setting.assess(ADA, &["review"]).await;
    run(&setting).await;
    let first = holder(&setting, id).await.unwrap();
    let (env, store, sources) = (&setting.database.env, setting.store(), &setting.sources);
    reviews::release(env, store, sources, &provider(first), id).await.unwrap();
    assert_eq!(run(&setting).await.assigned, 1);
    let second = holder(&setting, id).await.unwrap();
    assert_ne!(first, second);
    // The second lets the time run out: it is in everybody's queue again.
    assert_eq!(run(&setting).await, HandedOut::default(), "it is held");
    setting.database.clock.advance(TimeDelta::minutes(120));
    assert_eq!(setting.queue(first).await, [id]);
    assert_eq!(run(&setting).await, HandedOut { assigned: 0, left: 1 }, "both had it");
    setting.claim(id, first).await.unwrap();
    let question = "Since when?";
    information::request_information(env, store, sources, &provider(first), id, question)
        .await
        .unwrap();
    assert_eq!(run(&setting).await, HandedOut::default(), "it waits for the patient");
    information::answer(env, store, &patient(ADA), id, "Since May.").await.unwrap();
    assert_eq!(run(&setting).await.assigned, 1, "with the answer it is another review");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_who_give_out_at_once_give_each_review_out_once_and_evenly() {
    let setting = Arc::new(setting().await);
    switch_on(&setting, |_| {}).await;
    setting.neighbours.licenses.lock().unwrap().clear();
    let who = licensed(&setting, 4).await;
    let mut reviews = Vec::new();
    for _ in 0..12 {
        reviews.push(setting.assess(setting.newcomer(), &["review"]).await);
    }
    let runs: Vec<_> = (0..16)
        .map(|_| {
            let setting = Arc::clone(&setting);
            tokio::spawn(async move { run(&setting).await.assigned })
        })
        .collect();
    let mut assigned = 0;
    for run in runs {
        assigned += run.await.unwrap();
    }
    assert_eq!(assigned, 12);
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'review_assigned'";
    assert_eq!(setting.count(told).await, 12);
    let mut given: BTreeMap<ProviderId, u32> = BTreeMap::new();
    for id in reviews {
        *given.entry(holder(&setting, id).await.unwrap()).or_default() += 1;
    }
    assert_eq!(given, who.into_iter().map(|one| (one, 3)).collect());
}
