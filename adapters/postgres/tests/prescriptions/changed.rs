//! A prescription of a treatment that has changed since is neither sent nor
//! filled, and a new one is written in its place.

use pharmacy::dispatch::withdraw::on_treatment_plan_modified;

use super::*;

fn modify(world: &World) {
    let mut treatment = world.treatment.lock().unwrap();
    treatment.version += 1;
    treatment.dosing.refills = 0;
}

async fn tell(database: &Database, version: u32) {
    let (env, pg) = (&database.env, &database.pg);
    let about = (id(PATIENT), id(CATEGORY));
    on_treatment_plan_modified(env, pg, id(PLAN), about, version).await.unwrap();
}

async fn last_version(database: &Database) -> Option<u32> {
    let mut tx = PrescriptionStore::begin(&database.pg, &Actor::system("tests")).await.unwrap();
    tx.last_prescribed_version(id(PLAN)).await.unwrap()
}

fn is_canceled(prescription: &Prescription) -> bool {
    matches!(&prescription.state, PrescriptionState::Canceled { reason, .. } if reason == "The treatment has changed.")
}

#[tokio::test]
async fn the_changed_treatment_is_written_anew_and_only_once() {
    let database = database().await;
    let world = World::new();
    assert_eq!(last_version(&database).await, None);
    let old = write(&database, &world, "a").await.unwrap();
    assert_eq!((old.plan_version, old.dosing.refills), (1, 1));
    modify(&world);
    let new = write(&database, &world, "b").await.unwrap();
    assert_ne!(new.id, old.id);
    assert_eq!((new.plan_version, new.dosing.refills), (2, 0));
    assert!(is_canceled(&load(&database, &old).await));
    assert_eq!(last_version(&database).await, Some(2));

    // The event that comes after finds nothing of an earlier version.
    tell(&database, 2).await;
    let kept = load(&database, &new).await;
    assert!(matches!(kept.state, PrescriptionState::Queued { .. }), "{:?}", kept.state);
    assert_eq!(write(&database, &world, "c").await.unwrap().id, new.id);
}

#[tokio::test]
async fn what_was_sent_is_withdrawn_by_the_event() {
    let database = database().await;
    let world = World::new();
    let old = write(&database, &world, "a").await.unwrap();
    send(&database, &world, &Network::answering([status()]), &old).await.unwrap();
    modify(&world);
    tell(&database, 2).await;
    assert!(is_canceled(&load(&database, &old).await));
}

#[tokio::test]
async fn what_was_signed_before_the_change_is_not_sent_after_it() {
    let database = database().await;
    let world = World::new();
    let old = write(&database, &world, "a").await.unwrap();
    modify(&world);
    let network = Network::answering([]);
    send(&database, &world, &network, &old).await.unwrap();
    assert!(network.delivered.lock().unwrap().is_empty());
    assert!(is_canceled(&load(&database, &old).await));
}

#[tokio::test]
async fn a_blocked_one_of_before_takes_no_override() {
    let database = database().await;
    let world = World::new();
    world.takes("nitroglycerin 0.4 MG Sublingual Tablet");
    let blocked = write(&database, &world, "a").await.unwrap();
    modify(&world);
    let alert = blocked.alerts[0].key.clone();
    let given = [OverrideRequest { alert, reason: "Nitrates were stopped in January.".into() }];
    let (actor, key) = (provider_actor(PROVIDER), key("override"));
    let (env, pg, ports) = (&database.env, &database.pg, world.ports());
    let refused = override_alerts(env, pg, &ports, &actor, blocked.id, &given, &key).await;
    let code = "pharmacy.treatment_changed";
    assert!(matches!(&refused, Err(error) if error.code() == code), "{refused:?}");
    let unchanged = load(&database, &blocked).await;
    assert!(matches!(unchanged.state, PrescriptionState::Blocked { .. }), "{:?}", unchanged.state);
}

#[tokio::test]
async fn a_drug_that_is_controlled_since_takes_no_override() {
    let database = database().await;
    let world = World::new();
    world.takes("nitroglycerin 0.4 MG Sublingual Tablet");
    let blocked = write(&database, &world, "a").await.unwrap();
    world.treatment.lock().unwrap().medication.schedule = DeaSchedule::Iv;
    let alert = blocked.alerts[0].key.clone();
    let given = [OverrideRequest { alert, reason: "Nitrates were stopped in January.".into() }];
    let (actor, key) = (provider_actor(PROVIDER), key("override"));
    let (env, pg, ports) = (&database.env, &database.pg, world.ports());
    let refused = override_alerts(env, pg, &ports, &actor, blocked.id, &given, &key).await;
    let code = "pharmacy.controlled_substance";
    assert!(matches!(&refused, Err(error) if error.code() == code), "{refused:?}");
}

#[tokio::test]
async fn whoever_has_read_another_version_of_the_treatment_signs_nothing() {
    let database = database().await;
    let world = World::new();
    modify(&world);
    let (actor, ports) = (provider_actor(PROVIDER), world.ports());
    let (env, pg) = (&database.env, &database.pg);
    let refused = prescribe(env, pg, &ports, &actor, request(), &key("a")).await;
    let code = "pharmacy.treatment_changed";
    assert!(matches!(&refused, Err(error) if error.code() == code), "{refused:?}");
    assert_eq!(count_all(&database, "prescriptions").await, 0);
}

#[tokio::test]
async fn what_a_colleague_signed_who_handed_over_is_signed_anew() {
    let database = database().await;
    let world = World::new();
    let old = write(&database, &world, "a").await.unwrap();
    const SUCCESSOR: u128 = 0x5cc;
    let successor: ProviderId = id(SUCCESSOR);
    world.treatment.lock().unwrap().provider = successor;
    world.prescriber.lock().unwrap().provider = successor;
    let (env, pg, ports) = (&database.env, &database.pg, world.ports());
    let actor = provider_actor(SUCCESSOR);
    let new = prescribe(env, pg, &ports, &actor, request(), &key("b")).await.unwrap();
    assert_eq!(new.provider, successor);
    assert_ne!(new.id, old.id);
    assert!(is_canceled(&load(&database, &old).await));
}

#[tokio::test]
async fn an_alert_is_overridden_as_it_was_shown() {
    let database = database().await;
    let world = World::new();
    let allergic = |to: &str| {
        let allergy = RecordedAllergy {
            codings: Vec::new(),
            display: to.to_owned(),
            categories: vec![AllergyCategory::Medication],
        };
        *world.facts.lock().unwrap() =
            Some(ClinicalFacts { allergies: vec![allergy], ..ClinicalFacts::default() });
    };
    allergic("sildenafil");
    let blocked = write(&database, &world, "a").await.unwrap();
    let alert = blocked.alerts[0].key.clone();
    let (env, pg, ports) = (&database.env, &database.pg, world.ports());
    let give = async |word: &str| {
        let reason = "Taken for years without any reaction.".to_owned();
        let given = [OverrideRequest { alert: alert.clone(), reason }];
        let (actor, key) = (provider_actor(PROVIDER), key(word));
        override_alerts(env, pg, &ports, &actor, blocked.id, &given, &key).await
    };
    // The same alert in other words.
    allergic("Sildenafil");
    let refused = give("o1").await;
    let code = "pharmacy.alerts_changed";
    assert!(matches!(&refused, Err(error) if error.code() == code), "{refused:?}");
    let shown = load(&database, &blocked).await;
    assert_eq!(shown.state.word(), "blocked");
    assert!(shown.alerts[0].summary.contains("Sildenafil"), "it is shown now");
    assert_eq!(give("o2").await.unwrap().state.word(), "queued");
}
