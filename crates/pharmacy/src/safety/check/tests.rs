use async_trait::async_trait;
use kernel::{Coding, DeaSchedule, code::system};
use ports::PortError;

use super::*;
use crate::{
    prescription::Amount,
    safety::{CuratedInteractions, Interaction, RecordedAllergy, RecordedMedication},
};

fn medication(display: &str, strength: &str) -> Medication {
    Medication {
        rxnorm: "99999999".parse().unwrap(),
        ndc: "00000000000".parse().unwrap(),
        display: display.to_owned(),
        strength: strength.to_owned(),
        schedule: DeaSchedule::None,
    }
}

fn dosing(quantity: u32, days_supply: u16) -> Dosing {
    Dosing {
        sig: "Take as directed.".to_owned(),
        quantity: Amount::whole(quantity).unwrap(),
        unit: QuantityUnit::Tablet,
        days_supply,
        refills: 2,
    }
}

fn taking(display: &str) -> ClinicalFacts {
    ClinicalFacts {
        medications: vec![RecordedMedication {
            rxnorm: None,
            display: display.to_owned(),
            prescribed: false,
        }],
        ..ClinicalFacts::default()
    }
}

fn allergic(code: &str, display: &str, categories: &[AllergyCategory]) -> ClinicalFacts {
    ClinicalFacts {
        allergies: vec![RecordedAllergy {
            codings: vec![Coding::new(system::RXNORM, code, display)],
            display: display.to_owned(),
            categories: categories.to_vec(),
        }],
        ..ClinicalFacts::default()
    }
}

async fn found(display: &str, strength: &str, facts: ClinicalFacts) -> Vec<SafetyAlert> {
    found_with(&CuratedInteractions, display, strength, 30, Ok(facts)).await
}

async fn found_with(
    interactions: &dyn InteractionProvider,
    display: &str,
    strength: &str,
    quantity: u32,
    facts: ports::Result<ClinicalFacts>,
) -> Vec<SafetyAlert> {
    let (medication, dosing) = (medication(display, strength), dosing(quantity, 30));
    let proposed = Proposed { medication: &medication, dosing: &dosing };
    check(Formulary::shipped(), interactions, &facts, proposed).await
}

const SILDENAFIL: &str = "sildenafil 50 MG Oral Tablet";

#[tokio::test]
async fn sildenafil_with_nitroglycerin_is_high_and_blocks() {
    let by_name =
        found(SILDENAFIL, "50 MG", taking("nitroglycerin 0.4 MG Sublingual Tablet")).await;
    let coded = ClinicalFacts {
        medications: vec![RecordedMedication {
            rxnorm: Some("705129".parse().unwrap()),
            display: "spray".to_owned(),
            prescribed: false,
        }],
        ..ClinicalFacts::default()
    };
    let by_code = found(SILDENAFIL, "50 MG", coded).await;
    for alerts in [by_name, by_code] {
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        assert_eq!(alerts[0].kind, AlertKind::Interaction);
        assert_eq!(alerts[0].severity, Severity::High);
        assert_eq!(alerts[0].key, "interaction:136411-4917");
        assert!(alerts[0].blocks());
    }
}

#[tokio::test]
async fn the_gravest_rule_of_a_pair_counts() {
    // Both are serotonergic, which alone would be moderate.
    let alerts =
        found("sertraline 50 MG Oral Tablet", "50 MG", taking("phenelzine 15 MG Oral Tablet"))
            .await;
    assert_eq!(alerts[0].severity, Severity::High);
    assert_eq!(alerts.iter().filter(|alert| alert.kind == AlertKind::Interaction).count(), 1);
}

#[tokio::test]
async fn what_is_harmless_together_gives_no_alert() {
    for taken in [
        "lisinopril 10 MG Oral Tablet",
        "metformin hydrochloride 500 MG Oral Tablet",
        "loratadine 10 MG Oral Tablet",
        "levothyroxine sodium 0.075 MG Oral Tablet",
    ] {
        let alerts = found("finasteride 1 MG Oral Tablet", "1 MG", taking(taken)).await;
        assert!(alerts.is_empty(), "{taken}: {alerts:?}");
    }
}

#[tokio::test]
async fn a_medication_that_cannot_be_mapped_is_undefined_and_blocks() {
    let alerts = found(SILDENAFIL, "50 MG", taking("herbal blend no. 7")).await;
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].kind, AlertKind::Unmapped);
    assert_eq!(alerts[0].severity, Severity::Undefined);
    assert!(alerts[0].blocks());

    let alerts = found("unheardof 5 MG Oral Tablet", "5 MG", ClinicalFacts::default()).await;
    assert!(alerts.len() == 1 && alerts[0].blocks());
}

struct Down;

#[async_trait]
impl InteractionProvider for Down {
    async fn interactions(&self, _: &[RxNorm], _: &[RxNorm]) -> ports::Result<Vec<Interaction>> {
        Err(PortError::Unavailable { vendor: "interactions", message: "down".to_owned() })
    }
}

#[tokio::test]
async fn a_check_that_could_not_be_made_blocks() {
    let down = found_with(&Down, SILDENAFIL, "50 MG", 30, Ok(ClinicalFacts::default())).await;
    let unread =
        found_with(&CuratedInteractions, SILDENAFIL, "50 MG", 30, Err(PortError::bug("no record")))
            .await;
    for alerts in [down, unread] {
        assert_eq!(alerts.len(), 1);
        assert_eq!(alerts[0].kind, AlertKind::Unavailable);
        assert!(alerts[0].blocks());
    }
}

#[tokio::test]
async fn an_allergy_reaches_its_class() {
    let medication = [AllergyCategory::Medication];
    let same = found(
        "lisinopril 10 MG Oral Tablet",
        "10 MG",
        allergic("29046", "Lisinopril", &medication),
    )
    .await;
    let class = found(
        "amoxicillin 500 MG Oral Tablet",
        "500 MG",
        allergic("7984", "Penicillin V", &medication),
    )
    .await;
    let weak = found(
        "cephalexin 500 MG Oral Tablet",
        "500 MG",
        allergic("7984", "Penicillin V", &medication),
    )
    .await;
    let low = found(
        "hydrochlorothiazide 25 MG Oral Tablet",
        "25 MG",
        allergic("10831", "Sulfamethoxazole / Trimethoprim", &medication),
    )
    .await;
    let none = found(
        "finasteride 1 MG Oral Tablet",
        "1 MG",
        allergic("7984", "Penicillin V", &medication),
    )
    .await;
    let severity =
        |alerts: &[SafetyAlert]| alerts.iter().map(|alert| alert.severity).collect::<Vec<_>>();
    assert_eq!(severity(&same), [Severity::High]);
    assert_eq!(severity(&class), [Severity::High]);
    assert_eq!(severity(&weak), [Severity::Moderate]);
    assert_eq!(severity(&low), [Severity::Low]);
    assert_eq!(severity(&none), []);
}

#[tokio::test]
async fn an_unknown_allergy_blocks_unless_it_is_no_drug() {
    let drug = found(
        SILDENAFIL,
        "50 MG",
        allergic("99999998", "unheardof", &[AllergyCategory::Medication]),
    )
    .await;
    let unsaid = found(SILDENAFIL, "50 MG", allergic("99999998", "unheardof", &[])).await;
    let food =
        found(SILDENAFIL, "50 MG", allergic("99999998", "dragon fruit", &[AllergyCategory::Food]))
            .await;
    assert!(drug.len() == 1 && drug[0].blocks());
    assert!(unsaid.len() == 1 && unsaid[0].blocks());
    assert!(food.is_empty());

    let pollen = ClinicalFacts {
        allergies: vec![RecordedAllergy {
            codings: vec![Coding::new(system::SNOMED, "782576004", "Tree pollen (substance)")],
            display: "Tree pollen (substance)".to_owned(),
            categories: Vec::new(),
        }],
        ..ClinicalFacts::default()
    };
    assert!(found(SILDENAFIL, "50 MG", pollen).await.is_empty());
}

#[tokio::test]
async fn a_second_drug_of_a_class_is_a_duplicate() {
    let alerts =
        found("sertraline 50 MG Oral Tablet", "50 MG", taking("escitalopram 10 MG Oral Tablet"))
            .await;
    assert!(alerts.iter().any(|alert| alert.kind == AlertKind::DuplicateTherapy));
    assert!(alerts.iter().all(|alert| !alert.blocks()));
}

#[tokio::test]
async fn pregnancy_blocks_what_it_forbids() {
    let pregnant = |state| ClinicalFacts { pregnant: state, ..ClinicalFacts::default() };
    let alerts = found("finasteride 1 MG Oral Tablet", "1 MG", pregnant(Some(true))).await;
    assert!(alerts.len() == 1 && alerts[0].kind == AlertKind::Pregnancy && alerts[0].blocks());
    for state in [Some(false), None] {
        assert!(found("finasteride 1 MG Oral Tablet", "1 MG", pregnant(state)).await.is_empty());
    }
}

#[tokio::test]
async fn more_than_the_highest_daily_dose_blocks() {
    let facts = || Ok(ClinicalFacts::default());
    let within =
        found_with(&CuratedInteractions, "sertraline 100 MG Oral Tablet", "100 MG", 60, facts())
            .await;
    let beyond =
        found_with(&CuratedInteractions, "sertraline 100 MG Oral Tablet", "100 MG", 61, facts())
            .await;
    let unread =
        found_with(&CuratedInteractions, "sertraline 100 MG Oral Tablet", "one", 30, facts()).await;
    assert!(within.is_empty(), "{within:?}");
    assert!(beyond.len() == 1 && beyond[0].kind == AlertKind::MaximumDose && beyond[0].blocks());
    assert!(unread.len() == 1 && unread[0].severity == Severity::Undefined);
}

#[tokio::test]
async fn what_is_prescribed_here_already_blocks_and_what_is_reported_warns() {
    let sertraline = "sertraline 50 MG Oral Tablet";
    let reported = taking("sertraline 100 MG Oral Tablet");
    let mut prescribed = reported.clone();
    prescribed.medications[0].prescribed = true;
    let mut both = reported.clone();
    both.medications.extend(prescribed.medications.clone());
    for (facts, severity) in
        [(reported, Severity::Moderate), (prescribed, Severity::High), (both, Severity::High)]
    {
        let alerts = found(sertraline, "50 MG", facts).await;
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        assert_eq!((alerts[0].kind, alerts[0].severity), (AlertKind::DuplicateTherapy, severity));
    }
}

fn affirming(answers: &[&str]) -> ClinicalFacts {
    let affirmed = answers.iter().map(|answer| (*answer).to_owned()).collect();
    ClinicalFacts { affirmed, ..ClinicalFacts::default() }
}

const TADALAFIL: &str = "tadalafil 5 MG Oral Tablet";
const MINOXIDIL: &str = "minoxidil 2.5 MG Oral Tablet";
const SEMAGLUTIDE: &str = "0.5 ML semaglutide 0.5 MG/ML Auto-Injector [Wegovy]";

#[tokio::test]
async fn tadalafil_is_as_dangerous_with_a_nitrate_as_sildenafil() {
    for taken in
        ["nitroglycerin 0.4 MG Sublingual Tablet", "isosorbide mononitrate 20 MG Oral Tablet"]
    {
        let alerts = found(TADALAFIL, "5 MG", taking(taken)).await;
        assert_eq!((alerts[0].kind, alerts[0].severity), (AlertKind::Interaction, Severity::High));
        assert!(alerts[0].blocks());
    }
    let alerts = found(TADALAFIL, "5 MG", ClinicalFacts::default()).await;
    assert!(alerts.is_empty(), "{alerts:?}");
}

#[tokio::test]
async fn what_a_patient_affirms_in_a_form_is_held_against_the_drug() {
    for (drug, strength, answer, severity) in [
        (SEMAGLUTIDE, "0.25 MG", "thyroid_cancer", Severity::High),
        (SEMAGLUTIDE, "0.25 MG", "men2", Severity::High),
        (SEMAGLUTIDE, "0.25 MG", "pancreatitis", Severity::Moderate),
        (TADALAFIL, "5 MG", "nitrates", Severity::High),
        (SILDENAFIL, "50 MG", "riociguat", Severity::High),
        (SILDENAFIL, "50 MG", "alpha_blockers", Severity::Moderate),
        (MINOXIDIL, "2.5 MG", "heart_disease", Severity::High),
    ] {
        let alerts = found(drug, strength, affirming(&[answer])).await;
        assert_eq!(alerts.len(), 1, "{drug} {answer}: {alerts:?}");
        assert_eq!((alerts[0].kind, alerts[0].severity), (AlertKind::Condition, severity));
        assert_eq!(alerts[0].blocks(), severity == Severity::High);
        let other =
            found("metformin hydrochloride 500 MG Oral Tablet", "500 MG", affirming(&[answer]));
        assert!(other.await.is_empty(), "{answer}");
    }
}

#[tokio::test]
async fn pregnancy_and_a_second_glp1_agonist_stop_semaglutide() {
    let pregnant = ClinicalFacts { pregnant: Some(true), ..ClinicalFacts::default() };
    let alerts = found(SEMAGLUTIDE, "0.25 MG", pregnant).await;
    assert!(alerts.len() == 1 && alerts[0].kind == AlertKind::Pregnancy && alerts[0].blocks());
    let alerts =
        found(SEMAGLUTIDE, "0.25 MG", taking("3 ML liraglutide 6 MG/ML Pen Injector")).await;
    assert!(alerts.iter().any(|alert| alert.kind == AlertKind::Interaction && alert.blocks()));
}

#[tokio::test]
async fn pens_of_a_week_are_held_against_the_highest_weekly_dose() {
    let pens = async |strength: &str, quantity: u32, days: u16| {
        let medication = medication(SEMAGLUTIDE, strength);
        let dosing = Dosing { unit: QuantityUnit::Each, ..dosing(quantity, days) };
        let proposed = Proposed { medication: &medication, dosing: &dosing };
        let facts = Ok(ClinicalFacts::default());
        check(Formulary::shipped(), &CuratedInteractions, &facts, proposed).await
    };
    assert!(pens("2.4 MG", 4, 28).await.is_empty());
    assert!(pens("0.25 MG", 4, 28).await.is_empty());
    for (strength, quantity, days, severity) in [
        ("2.4 MG", 5, 28, Severity::High),
        ("0.5 MG", 28, 28, Severity::High),
        ("x", 4, 28, Severity::Undefined),
    ] {
        let alerts = pens(strength, quantity, days).await;
        assert_eq!(alerts.len(), 1, "{strength} {quantity}");
        assert_eq!((alerts[0].kind, alerts[0].severity), (AlertKind::MaximumDose, severity));
    }
}
