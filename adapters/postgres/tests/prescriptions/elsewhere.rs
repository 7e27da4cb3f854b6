//! What another plan prescribes counts in the safety check.

use ports::repository::lock;

use super::*;

const OTHER_PLAN: u128 = 77;

/// The same drug, by another plan of another category.
fn other_world() -> Arc<World> {
    let world = World::new();
    let mut treatment = world.treatment.lock().unwrap();
    (treatment.id, treatment.category) = (id(OTHER_PLAN), id(78));
    drop(treatment);
    world
}

async fn write_other(
    database: &Database,
    world: &Arc<World>,
    word: &str,
) -> Result<Prescription, PharmacyError> {
    let request = PrescribeRequest { treatment_plan: id(OTHER_PLAN), ..request() };
    let actor = provider_actor(PROVIDER);
    prescribe(&database.env, &database.pg, &world.ports(), &actor, request, &key(word)).await
}

#[tokio::test]
async fn a_second_prescription_of_one_drug_is_blocked_until_somebody_says_why() {
    let database = database().await;
    let first = write(&database, &World::new(), "a").await.unwrap();
    assert_eq!((first.state.word(), first.alerts.len()), ("queued", 0));
    let second = write_other(&database, &other_world(), "b").await.unwrap();
    assert_eq!(second.state.word(), "blocked");
    let kinds: Vec<String> = second.alerts.iter().map(|alert| alert.kind.to_string()).collect();
    assert_eq!(kinds, ["duplicate_therapy"]);

    let alert = second.alerts[0].key.clone();
    let given = [OverrideRequest { alert, reason: "One at home and one on the road.".into() }];
    let (actor, key) = (provider_actor(PROVIDER), key("override"));
    let (env, pg, ports) = (&database.env, &database.pg, other_world().ports());
    let signed = override_alerts(env, pg, &ports, &actor, second.id, &given, &key).await.unwrap();
    assert_eq!(signed.state.word(), "queued");
}

#[tokio::test]
async fn two_that_are_signed_at_once_see_each_other() {
    for _ in 0..4 {
        let database = database().await;
        let (one, other) = (World::new(), other_world());
        let (first, second) =
            tokio::join!(write(&database, &one, "a"), write_other(&database, &other, "b"));
        let mut states = [first.unwrap().state.word(), second.unwrap().state.word()];
        states.sort_unstable();
        assert_eq!(states, ["blocked", "queued"]);
    }
}

#[tokio::test]
async fn what_is_used_up_or_canceled_does_not_count() {
    let database = database().await;
    let first = write(&database, &World::new(), "a").await.unwrap();
    let actor = Actor::system("tests.prescriptions");
    let mut tx = PrescriptionStore::begin(&database.pg, &actor).await.unwrap();
    let mut ended = lock::<Prescription>(tx.as_mut(), first.id, &kernel::Seen::Any).await.unwrap();
    ended.withdraw("ended", database.env.now());
    tx.save(&mut ended).await.unwrap();
    let entry = ports::AuditEntry::new(ports::AuditAction::Update, "prescription", first.id);
    tx.audit(entry);
    tx.commit().await.unwrap();
    let second = write_other(&database, &other_world(), "b").await.unwrap();
    assert_eq!((second.state.word(), second.alerts.len()), ("queued", 0));
}
