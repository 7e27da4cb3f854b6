//! Charts opened in an emergency: for reading, for an hour, and under judgement.

use care::break_glass::{self, BreakGlass};
use ports::Panel as _;

use super::*;

const REASON: &str = "Found unconscious at home, allergies unknown.";

fn auditor() -> Actor {
    account(AUDITOR.uuid(), Role::Auditor, &[Permission::BreakGlassReview])
}

async fn open(
    setting: &Setting,
    by: ProviderId,
    patient: PatientId,
    reason: &str,
) -> Result<BreakGlass, CareError> {
    let (env, store) = (&setting.database.env, setting.store());
    break_glass::open(env, store, &setting.sources, &provider(by), patient, reason).await
}

#[tokio::test]
async fn an_emergency_opens_one_chart_for_reading_and_for_an_hour() {
    let setting = setting().await;
    let pg = &setting.database.pg;
    let id = setting.assess(ADA, &["review"]).await;
    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    let texan = provider(IN_TEXAS);
    let chart = || plans::of_patient(pg, &texan, ADA);
    let eligibility = || reviews::eligibility(pg, &texan, ADA);
    assert!(matches!(chart().await, Err(CareError::Port(PortError::NotFound { .. }))));

    assert!(matches!(open(&setting, IN_TEXAS, ADA, "why").await, Err(CareError::Invalid(_))));
    let nobody = PatientId(Uuid::from_u128(0xdead));
    let unknown = open(&setting, IN_TEXAS, nobody, REASON).await;
    assert!(matches!(unknown, Err(CareError::Port(PortError::NotFound { .. }))));
    let own = open(&setting, IN_MASSACHUSETTS, ADA, REASON).await;
    assert!(matches!(own, Err(CareError::ChartIsOpen)));

    let (one, two) =
        tokio::join!(open(&setting, IN_TEXAS, ADA, REASON), open(&setting, IN_TEXAS, ADA, REASON),);
    assert_eq!(one.unwrap().id, two.unwrap().id, "one glass is broken once");
    chart().await.unwrap();
    assert_eq!(eligibility().await.unwrap().len(), 1, "the waiting review is of the chart");
    assert!(pg.opens_chart(IN_TEXAS, ADA).await.unwrap());
    assert!(!pg.opens_chart(IN_TEXAS, EVE).await.unwrap(), "one chart and no other");
    assert!(!pg.opens_chart(ALSO_THERE, ADA).await.unwrap(), "one provider and no other");
    // Reading is all that it opens.
    assert!(!ports::Panel::treats(pg, IN_TEXAS, ADA).await.unwrap());
    let told = setting
        .count("SELECT count(*) FROM outbox_events WHERE payload->>'kind' = 'glass_broken'")
        .await;
    assert_eq!(told, 1);
    let named = setting
        .count(
            "SELECT count(*) FROM care_break_glass WHERE encode(reason, 'escape') LIKE '%uncon%'",
        )
        .await;
    assert_eq!(named, 0, "the reason is sealed");

    setting.database.clock.advance(TimeDelta::hours(1));
    assert!(matches!(chart().await, Err(CareError::Port(PortError::NotFound { .. }))));
    assert!(!pg.opens_chart(IN_TEXAS, ADA).await.unwrap());
}

#[tokio::test]
async fn every_emergency_access_is_judged_once_by_somebody_who_may() {
    let setting = setting().await;
    let (pg, env) = (&setting.database.pg, &setting.database.env);
    let glass = open(&setting, IN_TEXAS, ADA, REASON).await.unwrap();
    let page = PageRequest::new(Some(1), None);
    let refused = break_glass::list(pg, &provider(IN_TEXAS), true, &page).await;
    assert!(matches!(refused, Err(CareError::Forbidden(_))));
    let pending = break_glass::list(pg, &auditor(), true, &page).await.unwrap();
    assert_eq!((pending.items.len(), pending.items[0].reason.as_str()), (1, REASON));

    let judge = |note: &'static str| {
        let auditor = auditor();
        async move { break_glass::judge(env, pg, &auditor, glass.id, false, note).await }
    };
    assert!(matches!(judge("no").await, Err(CareError::Invalid(_))));
    let note = "No call is on file, and the patient was at home and well.";
    let (one, two) = tokio::join!(judge(note), judge(note));
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(), 1);
    let pending = break_glass::list(pg, &auditor(), true, &page).await.unwrap();
    assert!(pending.items.is_empty());
    let all = break_glass::list(pg, &auditor(), false, &page).await.unwrap();
    assert!(!all.items[0].review.as_ref().unwrap().justified);
    let unknown = Uuid::from_u128(5).into();
    let none = break_glass::judge(env, pg, &auditor(), unknown, true, note).await;
    assert!(matches!(none, Err(CareError::Port(PortError::NotFound { .. }))));
}
