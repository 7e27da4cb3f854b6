//! What an earlier version kept longer than a NewRx carries, or with what no
//! text may hold: it is named and not sent, and nothing of it is lost.

use super::*;

#[tokio::test]
async fn what_was_kept_before_the_rule_is_named_and_not_sent() {
    let database = database().await;
    let world = World::new();
    {
        let mut patient = world.patient.lock().unwrap();
        patient.name = Some(HumanName { given: "ä".repeat(71), family: "\u{200B}".into() });
        let address = patient.address.as_mut().unwrap();
        (address.line1, address.line2) = ("x".repeat(41), Some("x".repeat(41)));
        address.city = "y".repeat(36);
        world.treatment.lock().unwrap().dosing.sig = "5\r0 mg".to_owned();
    }
    let (env, pg, ports) = (&database.env, &database.pg, world.ports());
    on_treatment_plan_created(env, pg, &ports, id(PLAN), true).await.unwrap();
    let (actor, page) = (provider_actor(PROVIDER), PageRequest::default());
    let page = read::prescriptions(pg, &NoPanel, &actor, None, &page).await.unwrap();
    let kept = &page.items[0];
    let PrescriptionState::Failed { code, reason, .. } = &kept.state else {
        panic!("{:?}", kept.state)
    };
    assert_eq!((code.as_str(), reason.as_str()), ("preflight", "sig: character"));
    assert_eq!(kept.dosing.sig, "5\r0 mg");

    world.treatment.lock().unwrap().dosing.sig = "Take one tablet.".to_owned();
    let refused = write(&database, &world, "a").await.unwrap_err();
    let mut fields: Vec<_> =
        refused.fields().iter().map(|field| format!("{} {}", field.path, field.code)).collect();
    fields.sort();
    let wrong = [
        "patient.address.city length",
        "patient.address.line1 length",
        "patient.address.line2 length",
        "patient.name.family character",
        "patient.name.given length",
    ];
    assert_eq!(fields, wrong);
}
