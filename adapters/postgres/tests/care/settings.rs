//! What administrators set, each change over the version that was read.

use care::{
    StatePolicy,
    dosing::{DoseAlert, DoseOverride, Kidneys, OverrideReason},
    setting,
};

use kernel::FieldError;

use super::*;

fn admin() -> Actor {
    Actor::system("tests.settings")
}

/// What a change is told that came too late: where what holds is not what was asked for.
fn lost<T: std::fmt::Debug>(result: Result<T, CareError>) -> Vec<FieldError> {
    match result {
        Err(CareError::Port(PortError::Stale(fields))) => fields,
        other => panic!("{other:?}"),
    }
}

fn paths(error: CareError) -> Vec<String> {
    match error {
        CareError::Invalid(fields) => fields.into_iter().map(|field| field.path).collect(),
        other => panic!("{other:?}"),
    }
}

fn minoxidil() -> DoseLimit {
    DoseLimit {
        rxnorm: "205310".parse().unwrap(),
        display: "minoxidil 2.5 MG Oral Tablet".into(),
        max_single: 5.0,
        max_daily: 10.0,
        unit: "mg".into(),
        reference: "The label.".into(),
        strength: "2.5 MG".into(),
        schedule: DeaSchedule::None,
        ndcs: vec!["00591564201".parse().unwrap()],
        max_weekly: None,
        to_confirm: None,
        followed_by: None,
    }
}

#[tokio::test]
async fn a_drug_is_listed_once_and_of_two_changes_the_second_hears_what_holds() {
    let clinic = setting().await;
    let store = clinic.store();
    let drug = minoxidil();
    assert_eq!(setting::set_drug(store, &admin(), &drug, &replaced(None)).await.unwrap(), 1);
    let stricter = DoseLimit { max_daily: 5.0, ..drug.clone() };
    assert_eq!(setting::set_drug(store, &admin(), &stricter, &replaced(Some(1))).await.unwrap(), 2);
    let late = lost(setting::set_drug(store, &admin(), &drug, &replaced(Some(1))).await);
    assert!(late[0].message.contains("version 2 is the current one"), "{late:?}");
    assert_eq!((late[1].path.as_str(), late[1].message.as_str()), ("max_daily", "It is 5.0 now."));
    lost(setting::set_drug(store, &admin(), &drug, &replaced(None)).await);
    let (kept, version) = setting::drug(store, &admin(), &drug.rxnorm).await.unwrap();
    assert_eq!((kept, version), (stricter, 2));
    let listed = setting::formulary(store, &admin()).await.unwrap();
    assert_eq!(listed.len(), 2, "with the drug of these tests");
    let audited = "SELECT count(*) FROM audit_entries WHERE entity = 'formulary_drug' \
                   AND entity_id = '205310'";
    assert_eq!(clinic.count(audited).await, 2);
}

#[tokio::test]
async fn a_package_is_of_one_drug_and_the_texts_and_doses_are_sound() {
    let clinic = setting().await;
    let store = clinic.store();
    let set = async |drug: DoseLimit| {
        paths(setting::set_drug(store, &admin(), &drug, &replaced(None)).await.unwrap_err())
    };
    let taken = treatment().medication.ndc;
    let packages = vec![minoxidil().ndcs[0].clone(), minoxidil().ndcs[0].clone(), taken];
    assert_eq!(set(DoseLimit { ndcs: packages, ..minoxidil() }).await, ["ndcs[1]", "ndcs[2]"]);
    let broken = DoseLimit {
        display: " ".into(),
        strength: String::new(),
        max_single: f64::NAN,
        max_daily: -1.0,
        ..minoxidil()
    };
    let all = ["display", "max_single", "max_daily", "strength"];
    assert_eq!(set(broken).await, all);
    for nobody in [patient(ADA), provider(IN_TEXAS)] {
        let denied = setting::set_drug(store, &nobody, &minoxidil(), &replaced(None)).await;
        assert!(matches!(denied, Err(CareError::Forbidden(_))), "{denied:?}");
    }
}

#[tokio::test]
async fn of_eight_drugs_that_are_listed_at_once_one_gets_the_package() {
    let clinic = Arc::new(setting().await);
    let listed: Vec<_> = (0..8)
        .map(|number| {
            let clinic = Arc::clone(&clinic);
            tokio::spawn(async move {
                let rxnorm = (205_310 + number).to_string().parse().unwrap();
                let drug = DoseLimit { rxnorm, ..minoxidil() };
                setting::set_drug(clinic.store(), &admin(), &drug, &replaced(None)).await
            })
        })
        .collect();
    let mut done = 0;
    for each in listed {
        match each.await.unwrap() {
            Ok(_) => done += 1,
            Err(error) => assert_eq!(paths(error), ["ndcs[0]"]),
        }
    }
    assert_eq!(done, 1);
}

#[tokio::test]
async fn a_default_treatment_is_of_the_formulary_and_within_its_limits() {
    let clinic = setting().await;
    let store = clinic.store();
    let (held, version) = setting::protocol(store, &admin(), CATEGORY).await.unwrap();
    let set = async |treatment: Treatment, seen| {
        let protocol = Protocol { category: CATEGORY, treatment };
        setting::set_protocol(
            store,
            clinic.neighbours.as_ref(),
            &admin(),
            &protocol,
            &replaced(seen),
        )
        .await
    };
    let mut unlisted = treatment();
    unlisted.medication.rxnorm = "205310".parse().unwrap();
    let refused = set(unlisted, Some(version)).await.unwrap_err();
    assert_eq!(paths(refused), ["treatment.medication.rxnorm"]);
    let mut double = treatment();
    double.dose.value = 2.0;
    double.sig = "Take 2 tablets by mouth once a day.".into();
    let above = ["treatment.dose.value", "treatment.frequency"];
    assert_eq!(paths(set(double, Some(version)).await.unwrap_err()), above);
    let mut fewer = treatment();
    fewer.refills = 0;
    assert_eq!(set(fewer, Some(version)).await.unwrap(), version + 1);
    let late = lost(set(held.treatment, Some(version)).await);
    assert_eq!(late[1].path, "treatment.refills");
}

#[tokio::test]
async fn a_default_treatment_is_of_a_category_that_exists_and_of_nobody_in_particular() {
    let clinic = setting().await;
    let store = clinic.store();
    let nowhere =
        Protocol { category: CategoryId(Uuid::from_u128(0xdead)), treatment: treatment() };
    let missing = setting::set_protocol(
        store,
        clinic.neighbours.as_ref(),
        &admin(),
        &nowhere,
        &replaced(None),
    )
    .await;
    assert!(
        matches!(missing, Err(CareError::Port(PortError::NotFound { name: "category", .. }))),
        "{missing:?}"
    );
    assert!(setting::protocol(store, &admin(), nowhere.category).await.is_err());

    let version = setting::protocol(store, &admin(), CATEGORY).await.unwrap().1;
    let mut own = treatment();
    own.kidneys = Some(Kidneys {
        serum_creatinine_mg_dl: 1.0,
        weight_kg: 70.0,
        measured_on: clinic.database.env.now().date_naive(),
    });
    own.overrides = vec![DoseOverride {
        alert: DoseAlert::AboveMaximum,
        reason: OverrideReason::BenefitOutweighsRisk,
        note: None,
    }];
    let protocol = Protocol { category: CATEGORY, treatment: own };
    let refused = setting::set_protocol(
        store,
        clinic.neighbours.as_ref(),
        &admin(),
        &protocol,
        &replaced(Some(version)),
    )
    .await;
    assert_eq!(paths(refused.unwrap_err()), ["treatment.kidneys", "treatment.overrides"]);
    assert_eq!(setting::protocol(store, &admin(), CATEGORY).await.unwrap().1, version);
}

#[tokio::test]
async fn no_largest_dose_is_beyond_all_measure() {
    let clinic = setting().await;
    for beyond in [1e308, 1_000_001.0, f64::INFINITY] {
        let drug = DoseLimit { max_single: beyond, max_daily: beyond, ..minoxidil() };
        let refused = setting::set_drug(clinic.store(), &admin(), &drug, &replaced(None)).await;
        assert_eq!(paths(refused.unwrap_err()), ["max_single", "max_daily"]);
    }
    let most = DoseLimit { max_daily: 1_000_000.0, ..minoxidil() };
    assert_eq!(
        setting::set_drug(clinic.store(), &admin(), &most, &replaced(None)).await.unwrap(),
        1
    );
}

#[tokio::test]
async fn of_eight_who_set_a_state_for_the_first_time_one_does() {
    let clinic = Arc::new(setting().await);
    let unset = setting::state_policy(clinic.store(), &admin(), UsState::Tx).await.unwrap();
    assert_eq!(unset, (StatePolicy::unset(UsState::Tx), None));
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let clinic = Arc::clone(&clinic);
            tokio::spawn(async move {
                let policy = StatePolicy { state: UsState::Tx, modality: Modality::Asynchronous };
                setting::set_state_policy(clinic.store(), &admin(), &policy, &replaced(None)).await
            })
        })
        .collect();
    let mut done = 0;
    for each in asked {
        match each.await.unwrap() {
            Ok(version) => {
                assert_eq!(version, 1);
                done += 1;
            }
            Err(CareError::Port(PortError::Stale(_))) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(done, 1);
}
