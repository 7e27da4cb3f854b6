//! How the drugs of the formulary are dosed, from their FDA-approved labeling.

use care::{
    CareError, CareStore, DoseLimit,
    dosing::{self, DosingRule, Method, RenalBand, RenalEffect, Rounding, TitrationStep},
    setting, setup,
};
use kernel::{Actor, DeaSchedule, RxNorm, Seen};

use super::{
    DOXYCYCLINE, Drug, FINASTERIDE, METFORMIN, MINOXIDIL, SEMAGLUTIDE_PENS, SERTRALINE, SILDENAFIL,
    TADALAFIL, TRETINOIN, broken,
};

/// A rule with a fixed dose.
struct RuleSeed {
    drug: &'static Drug,
    amount: f64,
    increment: f64,
    max: f64,
    min_age: u32,
    renal: &'static [RenalBand],
    reference: &'static str,
}

/// Each step of semaglutide is a pen of its own.
const fn pen(step: usize, amount: f64) -> RuleSeed {
    RuleSeed {
        drug: &SEMAGLUTIDE_PENS[step],
        amount,
        increment: amount,
        max: amount,
        min_age: 18,
        renal: &[],
        reference: SEMAGLUTIDE_LABEL,
    }
}

const RULES: [RuleSeed; 13] = [
    RuleSeed {
        drug: &FINASTERIDE,
        amount: 1.0,
        increment: 1.0,
        max: 1.0,
        min_age: 18,
        renal: &[],
        reference: "Prescribing information of finasteride 1 mg tablets, sections 2 and 8: not for \
                    children; no change for the kidneys",
    },
    RuleSeed {
        drug: &SILDENAFIL,
        amount: 50.0,
        increment: 25.0,
        max: 100.0,
        min_age: 18,
        renal: &[RenalBand { below: 30.0, effect: RenalEffect::AtMost { amount: 25.0 } }],
        reference: "Prescribing information of sildenafil for erectile dysfunction, section 2: \
                    begin with 25 mg where the creatinine clearance is below 30 mL/min",
    },
    RuleSeed {
        drug: &METFORMIN,
        amount: 500.0,
        increment: 500.0,
        max: 1000.0,
        min_age: 18,
        renal: &[RenalBand { below: 45.0, effect: RenalEffect::Contraindicated }],
        reference: "Prescribing information of metformin hydrochloride tablets, sections 2 and 4: \
                    forbidden below an eGFR of 30 and not to be begun below 45, held here against \
                    the estimated clearance",
    },
    RuleSeed {
        drug: &TRETINOIN,
        amount: 0.5,
        increment: 0.25,
        max: 1.0,
        min_age: 12,
        renal: &[],
        reference: "Prescribing information of tretinoin gel 0.05 %, sections 2 and 8: a thin layer \
                    once a day, from 12 years on",
    },
    RuleSeed {
        drug: &DOXYCYCLINE,
        amount: 100.0,
        increment: 100.0,
        max: 200.0,
        min_age: 8,
        renal: &[],
        reference: "Prescribing information of doxycycline hyclate capsules, dosage and \
                    administration: not under 8 years; no change for the kidneys",
    },
    RuleSeed {
        drug: &SERTRALINE,
        amount: 50.0,
        increment: 25.0,
        max: 200.0,
        min_age: 18,
        renal: &[],
        reference: "Prescribing information of sertraline tablets, sections 2 and 8: no change for \
                    the kidneys",
    },
    RuleSeed {
        drug: &TADALAFIL,
        amount: 5.0,
        increment: 2.5,
        max: 5.0,
        min_age: 18,
        renal: &[RenalBand { below: 30.0, effect: RenalEffect::Contraindicated }],
        reference: "Prescribing information of tadalafil, sections 2 and 8: not once a day where the \
                    creatinine clearance is below 30 mL/min",
    },
    RuleSeed {
        drug: &MINOXIDIL,
        amount: 2.5,
        increment: 1.25,
        max: 5.0,
        min_age: 18,
        renal: &[],
        reference: "Off label for hair loss; the tablets are labeled for high blood pressure",
    },
    pen(0, 0.25),
    pen(1, 0.5),
    pen(2, 1.0),
    pen(3, 1.7),
    pen(4, 2.4),
];

impl RuleSeed {
    fn rule(&self) -> Result<DosingRule, CareError> {
        Ok(DosingRule {
            rxnorm: self.drug.code()?,
            unit: self.drug.unit.into(),
            method: Method::Fixed { amount: self.amount },
            increment: self.increment,
            rounding: Rounding::Down,
            max_dose: Some(self.max),
            min_age: Some(self.min_age),
            max_age: None,
            renal: self.renal.to_vec(),
            schedule: Vec::new(),
            reference: self.reference.into(),
        })
    }
}

/// The ingredient: the steps of its titration are packages of their own.
const SEMAGLUTIDE: &str = "1991302";
const SEMAGLUTIDE_LABEL: &str = "Prescribing information of semaglutide injection for weight \
                                 management, section 2: once a week, each step for four weeks";

/// Once a week, from 0.25 mg to 2.4 mg in sixteen weeks.
fn semaglutide() -> Result<DosingRule, CareError> {
    let step = |dose, days| TitrationStep { dose, days };
    Ok(DosingRule {
        rxnorm: SEMAGLUTIDE.parse::<RxNorm>().map_err(broken)?,
        unit: "mg".into(),
        method: Method::Fixed { amount: 0.25 },
        increment: 0.05,
        rounding: Rounding::Down,
        max_dose: Some(2.4),
        min_age: Some(12),
        max_age: None,
        renal: Vec::new(),
        schedule: vec![
            step(0.25, Some(28)),
            step(0.5, Some(28)),
            step(1.0, Some(28)),
            step(1.7, Some(28)),
            step(2.4, None),
        ],
        reference: SEMAGLUTIDE_LABEL.into(),
    })
}

fn semaglutide_limit() -> Result<DoseLimit, CareError> {
    Ok(DoseLimit {
        rxnorm: SEMAGLUTIDE.parse::<RxNorm>().map_err(broken)?,
        display: "semaglutide".into(),
        max_single: 2.4,
        max_daily: 2.4,
        max_weekly: Some(2.4),
        unit: "mg".into(),
        reference: SEMAGLUTIDE_LABEL.into(),
        strength: String::new(),
        schedule: DeaSchedule::None,
        // An ingredient comes in no package, so only its steps are prescribed.
        ndcs: Vec::new(),
        to_confirm: None,
        followed_by: None,
    })
}

/// Sets the rules of drugs that have none.
pub async fn sow(store: &dyn CareStore, actor: &Actor) -> Result<(), CareError> {
    let limit = semaglutide_limit()?;
    if setting::current::<DoseLimit>(store, actor, &limit.rxnorm).await?.is_none() {
        setup::set_dose_limit(store, actor, &limit).await?;
    }
    let fixed = RULES.iter().map(RuleSeed::rule);
    for rule in fixed.chain([semaglutide()]) {
        let rule = rule?;
        if setting::current::<DosingRule>(store, actor, &rule.rxnorm).await?.is_none() {
            dosing::set_rule(store, actor, &rule, &Seen::from(0)).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use care::dosing::{DoseAlert, Measurements, compute};
    use kernel::Sex;
    use salus_tests::Database;

    use super::*;

    fn body(creatinine: f64) -> Measurements {
        Measurements {
            age: 40,
            sex: Sex::Male,
            weight_kg: Some(72.0),
            height_cm: None,
            serum_creatinine_mg_dl: Some(creatinine),
        }
    }

    #[test]
    fn every_rule_is_sound_and_within_the_limit_of_its_drug() {
        for seed in &RULES {
            let (rule, limit) = (seed.rule().unwrap(), seed.drug.limit().unwrap());
            rule.validate().unwrap();
            assert_eq!(rule.unit, limit.unit);
            assert!(seed.max <= limit.max_single, "{}", limit.display);
            let computed = compute(&rule, &body(1.0)).unwrap();
            assert_eq!((computed.dose.value, computed.alerts), (seed.amount, vec![]));
        }
        semaglutide().unwrap().validate().unwrap();
    }

    #[test]
    fn kidneys_lower_sildenafil_and_forbid_metformin() {
        // At 40 years and 72 kg the clearance is 100 over the creatinine.
        let found = |seed: &RuleSeed, creatinine| {
            let computed = compute(&seed.rule().unwrap(), &body(creatinine)).unwrap();
            (computed.dose.value, computed.alerts)
        };
        assert_eq!(found(&RULES[1], 4.0), (25.0, vec![DoseAlert::RenalReduction]));
        assert_eq!(found(&RULES[2], 2.5), (500.0, vec![DoseAlert::RenalContraindication]));
        assert_eq!(found(&RULES[2], 2.2), (500.0, vec![]));
    }

    #[test]
    fn semaglutide_begins_low_and_comes_with_its_schedule() {
        let computed = compute(&semaglutide().unwrap(), &body(1.0)).unwrap();
        assert_eq!((computed.dose.value, computed.alerts), (0.25, vec![]));
        let doses: Vec<f64> = computed.schedule.iter().map(|step| step.dose).collect();
        assert_eq!(doses, [0.25, 0.5, 1.0, 1.7, 2.4]);
        let weeks: u32 = computed.schedule.iter().filter_map(|step| step.days).sum::<u32>() / 7;
        assert_eq!(weeks, 16);
    }

    #[tokio::test]
    async fn rules_are_sown_once_and_one_that_was_changed_stays() {
        let database = Database::fresh().await;
        let (store, actor) = (&database.pg, Actor::system("tests.seed"));
        sow(store, &actor).await.unwrap();
        let drug = SILDENAFIL.code().unwrap();
        let (rule, version) = dosing::rule(store, &actor, &drug).await.unwrap();
        let changed = DosingRule { min_age: Some(21), ..rule };
        dosing::set_rule(store, &actor, &changed, &version.into()).await.unwrap();
        sow(store, &actor).await.unwrap();
        assert_eq!(dosing::rule(store, &actor, &drug).await.unwrap(), (changed, 2));
    }
}
