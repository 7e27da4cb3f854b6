//! What one context learns of another does not depend on who asks: a patient's or a
//! provider's rows hide others from them, and a fact that is missing looks like one
//! that is not so.

use std::{sync::Arc, time::Duration};

use care::PatientFacts;
use kernel::{AccountId, Actor, ActorKind, PatientId, RequestContext, Role, SessionId, Uuid};
use pharmacy::{prescription::TreatmentPlans as _, safety::ClinicalRecord};
use postgres::{Pg, core::sharing};
use records::sources::PatientSource as _;
use salus::{
    bridges::Bridges,
    config::Config,
    store::{As, Foundation},
    wiring,
};
use salus_tests::eventually;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::json;
use subscriptions::Approvals as _;

use crate::{faults::once, faults::patient::Patient, server::Server};

fn actor(account: AccountId, role: Role) -> Actor {
    let roles = Arc::new([role].into());
    let session = SessionId(Uuid::from_u128(1));
    Actor {
        kind: ActorKind::Account { account, session, roles },
        permissions: Arc::default(),
        request: RequestContext::default(),
    }
}

async fn facts(bridges: &Bridges, patient: PatientId, plan: Uuid) -> Vec<String> {
    let care = PatientFacts::facts(bridges, patient).await.expect("care's facts");
    let care = care.expect("a profile");
    let record = ClinicalRecord::facts(bridges, patient).await;
    let record = record.expect("the record");
    let plan = bridges.treatment(plan.into()).await.expect("the plan").expect("a plan");
    let approved = bridges.approved(patient, plan.category).await.expect("the approvals");
    let approved = approved.expect("an approval");
    let data = bridges.patient(patient).await.expect("the profile").expect("a profile");
    vec![
        format!("{care:?}"),
        format!("{record:?}"),
        format!("{plan:?}"),
        format!("{approved:?}"),
        format!("{data:?}"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_tells_the_same_whoever_asks() {
    let server = Server::start();
    let patient = Patient::arrive(&server, "bridged").await;
    let allergies = json!({ "none_known": false, "items": [{
        "substance": {
            "system": kernel::code::system::RXNORM, "code": "723", "display": "amoxicillin",
        },
        "category": "medication",
    }] });
    let seen = once(patient.ask(reqwest::Method::PUT, "/api/profile/allergies").json(&allergies));
    let seen = seen.await;
    assert_eq!(seen.status, 200, "{}", seen.body);
    patient.submit().await;
    patient.prescription().await;
    let plan = patient.plan().await;
    let plan: Uuid = plan["id"].as_str().and_then(|id| id.parse().ok()).expect("a plan's id");
    let id: Uuid = patient.id.parse().expect("an id");

    let config = Config { data_dir: server.data_dir().to_owned(), ..Config::default() };
    let foundation = Foundation::open(&config, As::Command).await.expect("the stores");
    let identity = wiring::identity_services(&config, &foundation).expect("identity");
    let bridges = wiring::bridges(&config, &foundation, identity);
    let alone = facts(&bridges, PatientId(id), plan).await;
    assert!(alone[0].contains("723"), "{}", alone[0]);

    let (own, other) = (AccountId(id), AccountId(Uuid::from_u128(7)));
    for who in [
        actor(own, Role::Patient),
        actor(other, Role::Patient),
        actor(other, Role::Provider),
        actor(other, Role::Support),
        Actor::anonymous(RequestContext::default()),
        Actor::system("tests.bridges"),
    ] {
        // On a machine under load the transaction may be given up between two readings.
        let within = eventually("facts in one transaction", Duration::from_secs(20), async || {
            let (within, recorded) = sharing(async {
                let before = began(&foundation.pg, &who).await;
                let facts = facts(&bridges, PatientId(id), plan).await;
                (began(&foundation.pg, &who).await == before).then_some(facts)
            })
            .await;
            recorded.expect("the readings in the audit log");
            within
        });
        assert_eq!(within.await, alone, "{:?}", who.kind);
    }
}

/// When the transaction began that a unit of work of the actor is given.
async fn began(pg: &Pg, who: &Actor) -> String {
    let tx = pg.open(who).await.expect("a unit of work");
    let sql = "SELECT concat_ws(' ', pg_backend_pid(), now())";
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let row = tx.read().query_one_raw(statement).await.expect("an answer").expect("a row");
    row.try_get_by_index(0).expect("a text")
}
