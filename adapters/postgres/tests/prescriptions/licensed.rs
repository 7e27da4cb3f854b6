//! Nothing is prescribed to a pharmacy that may not fill for the patient.

use super::*;

async fn change(database: &Database, active: bool, state: UsState) {
    let entry = Pharmacy { active, licensed_in: [state].into(), ..pharmacy() };
    read::put_pharmacy(&database.pg, &Actor::system("tests.prescriptions"), &entry).await.unwrap();
}

#[tokio::test]
async fn a_pharmacy_that_is_not_licensed_or_out_of_use_is_not_prescribed_to() {
    let database = database().await;
    let world = World::new();
    for (active, state, code) in
        [(true, UsState::Ny, "not_licensed"), (false, UsState::Ma, "unknown")]
    {
        change(&database, active, state).await;
        let refused = write(&database, &world, code).await.unwrap_err();
        let field = &refused.fields()[0];
        assert_eq!((field.path.as_str(), field.code.as_str()), ("pharmacy_id", code));
    }
    assert_eq!(count_all(&database, "prescriptions").await, 0);
    change(&database, true, UsState::Ma).await;
    assert_eq!(write(&database, &world, "licensed").await.unwrap().state.word(), "queued");
}

#[tokio::test]
async fn an_automatic_plan_for_which_nobody_is_licensed_fails_and_says_why() {
    let database = database().await;
    change(&database, true, UsState::Ny).await;
    let world = World::new();
    let (env, pg, ports) = (&database.env, &database.pg, world.ports());
    on_treatment_plan_created(env, pg, &ports, id(PLAN), true).await.unwrap();
    let system = Actor::system("tests.prescriptions");
    let page = PageRequest::default();
    let found = read::prescriptions(pg, &NoPanel, &system, None, &page).await.unwrap().items;
    let PrescriptionState::Failed { reason, .. } = &found[0].state else {
        panic!("{:?}", found[0].state)
    };
    assert_eq!(reason, "pharmacy_id: not_licensed");
}
