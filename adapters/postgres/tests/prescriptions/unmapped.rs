//! A drug of which nothing is known is not prescribed, whatever the reason.

use super::*;

#[tokio::test]
async fn an_unknown_drug_stays_blocked_and_takes_no_override() {
    let database = database().await;
    let world = World::new();
    {
        let mut treatment = world.treatment.lock().unwrap();
        treatment.medication.rxnorm = "99999998".parse().unwrap();
        treatment.medication.display = "unheardof 2 MG Oral Tablet".to_owned();
    }
    let blocked = write(&database, &world, "a").await.unwrap();
    assert_eq!(blocked.state.word(), "blocked");
    let alert = blocked.alerts[0].key.clone();
    assert!(!blocked.alerts[0].is_overridable(), "{alert}");
    let given = [OverrideRequest { alert, reason: "The patient asked for it by name.".into() }];
    let (actor, key) = (provider_actor(PROVIDER), key("override"));
    let (env, pg, ports) = (&database.env, &database.pg, world.ports());
    let refused = override_alerts(env, pg, &ports, &actor, blocked.id, &given, &key).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.fields()[0].code, "not_overridable", "{refused:?}");
    assert_eq!(load(&database, &blocked).await.state.word(), "blocked");
}

#[tokio::test]
async fn a_package_of_another_drug_is_not_signed() {
    let database = database().await;
    let world = World::new();
    world.treatment.lock().unwrap().on_formulary = false;
    let refused = write(&database, &world, "a").await.unwrap_err();
    assert_eq!(refused.code(), "pharmacy.not_on_formulary");
    assert_eq!(count_all(&database, "prescriptions").await, 0);
}
