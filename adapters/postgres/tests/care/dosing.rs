//! Doses: rules as data, computed for a patient, and what a provider has to say
//! aloud before signing past an alert.

use care::dosing::{
    self, DoseAlert, DoseOverride, DoseRequest, DosingRule, Kidneys, Method, OverrideReason,
    RenalBand, RenalEffect, Rounding, Titration, TitrationStep,
};
use kernel::{DomainError as _, ErrorKind};

use super::*;

fn rule(min_age: u32) -> DosingRule {
    DosingRule {
        rxnorm: "200172".parse().unwrap(),
        unit: "mg".into(),
        method: Method::Fixed { amount: 1.0 },
        increment: 0.5,
        rounding: Rounding::Down,
        max_dose: None,
        min_age: Some(min_age),
        max_age: None,
        renal: Vec::new(),
        schedule: Vec::new(),
        reference: "The label.".into(),
    }
}

fn for_kidneys() -> DosingRule {
    let renal = vec![RenalBand { below: 30.0, effect: RenalEffect::Multiply { factor: 0.5 } }];
    DosingRule { renal, ..rule(18) }
}

fn administrator() -> Actor {
    account(Uuid::from_u128(0xad), Role::Admin, &[Permission::RuleAdminister])
}

async fn set(setting: &Setting, rule: &DosingRule, seen: Option<i64>) -> Result<i64, CareError> {
    dosing::set_rule(setting.store(), &administrator(), rule, &replaced(seen)).await
}

async fn claimed(setting: &Setting) -> AssessmentId {
    let id = setting.assess(ADA, &["review"]).await;
    setting.claim(id, IN_MASSACHUSETTS).await.unwrap();
    id
}

fn codes(error: &CareError) -> Vec<(&str, &str)> {
    error.fields().iter().map(|field| (field.path.as_str(), field.code.as_str())).collect()
}

#[tokio::test]
async fn a_rule_is_changed_by_who_read_it_and_both_values_are_audited() {
    let setting = setting().await;
    assert_eq!(set(&setting, &rule(18), None).await.unwrap(), 1);
    for stale in [None, Some(7)] {
        let refused = set(&setting, &rule(21), stale).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PreconditionFailed);
    }
    assert_eq!(set(&setting, &rule(21), Some(1)).await.unwrap(), 2);
    let drug = rule(0).rxnorm;
    let read = dosing::rule(setting.store(), &administrator(), &drug).await.unwrap();
    assert_eq!(read, (rule(21), 2));
    let audited = "SELECT count(*) FROM audit_entries WHERE entity = 'dosing_rule' \
                   AND detail->'old'->>'min_age' = '18' AND detail->'new'->>'min_age' = '21'";
    assert_eq!(setting.count(audited).await, 1);
    let doctor =
        dosing::set_rule(setting.store(), &provider(IN_TEXAS), &rule(0), &replaced(Some(2))).await;
    assert!(matches!(doctor, Err(CareError::Forbidden(_))), "{doctor:?}");
}

#[tokio::test]
async fn a_dose_is_computed_for_the_panel_alone() {
    let setting = setting().await;
    set(&setting, &for_kidneys(), None).await.unwrap();
    claimed(&setting).await;
    let ask = async |by, creatinine| {
        let request = DoseRequest {
            drug: rule(0).rxnorm,
            weight_kg: Some(72.0),
            height_cm: None,
            serum_creatinine_mg_dl: creatinine,
        };
        let (env, actor) = (&setting.database.env, provider(by));
        let (store, sources) = (setting.store(), &setting.sources);
        dosing::compute_for_patient(env, store, sources, &actor, ADA, request).await
    };
    let computed = ask(IN_MASSACHUSETTS, Some(5.0)).await.unwrap();
    assert_eq!((computed.dose.value, &*computed.dose.unit), (0.5, "mg"));
    assert_eq!(computed.alerts, [DoseAlert::RenalReduction]);
    let unknown = ask(IN_MASSACHUSETTS, None).await.unwrap();
    assert_eq!(unknown.alerts, [DoseAlert::RenalFunctionUnknown]);
    let stranger = ask(ALSO_THERE, None).await;
    assert!(matches!(stranger, Err(CareError::Port(PortError::NotFound { .. }))), "{stranger:?}");
    let denied = "SELECT count(*) FROM audit_entries WHERE entity = 'dose' AND outcome = 'denied'";
    assert_eq!(setting.count(denied).await, 1);
}

#[tokio::test]
async fn past_a_maximum_or_an_age_goes_only_who_says_why_and_it_is_kept() {
    let setting = setting().await;
    set(&setting, &rule(65), None).await.unwrap();
    let id = claimed(&setting).await;
    let young = setting.approve(id, IN_MASSACHUSETTS, None, "k1").await.unwrap_err();
    assert_eq!(codes(&young), [("treatment.overrides", "age_limit")]);
    let given = |alert| DoseOverride {
        alert,
        reason: OverrideReason::SpecialistAdvice,
        note: Some("Agreed with the clinic.".into()),
    };
    let mut double = treatment();
    double.dose.value = 2.0;
    double.sig = "Take 2 tablets by mouth once a day.".into();
    double.overrides = vec![given(DoseAlert::AgeLimit)];
    let above = setting.approve(id, IN_MASSACHUSETTS, Some(double.clone()), "k2").await;
    let paths =
        [("treatment.dose.value", "above_maximum"), ("treatment.frequency", "above_maximum")];
    assert_eq!(codes(&above.unwrap_err()), paths);

    double.overrides.push(given(DoseAlert::AboveMaximum));
    let plan = setting.approve(id, IN_MASSACHUSETTS, Some(double), "k3").await.unwrap();
    assert_eq!(plan.current().treatment.overrides.len(), 2);
    let audited = "SELECT count(*) FROM audit_entries WHERE entity = 'treatment_plan' \
                   AND detail->'overrides' ? 'above_maximum: specialist_advice'";
    assert_eq!(setting.count(audited).await, 1);

    // They hold for the version that they were given with and for no other.
    let (env, actor) = (&setting.database.env, provider(IN_MASSACHUSETTS));
    let changes = TreatmentChanges { refills: Some(1), ..TreatmentChanges::default() };
    let (store, sources) = (setting.store(), &setting.sources);
    let silent =
        plans::modify(env, store, sources, &actor, (plan.id, &Seen::Any), changes, "Fewer.").await;
    assert!(matches!(silent, Err(CareError::Invalid(_))), "{silent:?}");
}

#[tokio::test]
async fn nobody_outside_the_ages_is_approved_automatically() {
    let setting = setting().await;
    set(&setting, &rule(65), None).await.unwrap();
    let id = setting.assess(ADA, &[]).await;
    let seen = reviews::own_one(setting.store(), &patient(ADA), id).await.unwrap();
    assert_eq!(seen.outcome, AssessmentOutcome::InReview);
    assert!(!seen.trace.gates.allowlisted);
}

#[tokio::test]
async fn a_titration_is_kept_sealed_and_knows_the_dose_of_a_day() {
    let setting = setting().await;
    let id = claimed(&setting).await;
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    let step = |dose, days| TitrationStep { dose, days };
    let mut rising = treatment();
    rising.dose.value = 0.25;
    let steps = vec![step(0.25, Some(28)), step(0.5, Some(28)), step(1.0, None)];
    rising.titration = Some(Titration { starts_on: day("2026-03-02"), steps });
    let plan = setting.approve(id, IN_MASSACHUSETTS, Some(rising.clone()), "k1").await.unwrap();
    let store = setting.store();
    let stored = plans::of_patient(store, &patient(ADA), ADA).await.unwrap().remove(0);
    assert_eq!(stored.current().treatment, rising);
    let on = async |text: &str| {
        let found = dosing::dose_on(store, &patient(ADA), plan.id, day(text)).await.unwrap();
        found.map(|(dose, on)| (dose.value, on.until))
    };
    assert_eq!(on("2026-03-01").await, None);
    assert_eq!(on("2026-03-29").await, Some((0.25, Some(day("2026-03-29")))));
    assert_eq!(on("2026-03-30").await, Some((0.5, Some(day("2026-04-26")))));
    assert_eq!(on("2027-01-01").await, Some((1.0, None)));
    let others = dosing::dose_on(store, &patient(EVE), plan.id, day("2026-03-29")).await;
    assert!(matches!(others, Err(CareError::Port(PortError::NotFound { .. }))), "{others:?}");
}

#[tokio::test]
async fn nothing_that_depends_on_the_kidneys_is_signed_without_them_or_a_reason() {
    let setting = setting().await;
    set(&setting, &for_kidneys(), None).await.unwrap();
    let automatic = setting.assess(ADA, &[]).await;
    let seen = reviews::own_one(setting.store(), &patient(ADA), automatic).await.unwrap();
    assert_eq!(seen.outcome, AssessmentOutcome::InReview, "nobody signs that by itself");

    let id = claimed(&setting).await;
    let sign = async |approval: Approval, text: &str| {
        let key = key("care.approve_review", text);
        let (env, actor) = (&setting.database.env, provider(IN_MASSACHUSETTS));
        let (store, sources) = (setting.store(), &setting.sources);
        let seen = setting.read(id, IN_MASSACHUSETTS, approval.treatment.clone()).await;
        let approval = Approval { seen, ..approval };
        reviews::approve(env, store, sources, &actor, id, approval, &key).await
    };
    let silent = sign(Approval::default(), "k1").await.unwrap_err();
    assert_eq!(codes(&silent), [("treatment.overrides", "renal_function_unknown")]);
    let measured = |creatinine, on: &str| {
        Some(Kidneys {
            serum_creatinine_mg_dl: creatinine,
            weight_kg: 72.0,
            measured_on: on.parse().unwrap(),
        })
    };
    // At 36 years and 72 kg the clearance is 104 over the creatinine.
    let weak = Approval { kidneys: measured(5.0, "2026-02-20"), ..Approval::default() };
    let weak = sign(weak, "k2").await.unwrap_err();
    assert_eq!(codes(&weak), [("treatment.overrides", "above_renal_dose")]);
    let future = Approval { kidneys: measured(1.0, "2026-03-03"), ..Approval::default() };
    let future = sign(future, "k3").await.unwrap_err();
    assert_eq!(codes(&future), [("treatment.kidneys.measured_on", "in_the_future")]);
    let both = Approval {
        treatment: Some(treatment()),
        kidneys: measured(1.0, "2026-02-20"),
        ..Approval::default()
    };
    assert_eq!(codes(&sign(both, "k4").await.unwrap_err()), [("kidneys", "not_allowed")]);
    let sound = Approval { kidneys: measured(1.0, "2026-02-20"), ..Approval::default() };
    let plan = sign(sound, "k5").await.unwrap();
    assert_eq!(plan.current().treatment.kidneys, measured(1.0, "2026-02-20"));

    // A later version goes by what is known, until something else is measured.
    let change = async |changes: TreatmentChanges| {
        let (env, actor) = (&setting.database.env, provider(IN_MASSACHUSETTS));
        let (store, sources) = (setting.store(), &setting.sources);
        plans::modify(env, store, sources, &actor, (plan.id, &Seen::Any), changes, "Checked.").await
    };
    change(TreatmentChanges { refills: Some(2), ..TreatmentChanges::default() }).await.unwrap();
    let worse = TreatmentChanges { kidneys: measured(5.0, "2026-03-01"), ..Default::default() };
    let refused = change(worse.clone()).await.unwrap_err();
    assert_eq!(codes(&refused), [("treatment.overrides", "above_renal_dose")]);
    let given = DoseOverride {
        alert: DoseAlert::AboveRenalDose,
        reason: OverrideReason::SpecialistAdvice,
        note: None,
    };
    change(TreatmentChanges { overrides: vec![given], ..worse }).await.unwrap();
    let audited = "SELECT count(*) FROM audit_entries WHERE entity = 'treatment_plan' \
                   AND detail->'overrides' ? 'above_renal_dose: specialist_advice'";
    assert_eq!(setting.count(audited).await, 1);
}
