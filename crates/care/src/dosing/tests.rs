use chrono::{Days, NaiveDate};
use kernel::DomainError;
use proptest::prelude::*;

use super::*;

fn rule(method: Method) -> DosingRule {
    DosingRule {
        rxnorm: "312941".parse().unwrap(),
        unit: "mg".into(),
        method,
        increment: 25.0,
        rounding: Rounding::Nearest,
        max_dose: None,
        min_age: Some(18),
        max_age: None,
        renal: Vec::new(),
        schedule: Vec::new(),
        reference: "Label, section 2".into(),
    }
}

fn body(weight: f64) -> Measurements {
    Measurements {
        age: 40,
        sex: Sex::Male,
        weight_kg: Some(weight),
        height_cm: Some(180.0),
        serum_creatinine_mg_dl: None,
    }
}

fn close(value: f64, expected: f64, by: f64) -> bool {
    (value - expected).abs() <= by
}

/// Worked examples from the literature: the formulae's own numbers.
#[test]
fn the_formulae_give_the_numbers_of_their_papers() {
    let mosteller = body_surface(SurfaceFormula::Mosteller, 70.0, 180.0);
    assert!(close(mosteller, 1.871, 0.001), "{mosteller}");
    let du_bois = body_surface(SurfaceFormula::DuBois, 70.0, 180.0);
    assert!(close(du_bois, 1.886, 0.001), "{du_bois}");
    // (140 − 60) × 72 ÷ (72 × 1) = 80, and 85 % of it for a woman.
    assert!(close(creatinine_clearance(60, Sex::Male, 72.0, 1.0), 80.0, 1e-9));
    assert!(close(creatinine_clearance(60, Sex::Female, 72.0, 1.0), 68.0, 1e-9));
    assert!(close(creatinine_clearance(60, Sex::Unknown, 72.0, 1.0), 68.0, 1e-9));
}

#[test]
fn a_schedule_begins_with_the_dose_of_the_method_and_stays_within_the_largest() {
    let step = |dose, days| TitrationStep { dose, days };
    let mut rule = rule(Method::Fixed { amount: 25.0 });
    rule.max_dose = Some(100.0);
    rule.schedule = vec![step(25.0, Some(7)), step(50.0, None)];
    rule.validate().unwrap();
    let rising = compute(&rule, &body(70.0)).unwrap();
    assert_eq!((rising.dose.value, rising.schedule.len()), (25.0, 2));
    rule.schedule = vec![step(50.0, Some(7)), step(125.0, Some(7))];
    let Err(CareError::Invalid(errors)) = rule.validate() else { panic!("it is refused") };
    let mut paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["schedule[0].dose", "schedule[1].days", "schedule[1].dose"]);
}

#[test]
fn a_dose_by_weight_meets_what_can_be_dispensed() {
    let rule = rule(Method::PerKilogram { amount: 1.5 });
    let dose = |weight: f64| compute(&rule, &body(weight)).unwrap().dose.value;
    assert_eq!(dose(70.0), 100.0, "105 is nearer to 100");
    assert_eq!(dose(77.0), 125.0, "115.5 is nearer to 125");
    let down = DosingRule { rounding: Rounding::Down, ..rule.clone() };
    assert_eq!(compute(&down, &body(82.0)).unwrap().dose.value, 100.0, "123 goes down");
    let capped = DosingRule { max_dose: Some(110.0), ..rule.clone() };
    let computed = compute(&capped, &body(200.0)).unwrap();
    assert_eq!((computed.dose.value, computed.alerts), (100.0, vec![DoseAlert::Capped]));
    assert!(compute(&rule, &body(2.0)).is_err(), "3 mg cannot be dispensed");
    let weightless = Measurements { weight_kg: None, ..body(70.0) };
    assert!(compute(&rule, &weightless).is_err());
    assert!(compute(&rule, &body(7000.0)).is_err(), "grams by mistake");
}

#[test]
fn kidneys_and_age_are_never_passed_over() {
    let mut rule = rule(Method::Fixed { amount: 100.0 });
    rule.renal = vec![
        RenalBand { below: 60.0, effect: RenalEffect::Multiply { factor: 0.5 } },
        RenalBand { below: 30.0, effect: RenalEffect::AtMost { amount: 25.0 } },
        RenalBand { below: 15.0, effect: RenalEffect::Contraindicated },
    ];
    let with = |creatinine: Option<f64>| {
        let body = Measurements { serum_creatinine_mg_dl: creatinine, ..body(72.0) };
        let computed = compute(&rule, &body).unwrap();
        (computed.dose.value, computed.alerts)
    };
    // At 40 years and 72 kg the clearance is 100 over the creatinine.
    assert_eq!(with(Some(1.0)), (100.0, vec![]));
    assert_eq!(with(Some(2.0)), (50.0, vec![DoseAlert::RenalReduction]));
    assert_eq!(with(Some(4.0)), (25.0, vec![DoseAlert::RenalReduction]));
    assert_eq!(with(Some(8.0)), (100.0, vec![DoseAlert::RenalContraindication]));
    assert_eq!(with(None), (100.0, vec![DoseAlert::RenalFunctionUnknown]));
    let child = Measurements { age: 12, serum_creatinine_mg_dl: Some(1.0), ..body(40.0) };
    let found = compute(&rule, &child).unwrap().alerts;
    assert_eq!(found, [DoseAlert::AgeLimit, DoseAlert::RenalFunctionUnknown]);
}

#[test]
fn an_alert_that_blocks_needs_its_own_override_with_a_reason() {
    let given = |alert, reason, note: Option<&str>| {
        vec![DoseOverride { alert, reason, note: note.map(str::to_owned) }]
    };
    let found = [DoseAlert::AboveMaximum];
    assert!(settle(&found, &[], "overrides").is_err());
    let reason = OverrideReason::SpecialistAdvice;
    assert!(settle(&found, &given(DoseAlert::AboveMaximum, reason, None), "overrides").is_ok());
    assert!(settle(&found, &given(DoseAlert::AgeLimit, reason, None), "overrides").is_err());
    assert!(settle(&[], &given(DoseAlert::AboveMaximum, reason, None), "overrides").is_err());
    let other = |note| given(DoseAlert::AboveMaximum, OverrideReason::Other, note);
    assert!(settle(&found, &other(None), "overrides").is_err());
    assert!(settle(&found, &other(Some("Under supervision.")), "overrides").is_ok());
    assert!(settle(&[DoseAlert::Capped], &[], "overrides").is_ok(), "it tells, and blocks nothing");
}

fn day(number: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, 2).unwrap() + Days::new(number)
}

/// The schedule of semaglutide for weight: five steps of four weeks.
fn semaglutide() -> Titration {
    let steps = [0.25, 0.5, 1.0, 1.7]
        .map(|dose| TitrationStep { dose, days: Some(28) })
        .into_iter()
        .chain([TitrationStep { dose: 2.4, days: None }]);
    Titration { starts_on: day(0), steps: steps.collect() }
}

#[test]
fn the_step_of_a_day_follows_from_the_schedule() {
    let schedule = semaglutide();
    let dose = |number| schedule.on(day(number)).unwrap().dose;
    assert_eq!(schedule.on(day(0).pred_opt().unwrap()), None);
    assert_eq!([dose(0), dose(27), dose(28), dose(111), dose(112)], [0.25, 0.25, 0.5, 1.7, 2.4]);
    assert_eq!(dose(4000), 2.4);
    let second = schedule.on(day(30)).unwrap();
    assert_eq!((second.step, second.from, second.until), (Some(1), Some(day(28)), Some(day(55))));
    let mut errors = Vec::new();
    schedule.validate(0.25, "titration", &mut errors);
    assert_eq!(errors, []);
    let mut open = schedule.clone();
    open.steps[1].days = None;
    open.steps[4].days = Some(28);
    open.validate(0.5, "titration", &mut errors);
    let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    let expected =
        ["titration.steps[1].days", "titration.steps[4].days", "titration.steps[0].dose"];
    assert_eq!(paths, expected);
}

fn refused(result: Result<(), CareError>) -> Vec<String> {
    match result {
        Ok(()) => Vec::new(),
        Err(error) => error.fields().iter().map(|field| field.path.clone()).collect(),
    }
}

/// Every field of a rule with the values at its bounds: the last that is allowed
/// and the first that is not.
#[test]
fn a_rule_is_refused_by_the_field_that_is_out_of_bounds() {
    let usual = || rule(Method::Fixed { amount: 50.0 });
    let check = |of: &str, change: &dyn Fn(&mut DosingRule), path: Option<&str>| {
        let mut rule = usual();
        change(&mut rule);
        assert_eq!(refused(rule.validate()), Vec::from_iter(path), "{of}");
    };
    check("as it is", &|_| {}, None);
    for (value, sound) in
        [(0.001, true), (0.0, false), (-1.0, false), (f64::NAN, false), (f64::INFINITY, false)]
    {
        let path = |path| (!sound).then_some(path);
        let of = format!("{value}");
        check(&of, &|rule| rule.method = Method::Fixed { amount: value }, path("amount"));
        check(&of, &|rule| rule.increment = value, path("increment"));
        let band = |below, effect| vec![RenalBand { below, effect }];
        for (below, effect, path) in [
            (value, RenalEffect::Contraindicated, path("renal[0].below")),
            (30.0, RenalEffect::AtMost { amount: value }, path("renal[0].value")),
            (30.0, RenalEffect::Multiply { factor: value }, path("renal[0].value")),
        ] {
            check(&of, &|rule| rule.renal = band(below, effect), path);
        }
    }
    for (below, path) in [(200.0, None), (200.5, Some("renal[0].below"))] {
        let effect = RenalEffect::Multiply { factor: 1.0 };
        check("below", &|rule| rule.renal = vec![RenalBand { below, effect }], path);
    }
    let effect = RenalEffect::Multiply { factor: 1.01 };
    let more = |rule: &mut DosingRule| rule.renal = vec![RenalBand { below: 30.0, effect }];
    check("more for bad kidneys", &more, Some("renal[0].value"));
    for (most, path) in [
        (25.0, None),
        (24.9, Some("max_dose")),
        (f64::NAN, Some("max_dose")),
        (f64::INFINITY, Some("max_dose")),
    ] {
        check(&format!("at most {most}"), &|rule| rule.max_dose = Some(most), path);
    }
    for (least, most, path) in [
        (Some(18), Some(18), None),
        (Some(18), Some(17), Some("max_age")),
        (Some(18), Some(65), None),
        (Some(18), None, None),
        (None, Some(17), None),
    ] {
        let ages = |rule: &mut DosingRule| (rule.min_age, rule.max_age) = (least, most);
        check(&format!("{least:?} to {most:?}"), &ages, path);
    }
    for (text, path) in [(" ".into(), "unit"), ("m".repeat(21), "unit"), ("m".repeat(20), "")] {
        check(
            "unit",
            &|rule| rule.unit = String::clone(&text),
            Some(path).filter(|p| !p.is_empty()),
        );
    }
    for (text, sound) in [(" ".into(), false), ("é".repeat(500), true), ("é".repeat(501), false)]
    {
        let path = (!sound).then_some("reference");
        check("reference", &|rule| rule.reference = String::clone(&text), path);
    }
    let steps = |last| {
        vec![TitrationStep { dose: 50.0, days: Some(7) }, TitrationStep { dose: last, days: None }]
    };
    for (last, path) in [(100.0, None), (100.5, Some("schedule[1].dose"))] {
        let change = |rule: &mut DosingRule| {
            rule.max_dose = Some(100.0);
            rule.schedule = steps(last);
        };
        check("schedule", &change, path);
    }
}

#[test]
fn a_rule_is_for_the_ages_that_it_names_both_included() {
    for (least, most, age, fits) in [
        (Some(18), Some(65), 17, false),
        (Some(18), Some(65), 18, true),
        (Some(18), Some(65), 65, true),
        (Some(18), Some(65), 66, false),
        (None, Some(65), 1, true),
        (Some(18), None, 120, true),
    ] {
        let rule =
            DosingRule { min_age: least, max_age: most, ..rule(Method::Fixed { amount: 25.0 }) };
        assert_eq!(rule.fits_age(age), fits, "{age} in {least:?} to {most:?}");
    }
}

#[test]
fn a_dose_by_surface_is_the_amount_for_each_square_metre() {
    let formula = SurfaceFormula::Mosteller;
    let rule = rule(Method::PerSquareMetre { amount: 100.0, formula });
    let computed = compute(&rule, &body(70.0)).unwrap();
    assert_eq!(computed.dose.value, 175.0, "1.871 m² want 187.1");
    assert!(close(computed.raw, 187.1, 0.05), "{}", computed.raw);
    assert_eq!(computed.body_surface.map(|surface| surface * 100.0), Some(computed.raw));
    let unmeasured = Measurements { height_cm: None, ..body(70.0) };
    assert_eq!(refused(compute(&rule, &unmeasured).map(drop)), ["height_cm"]);
}

#[test]
fn a_dose_is_rounded_to_what_can_be_dispensed_and_never_above_the_largest() {
    for (amount, increment, rounding, most, dose, capped) in [
        // Exactly the largest is not lowered.
        (100.0, 25.0, Rounding::Nearest, Some(100.0), 100.0, false),
        (101.0, 25.0, Rounding::Nearest, Some(100.0), 100.0, true),
        // Up where the largest lets it, down where it does not.
        (95.0, 25.0, Rounding::Nearest, Some(100.0), 100.0, false),
        (115.0, 25.0, Rounding::Nearest, Some(120.0), 100.0, false),
        (10.6, 1.0, Rounding::Nearest, Some(10.6), 10.0, false),
        (115.0, 25.0, Rounding::Nearest, None, 125.0, false),
        // 0.3 by 0.1 is a little less than 3 to the machine, and 3 to everybody else.
        (0.3, 0.1, Rounding::Down, None, 0.3, false),
        (0.29, 0.1, Rounding::Down, None, 0.2, false),
    ] {
        let rule =
            DosingRule { increment, rounding, max_dose: most, ..rule(Method::Fixed { amount }) };
        let computed = compute(&rule, &body(70.0)).unwrap();
        assert_eq!(computed.dose.value, dose, "{amount} by {increment}");
        assert_eq!(computed.alerts.contains(&DoseAlert::Capped), capped, "{amount}");
    }
}

#[test]
fn a_band_of_the_kidneys_begins_below_its_number() {
    let with = |amount: f64, age: u32, creatinine: f64, effect| {
        let rule = DosingRule {
            renal: vec![RenalBand { below: 60.0, effect }],
            ..rule(Method::Fixed { amount })
        };
        let body = Measurements { age, serum_creatinine_mg_dl: Some(creatinine), ..body(72.0) };
        let computed = compute(&rule, &body).unwrap();
        (computed.dose.value, computed.creatinine_clearance, computed.alerts)
    };
    let half = RenalEffect::Multiply { factor: 0.5 };
    // At 80 years and 72 kg the clearance is 60 over the creatinine.
    assert_eq!(with(100.0, 80, 1.0, half), (100.0, Some(60.0), vec![]));
    assert_eq!(with(100.0, 80, 2.0, half), (50.0, Some(30.0), vec![DoseAlert::RenalReduction]));
    // What is within the bound already is not lowered, and not told as lowered.
    let most = RenalEffect::AtMost { amount: 50.0 };
    assert_eq!(with(50.0, 80, 2.0, most), (50.0, Some(30.0), vec![]));
    // The formula is for adults, from the birthday on.
    assert_eq!(with(100.0, 18, 1.0, half), (100.0, Some(122.0), vec![]));
    let unknown = vec![DoseAlert::AgeLimit, DoseAlert::RenalFunctionUnknown];
    assert_eq!(with(100.0, 17, 1.0, half), (100.0, None, unknown));
}

#[test]
fn the_words_of_an_override_have_an_end() {
    let with = |length: usize, reason| {
        let note = Some("é".repeat(length));
        let given = [DoseOverride { alert: DoseAlert::AboveMaximum, reason, note }];
        refused(settle(&[DoseAlert::AboveMaximum], &given, "overrides"))
    };
    for reason in [OverrideReason::Other, OverrideReason::SpecialistAdvice] {
        assert_eq!(with(1000, reason), [""; 0]);
        assert_eq!(with(1001, reason), ["overrides[0].note"]);
    }
    assert_eq!(with(0, OverrideReason::SpecialistAdvice), [""; 0]);
    assert_eq!(with(0, OverrideReason::Other), ["overrides[0].note"]);
}

#[test]
fn a_schedule_is_refused_by_the_step_that_is_out_of_bounds() {
    let step = |dose, days| TitrationStep { dose, days };
    let check = |steps: Vec<TitrationStep>, expected: &[&str]| {
        let mut errors = Vec::new();
        let first = steps.first().map_or(1.0, |step| step.dose);
        Titration { starts_on: day(0), steps }.validate(first, "t", &mut errors);
        let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, expected);
    };
    let of = |count: usize| {
        let mut steps = vec![step(1.0, Some(7)); count - 1];
        steps.push(step(2.0, None));
        steps
    };
    check(Vec::new(), &["t.steps"]);
    check(of(1), &["t.steps"]);
    check(of(2), &[]);
    check(of(20), &[]);
    check(of(21), &["t.steps"]);
    for (days, expected) in
        [(0, &["t.steps[0].days"][..]), (1, &[]), (365, &[]), (366, &["t.steps[0].days"])]
    {
        check(vec![step(1.0, Some(days)), step(2.0, None)], expected);
    }
    for dose in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        check(vec![step(1.0, Some(7)), step(dose, None)], &["t.steps[1].dose"]);
    }
    check(vec![step(1.0, Some(7)), step(0.001, None)], &[]);
}

proptest! {
    /// Whatever the body, a dose is a whole count of what can be dispensed, as
    /// near as the rule asks for, and never above its largest.
    #[test]
    fn a_dose_can_be_dispensed_and_is_as_near_as_it_gets(
        per_kg in 0.5f64..20.0, weight in 30.0f64..300.0, increment in 0.1f64..20.0,
        most in 100.0f64..2000.0, down in any::<bool>(),
    ) {
        let rounding = if down { Rounding::Down } else { Rounding::Nearest };
        let rule = DosingRule {
            increment, rounding, max_dose: Some(most), ..rule(Method::PerKilogram { amount: per_kg })
        };
        let Ok(computed) = compute(&rule, &body(weight)) else {
            prop_assert!(per_kg * weight < increment, "refused though it can be dispensed");
            return Ok(());
        };
        let (dose, wanted) = (computed.dose.value, computed.raw.min(most));
        let count = dose / increment;
        prop_assert!((count - count.round()).abs() < 1e-3, "{dose} is no multiple of {increment}");
        prop_assert!(dose <= most + 1e-5);
        let off = (dose - wanted).abs();
        prop_assert!(off <= increment + 1e-5);
        if down {
            prop_assert!(dose <= wanted + 1e-5);
        } else if wanted + increment < most {
            prop_assert!(off <= increment / 2.0 + 1e-5);
        }
        prop_assert_eq!(computed.alerts.contains(&DoseAlert::Capped), computed.raw > most);
    }

    /// Who weighs more never gets less, and worse kidneys never get more.
    #[test]
    fn a_dose_grows_with_the_body_and_shrinks_with_the_kidneys(
        weight in 40.0f64..150.0, more in 0.0f64..50.0, creatinine in 0.5f64..5.0, worse in 0.0f64..5.0,
    ) {
        for formula in [SurfaceFormula::Mosteller, SurfaceFormula::DuBois] {
            let rule = rule(Method::PerSquareMetre { amount: 100.0, formula });
            let dose = |weight| compute(&rule, &body(weight)).unwrap().dose.value;
            prop_assert!(dose(weight) <= dose(weight + more));
        }
        let mut rule = rule(Method::Fixed { amount: 200.0 });
        rule.renal = vec![
            RenalBand { below: 60.0, effect: RenalEffect::Multiply { factor: 0.5 } },
            RenalBand { below: 30.0, effect: RenalEffect::Multiply { factor: 0.25 } },
        ];
        let dose = |creatinine| {
            let body = Measurements { serum_creatinine_mg_dl: Some(creatinine), ..body(weight) };
            compute(&rule, &body).unwrap().dose.value
        };
        prop_assert!(dose(creatinine + worse) <= dose(creatinine));
    }

    /// Every day from the start on has one step; the steps follow without a
    /// gap, and each lasts as long as it says.
    #[test]
    fn the_steps_cover_every_day_once(
        days in prop::collection::vec(1u32..60, 1..8), until in 1u64..600,
    ) {
        let steps = days.iter().map(|days| TitrationStep { dose: 1.0, days: Some(*days) });
        let steps = steps.chain([TitrationStep { dose: 1.0, days: None }]).collect();
        let schedule = Titration { starts_on: day(0), steps };
        let mut lasted = vec![0u32; days.len() + 1];
        let mut before = 0;
        for number in 0..until {
            let on = schedule.on(day(number)).expect("a step");
            let step = on.step.unwrap();
            prop_assert!(step == before || step == before + 1);
            prop_assert!(on.from.unwrap() <= day(number));
            prop_assert!(on.until.is_none_or(|last| day(number) <= last));
            lasted[step] += 1;
            before = step;
        }
        for (step, days) in days.iter().enumerate().take(before) {
            prop_assert_eq!(lasted[step], *days);
        }
    }
}
