//! What care decides by in the demo: the drugs with their largest doses, the
//! default treatment of each category, the rules, and what the states allow.
//! The codes are RxNorm's, the FDA's and ICD-10-CM's own.

pub mod dosing;
pub mod rules;

use care::{
    CareError, CareStore, Dose, DoseLimit, Frequency, Medication, Modality, PeriodUnit, Protocol,
    StatePolicy, Treatment, setting, setup,
};
use kernel::{Actor, CategoryId, DeaSchedule, RxNorm, UsState};
use ports::Env;

use super::catalog;

/// A drug of the formulary with its largest doses.
#[derive(Clone, Copy)]
struct Drug {
    rxnorm: &'static str,
    ndc: &'static str,
    display: &'static str,
    strength: &'static str,
    max_single: f64,
    max_daily: f64,
    unit: &'static str,
    reference: &'static str,
    max_weekly: Option<f64>,
    /// What no source has confirmed of it.
    to_confirm: Option<&'static str>,
    /// The drug of the next step of a titration.
    followed_by: Option<&'static str>,
}

const FINASTERIDE: Drug = Drug {
    rxnorm: "200172",
    ndc: "31722052630",
    display: "finasteride 1 MG Oral Tablet",
    strength: "1 MG",
    max_single: 1.0,
    max_daily: 1.0,
    unit: "mg",
    reference: "Prescribing information of finasteride 1 mg tablets, section 2",
    max_weekly: None,
    to_confirm: None,
    followed_by: None,
};

const SILDENAFIL: Drug = Drug {
    rxnorm: "213270",
    ndc: "00069421030",
    display: "sildenafil 50 MG Oral Tablet [Viagra]",
    strength: "50 MG",
    max_single: 100.0,
    max_daily: 100.0,
    unit: "mg",
    reference: "Prescribing information of sildenafil for erectile dysfunction, section 2.1",
    max_weekly: None,
    to_confirm: None,
    followed_by: None,
};

const METFORMIN: Drug = Drug {
    rxnorm: "861007",
    ndc: "00093104810",
    display: "metformin hydrochloride 500 MG Oral Tablet",
    strength: "500 MG",
    max_single: 1000.0,
    max_daily: 2550.0,
    unit: "mg",
    reference: "Prescribing information of metformin hydrochloride tablets, section 2.1",
    max_weekly: None,
    to_confirm: None,
    followed_by: None,
};

const TRETINOIN: Drug = Drug {
    rxnorm: "245723",
    ndc: "62032041320",
    display: "tretinoin 0.05 % Topical Gel",
    strength: "0.05 %",
    max_single: 1.0,
    max_daily: 1.0,
    unit: "g",
    reference: "Prescribing information of tretinoin gel 0.05 %, section 2: once a day, a thin layer",
    max_weekly: None,
    to_confirm: None,
    followed_by: None,
};

const DOXYCYCLINE: Drug = Drug {
    rxnorm: "1649988",
    ndc: "00143314250",
    display: "doxycycline hyclate 100 MG Oral Capsule",
    strength: "100 MG",
    max_single: 200.0,
    max_daily: 200.0,
    unit: "mg",
    reference: "Prescribing information of doxycycline hyclate capsules, dosage and administration",
    max_weekly: None,
    to_confirm: None,
    followed_by: None,
};

const SERTRALINE: Drug = Drug {
    rxnorm: "312941",
    ndc: "16714061201",
    display: "sertraline 50 MG Oral Tablet",
    strength: "50 MG",
    max_single: 200.0,
    max_daily: 200.0,
    unit: "mg",
    reference: "Prescribing information of sertraline tablets, section 2.1",
    max_weekly: None,
    to_confirm: None,
    followed_by: None,
};

const TADALAFIL: Drug = Drug {
    rxnorm: "403957",
    ndc: "00093301756",
    display: "tadalafil 5 MG Oral Tablet",
    strength: "5 MG",
    max_single: 5.0,
    max_daily: 5.0,
    unit: "mg",
    reference: "Prescribing information of tadalafil, section 2: for use once a day",
    max_weekly: None,
    to_confirm: Some(
        "The package is of a directory of 2019; look up whether it is still marketed.",
    ),
    followed_by: None,
};

const MINOXIDIL: Drug = Drug {
    rxnorm: "197987",
    ndc: "00591564201",
    display: "minoxidil 2.5 MG Oral Tablet",
    strength: "2.5 MG",
    max_single: 5.0,
    max_daily: 5.0,
    unit: "mg",
    reference: "Off label for hair loss, at most 5 mg a day; the tablets are labeled for high \
                blood pressure",
    max_weekly: None,
    to_confirm: Some(
        "The use for hair loss and its doses are off label, and the package is of a directory of \
         2019; look up both, and what failing kidneys ask for.",
    ),
    followed_by: None,
};

/// What is not certain of each step of semaglutide.
const PEN_TO_CONFIRM: &str = "No source confirms which of the RxNorm codes of these pens is which \
                              strength, nor the package code; look up both.";
const PEN_REFERENCE: &str = "Prescribing information of semaglutide injection for weight \
                             management, section 2: once a week";

const fn pen(
    rxnorm: &'static str,
    ndc: &'static str,
    display: &'static str,
    (strength, dose): (&'static str, f64),
    to_confirm: &'static str,
    followed_by: Option<&'static str>,
) -> Drug {
    Drug {
        rxnorm,
        ndc,
        display,
        strength,
        max_single: dose,
        max_daily: dose,
        unit: "mg",
        reference: PEN_REFERENCE,
        max_weekly: Some(dose),
        to_confirm: Some(to_confirm),
        followed_by,
    }
}

/// The steps of semaglutide for weight, a pen for each week: four weeks each, and
/// then the last for as long as it helps.
const SEMAGLUTIDE_PENS: [Drug; 5] = [
    pen(
        "2553501",
        "00169452514",
        "0.5 ML semaglutide 0.5 MG/ML Auto-Injector",
        ("0.25 MG", 0.25),
        PEN_TO_CONFIRM,
        Some("2553601"),
    ),
    pen(
        "2553601",
        "00169450514",
        "0.5 ML semaglutide 1 MG/ML Auto-Injector",
        ("0.5 MG", 0.5),
        PEN_TO_CONFIRM,
        Some("2553802"),
    ),
    pen(
        "2553802",
        "00169450114",
        "0.5 ML semaglutide 2 MG/ML Auto-Injector",
        ("1 MG", 1.0),
        PEN_TO_CONFIRM,
        Some("2553901"),
    ),
    pen(
        "2553901",
        "00169451714",
        "0.75 ML semaglutide 2.27 MG/ML Auto-Injector",
        ("1.7 MG", 1.7),
        PEN_TO_CONFIRM,
        Some("2554102"),
    ),
    pen(
        "2554102",
        "00169452414",
        "0.75 ML semaglutide 3.2 MG/ML Auto-Injector",
        ("2.4 MG", 2.4),
        "No source confirms which of the RxNorm codes of these pens is which strength; look it up.",
        None,
    ),
];

const FORMULARY: [Drug; 13] = {
    let [quarter, half, one, more, most] = SEMAGLUTIDE_PENS;
    [
        FINASTERIDE,
        SILDENAFIL,
        METFORMIN,
        TRETINOIN,
        DOXYCYCLINE,
        SERTRALINE,
        TADALAFIL,
        MINOXIDIL,
        quarter,
        half,
        one,
        more,
        most,
    ]
};

/// Where finasteride may be approved under protocol, and where an
/// asynchronous questionnaire is enough for it.
const AUTOMATIC_STATES: [UsState; 4] = [UsState::Ma, UsState::Ny, UsState::Tx, UsState::Ca];

impl Drug {
    fn limit(&self) -> Result<DoseLimit, CareError> {
        Ok(DoseLimit {
            rxnorm: self.code()?,
            display: self.display.into(),
            max_single: self.max_single,
            max_daily: self.max_daily,
            unit: self.unit.into(),
            reference: self.reference.into(),
            strength: self.strength.into(),
            // None of them is controlled; the pharmacy refuses those that are.
            schedule: DeaSchedule::None,
            ndcs: vec![self.ndc.parse().map_err(broken)?],
            max_weekly: self.max_weekly,
            to_confirm: self.to_confirm.map(Into::into),
            followed_by: self.followed_by.map(|drug| drug.parse().map_err(broken)).transpose()?,
        })
    }

    fn code(&self) -> Result<RxNorm, CareError> {
        self.rxnorm.parse().map_err(broken)
    }

    fn medication(&self) -> Result<Medication, CareError> {
        Ok(Medication {
            rxnorm: self.code()?,
            ndc: self.ndc.parse().map_err(broken)?,
            display: self.display.into(),
        })
    }
}

fn broken(error: kernel::code::InvalidCode) -> CareError {
    ports::PortError::internal("a code of the seeds", error).into()
}

/// The default treatment of a category.
struct ProtocolSeed {
    category: CategoryId,
    drug: &'static Drug,
    dose: f64,
    sig: &'static str,
    frequency: (u32, u32, PeriodUnit),
    as_needed: bool,
    days: u32,
    quantity: u32,
    unit: &'static str,
    refills: u32,
    diagnosis: &'static str,
}

const PROTOCOLS: [ProtocolSeed; 6] = [
    ProtocolSeed {
        category: catalog::HAIR_LOSS,
        drug: &FINASTERIDE,
        dose: 1.0,
        sig: "Take 1 tablet by mouth once a day.",
        frequency: (1, 1, PeriodUnit::D),
        as_needed: false,
        days: 30,
        quantity: 30,
        unit: "tablet",
        refills: 11,
        diagnosis: "L64.9",
    },
    ProtocolSeed {
        category: catalog::ERECTILE_DYSFUNCTION,
        drug: &SILDENAFIL,
        dose: 50.0,
        sig: "Take 1 tablet by mouth about one hour before sexual activity, at most once a day.",
        frequency: (1, 1, PeriodUnit::D),
        as_needed: true,
        days: 30,
        quantity: 6,
        unit: "tablet",
        refills: 11,
        diagnosis: "N52.9",
    },
    ProtocolSeed {
        category: catalog::WEIGHT_MANAGEMENT,
        // The step that everybody begins with; it is not refilled, because the
        // next is a prescription of its own.
        drug: &SEMAGLUTIDE_PENS[0],
        dose: 0.25,
        sig: "Inject the content of 1 pen (0.25 mg) under the skin once a week.",
        frequency: (1, 1, PeriodUnit::Wk),
        as_needed: false,
        days: 28,
        quantity: 4,
        unit: "each",
        refills: 0,
        diagnosis: "E66.9",
    },
    ProtocolSeed {
        category: catalog::ACNE,
        drug: &TRETINOIN,
        dose: 0.5,
        sig: "Apply a thin layer to the affected skin once a day at bedtime.",
        frequency: (1, 1, PeriodUnit::D),
        as_needed: false,
        days: 40,
        quantity: 20,
        unit: "g",
        refills: 2,
        diagnosis: "L70.0",
    },
    ProtocolSeed {
        category: catalog::ANXIETY,
        drug: &SERTRALINE,
        dose: 50.0,
        sig: "Take 1 tablet by mouth once a day.",
        frequency: (1, 1, PeriodUnit::D),
        as_needed: false,
        days: 30,
        quantity: 30,
        unit: "tablet",
        refills: 1,
        diagnosis: "F41.1",
    },
    ProtocolSeed {
        category: catalog::DEPRESSION,
        drug: &SERTRALINE,
        dose: 50.0,
        sig: "Take 1 tablet by mouth once a day.",
        frequency: (1, 1, PeriodUnit::D),
        as_needed: false,
        days: 30,
        quantity: 30,
        unit: "tablet",
        refills: 1,
        diagnosis: "F32.A",
    },
];

impl ProtocolSeed {
    fn protocol(&self) -> Result<Protocol, CareError> {
        let (frequency, period, period_unit) = self.frequency;
        let as_needed = self.as_needed;
        Ok(Protocol {
            category: self.category,
            treatment: Treatment {
                medication: self.drug.medication()?,
                dose: Dose { value: self.dose, unit: self.drug.unit.into() },
                sig: self.sig.into(),
                frequency: Frequency { frequency, period, period_unit, as_needed },
                duration_days: self.days,
                quantity: self.quantity,
                quantity_unit: self.unit.into(),
                refills: self.refills,
                diagnosis: self.diagnosis.parse().map_err(broken)?,
                titration: None,
                kidneys: None,
                overrides: Vec::new(),
            },
        })
    }
}

/// Sets what is not set yet.
pub async fn sow(env: &Env, store: &dyn CareStore) -> Result<(), CareError> {
    let actor = Actor::system("seed.care");
    for drug in &FORMULARY {
        let limit = drug.limit()?;
        // One from before the formulary named packages gets them.
        let known = setting::current::<DoseLimit>(store, &actor, &limit.rxnorm).await?;
        if known.is_none_or(|known| known.ndcs.is_empty()) {
            setup::set_dose_limit(store, &actor, &limit).await?;
        }
    }
    dosing::sow(store, &actor).await?;
    for seed in &PROTOCOLS {
        let mut tx = store.begin(&actor).await?;
        let protocol: Option<Protocol> = setting::held(tx.as_mut(), &seed.category).await?;
        let rules = tx.rule_sets_in_force(seed.category).await?;
        drop(tx);
        if protocol.is_none() {
            setup::set_protocol(store, &actor, &seed.protocol()?).await?;
        }
        if rules.is_empty() {
            setup::publish_rules(env, store, &actor, seed.category, rules::of(seed.category))
                .await?;
        }
    }
    sow_states(store, &actor).await
}

/// What the states allow. A state whose policy was ever set is the
/// administrators': the drug goes on its allowlist together with its first
/// policy and never again, so that one that they took off stays off.
async fn sow_states(store: &dyn CareStore, actor: &Actor) -> Result<(), CareError> {
    for state in AUTOMATIC_STATES {
        if setting::current::<StatePolicy>(store, actor, &state).await?.is_some() {
            continue;
        }
        // The policy comes last: a start that was killed between the two sows
        // both once more.
        setup::allow_auto_approval(store, actor, state, &FINASTERIDE.code()?).await?;
        setup::set_modality(store, actor, state, Modality::Asynchronous).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
