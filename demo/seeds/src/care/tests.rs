use std::collections::BTreeMap;

use care::{
    Inputs, Priority, RuleSet, StatePolicy,
    eligibility::{Gates, Outcome, PatientInputs, decide},
    rules::{auto_approvals, set_auto_approval},
    setting,
};
use kernel::{Coding, ProviderId, Sex, Uuid, code::system};
use salus_tests::Database;
use serde_json::{Value, json};

use super::*;

#[test]
fn every_protocol_passes_the_dose_guard_and_every_rule_set_is_sound() {
    for seed in &PROTOCOLS {
        let limit = seed.drug.limit().unwrap();
        let protocol = seed.protocol().unwrap();
        protocol.treatment.validate(Some(&limit), "treatment").unwrap();
        RuleSet::validate(&rules::of(seed.category)).unwrap();
    }
}

#[test]
fn the_rules_fit_the_forms() {
    for (category, slug, form) in crate::intake::forms() {
        let schema = salus::bridges::schema_of(&form);
        let misfits = care::eligibility::misfits(&rules::of(category), &schema);
        assert_eq!(misfits, [], "{slug}");
    }
}

#[test]
fn a_rule_counts_photos_and_compares_them_with_nothing() {
    let forms = crate::intake::forms();
    let (_, _, form) = forms.iter().find(|(category, ..)| *category == catalog::HAIR_LOSS).unwrap();
    let schema = salus::bridges::schema_of(form);
    let rule = |expression: &str| {
        let mut rule = rules::of(catalog::HAIR_LOSS).remove(0);
        rule.expression = expression.to_owned();
        [rule]
    };
    let told = |expression: &str| {
        let found = care::eligibility::misfits(&rule(expression), &schema).into_iter();
        found.map(|misfit| misfit.code).collect::<Vec<_>>()
    };
    for misfit in ["answers.scalp_photos >= 2", "answers.scalp_photos"] {
        assert_eq!(told(misfit), ["wrong_type"], "{misfit}");
    }
    let counts = "has(answers.scalp_photos) && size(answers.scalp_photos) >= 2";
    assert_eq!(told(counts), [""; 0]);
    for (photos, fires) in [(None, 0), (Some(json!(["one"])), 0), (Some(json!(["1", "2"])), 1)] {
        let mut inputs = man(34, hair_answers());
        inputs.answers.extend(photos.map(|photos| ("scalp_photos".to_owned(), photos)));
        let (_, trace) = decide(None, &rule(counts), inputs, gates(true));
        assert_eq!(trace.fired().count(), fires);
    }
}

fn gates(allowlisted: bool) -> Gates {
    Gates {
        allowlisted,
        asynchronous: true,
        under_treatment: false,
        record_answered: true,
        profile_unchanged: true,
        only_request: true,
        never_refused: true,
        of_age: true,
        supervising_provider: Some(ProviderId(Uuid::from_u128(7))),
    }
}

fn man(age: u32, answers: Value) -> Inputs {
    Inputs {
        answers: serde_json::from_value(answers).unwrap(),
        scores: BTreeMap::new(),
        patient: PatientInputs { age, sex: Sex::Male, state: UsState::Ma, age_counted_on: None },
        medications: Vec::new(),
        allergies: Vec::new(),
    }
}

fn hair_answers() -> Value {
    json!({
        "pattern": "crown", "onset": "1_to_5_years", "sudden": false, "scalp": ["none"],
        "family_history": true, "prior_treatments": ["none"], "liver_disease": false,
        "heart_disease": false, "depression_history": false, "suicidal_thoughts": false,
        "sexual_dysfunction": false, "prostate_cancer": false, "blood_donor": false,
        "medications": false, "allergies": false, "consent_telehealth": true,
    })
}

#[test]
fn a_healthy_man_with_hair_loss_is_approved_and_doubts_are_reviewed() {
    let hair = rules::of(catalog::HAIR_LOSS);
    let (decision, trace) = decide(None, &hair, man(34, hair_answers()), gates(true));
    assert!(matches!(decision.outcome, Outcome::AutoApproved { .. }), "{trace:#?}");

    let (decision, _) = decide(None, &hair, man(17, hair_answers()), gates(true));
    assert_eq!(decision.outcome, Outcome::Refused);

    for (name, value) in [
        ("sudden", json!(true)),
        ("pattern", json!("patches")),
        ("scalp", json!(["itching"])),
        ("medications", json!(true)),
        ("liver_disease", Value::Null),
    ] {
        let mut answers = hair_answers();
        answers[name] = value;
        let (decision, _) = decide(None, &hair, man(34, answers), gates(true));
        assert_eq!(decision.outcome, Outcome::InReview, "{name}");
    }
}

#[test]
fn a_nitrate_on_the_record_refuses_sildenafil() {
    let answers = json!({
        "nitrates": false, "riociguat": false, "alpha_blockers": false,
        "cardiac_history": ["none"], "exertion_symptoms": false, "bp_known": true,
        "bp_systolic": 125.0, "bp_diastolic": 80, "conditions": ["none"], "priapism": false,
        "smoking": "never", "medications": false, "allergies": false,
        "consent_telehealth": true,
    });
    let rules = rules::of(catalog::ERECTILE_DYSFUNCTION);
    let mut patient = man(50, answers);
    let (decision, trace) = decide(None, &rules, patient.clone(), gates(false));
    assert_eq!(decision.outcome, Outcome::InReview);
    let reasons: Vec<_> = decision.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(reasons, ["provider_review_required"], "{trace:#?}");

    let nitrate = Coding::new(system::RXNORM, "4917", "Nitroglycerin 0.4 MG/ACTUAT Mucosal Spray");
    patient.medications.push(nitrate);
    let (decision, _) = decide(None, &rules, patient, gates(false));
    assert_eq!(decision.outcome, Outcome::Refused);
    assert_eq!(decision.reasons[0].code, "nitrates_on_record");
}

#[test]
fn the_ninth_item_of_the_phq_is_urgent() {
    let answers = |item_9: &str| {
        json!({
            "phq9_9": item_9, "prior_treatment": false, "hospitalization": false, "mania": false,
            "psychosis": false, "maoi": false, "seizures": false, "eating_disorder": false,
            "long_qt": false, "alcohol": "none", "substances": false, "medications": false,
            "allergies": false, "consent_telehealth": true,
        })
    };
    let rules = rules::of(catalog::DEPRESSION);
    for (item_9, priority) in [("0", Priority::Routine), ("1", Priority::Urgent)] {
        let mut patient = man(40, answers(item_9));
        patient.scores.insert("phq9".into(), 11.0);
        let (decision, _) = decide(None, &rules, patient, gates(false));
        assert_eq!((decision.outcome, decision.priority), (Outcome::InReview, priority));
    }
}

#[test]
fn weight_treatment_needs_a_weight_that_warrants_it() {
    let rules = rules::of(catalog::WEIGHT_MANAGEMENT);
    for (bmi, conditions, refused) in [
        (26.9, json!(["high_blood_pressure"]), true),
        (28.0, json!(["none"]), true),
        (28.0, json!(["high_blood_pressure"]), false),
        (31.0, json!(["none"]), false),
    ] {
        let mut patient = man(
            40,
            json!({
                "weight_conditions": conditions, "thyroid_cancer": false, "men2": false,
                "pancreatitis": false, "gallbladder": false, "gastroparesis": false,
                "type_1_diabetes": false, "insulin": false, "kidney_disease": false,
                "eating_disorder": false, "suicidal_thoughts": false, "prior_glp1": false,
                "medications": false, "allergies": false, "consent_telehealth": true,
            }),
        );
        patient.scores.insert("bmi".into(), bmi);
        let (decision, _) = decide(None, &rules, patient, gates(false));
        assert_eq!(decision.outcome == Outcome::Refused, refused, "{bmi}");
    }
}

#[tokio::test]
async fn what_an_administrator_changed_of_a_state_outlives_the_next_start() {
    let database = Database::fresh().await;
    let (env, store, actor) = (&database.env, &database.pg, Actor::system("tests.seed"));
    sow(env, store).await.unwrap();
    let drug = FINASTERIDE.code().unwrap();
    let mut allowed: Vec<_> = AUTOMATIC_STATES.map(|state| (state, drug.clone())).into();
    allowed.sort();
    let mut found = auto_approvals(store, &actor).await.unwrap();
    found.sort();
    assert_eq!(found, allowed);

    let policy = StatePolicy { state: UsState::Tx, modality: Modality::Video };
    let (sown, version) = setting::state_policy(store, &actor, UsState::Tx).await.unwrap();
    assert_eq!(sown.modality, Modality::Asynchronous);
    let seen = kernel::Seen::from(version.unwrap_or(0));
    setting::set_state_policy(store, &actor, &policy, &seen).await.unwrap();
    set_auto_approval(store, &actor, UsState::Ny, &drug, false).await.unwrap();
    let entries = async || {
        let mut found = auto_approvals(store, &actor).await.unwrap();
        found.sort();
        (setting::state_policy(store, &actor, UsState::Tx).await.unwrap(), found)
    };
    let before = entries().await;
    assert_eq!((before.0.0.modality, before.1.len()), (Modality::Video, 3));
    sow(env, store).await.unwrap();
    assert_eq!(entries().await, before);
}
