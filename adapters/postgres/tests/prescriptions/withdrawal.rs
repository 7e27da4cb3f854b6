//! A prescription whose treatment plan has ended is neither sent nor filled.

use pharmacy::dispatch::withdraw::on_treatment_plan_ended;

use super::*;

async fn end(database: &Database) {
    let about = (id(PATIENT), id(CATEGORY));
    on_treatment_plan_ended(&database.env, &database.pg, id(PLAN), about).await.unwrap();
}

#[tokio::test]
async fn what_was_sent_is_canceled_and_a_late_verification_changes_nothing() {
    let database = database().await;
    let world = World::new();
    let written = write(&database, &world, "a").await.unwrap();
    let network = Network::answering([status()]);
    send(&database, &world, &network, &written).await.unwrap();
    end(&database).await;
    let message = message_of(&written);
    let network: Arc<dyn ErxNetwork> = network;
    let text = format!("verify {message} v1");
    receive_message(&database.env, &database.pg, &network, &text).await.unwrap();
    let now = load(&database, &written).await;
    assert!(matches!(now.state, PrescriptionState::Canceled { .. }), "{:?}", now.state);
    let mut tx = PrescriptionStore::begin(&database.pg, &Actor::system("tests")).await.unwrap();
    let dispatch = database.env.fresh();
    let day = database.env.now().date_naive();
    let filled = record_fill(tx.as_mut(), &database.env, now.id, dispatch, day).await;
    assert_eq!(filled.unwrap_err().code(), "pharmacy.not_fillable");
}

#[tokio::test]
async fn what_was_signed_while_the_plan_ended_is_never_sent() {
    let database = database().await;
    let world = World::new();
    // The plan ends before the prescription is there, so its handler finds none.
    end(&database).await;
    let written = write(&database, &world, "a").await.unwrap();
    world.treatment.lock().unwrap().active = false;
    let network = Network::answering([]);
    send(&database, &world, &network, &written).await.unwrap();
    assert!(network.delivered.lock().unwrap().is_empty());
    let now = load(&database, &written).await;
    assert!(matches!(now.state, PrescriptionState::Canceled { .. }), "{:?}", now.state);
}

#[tokio::test]
async fn a_blocked_one_cannot_be_let_through_after_the_end() {
    let database = database().await;
    let world = World::new();
    world.takes("nitroglycerin 0.4 MG Sublingual Tablet");
    let blocked = write(&database, &world, "a").await.unwrap();
    world.treatment.lock().unwrap().active = false;
    let alert = blocked.alerts[0].key.clone();
    let given = [OverrideRequest { alert, reason: "Nitrates were stopped in January.".into() }];
    let (actor, key) = (provider_actor(PROVIDER), key("override"));
    let (env, pg, ports) = (&database.env, &database.pg, world.ports());
    let refused = override_alerts(env, pg, &ports, &actor, blocked.id, &given, &key).await;
    let code = "pharmacy.treatment_not_active";
    assert!(matches!(&refused, Err(error) if error.code() == code), "{refused:?}");
    end(&database).await;
    let now = load(&database, &blocked).await;
    assert!(matches!(now.state, PrescriptionState::Canceled { .. }), "{:?}", now.state);
}
