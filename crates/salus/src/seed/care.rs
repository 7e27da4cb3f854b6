//! What care decides by in the demo: the drugs with their largest doses, the
//! default treatment of each category, the rules, and what the states allow.
//! The codes are RxNorm's, the FDA's and ICD-10-CM's own.

pub mod dosing;
pub mod rules;

use care::{
    CareError, CareStore, Dose, DoseLimit, Frequency, Medication, Modality, PeriodUnit, Protocol,
    Treatment, setup,
};
use kernel::{Actor, CategoryId, DeaSchedule, RxNorm, UsState};
use ports::Env;

use super::catalog;

/// A drug of the formulary with its largest doses.
struct Drug {
    rxnorm: &'static str,
    ndc: &'static str,
    display: &'static str,
    strength: &'static str,
    max_single: f64,
    max_daily: f64,
    unit: &'static str,
    reference: &'static str,
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
};

const FORMULARY: [Drug; 6] =
    [FINASTERIDE, SILDENAFIL, METFORMIN, TRETINOIN, DOXYCYCLINE, SERTRALINE];

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
        drug: &METFORMIN,
        dose: 500.0,
        sig: "Take 1 tablet by mouth twice a day with meals.",
        frequency: (2, 1, PeriodUnit::D),
        as_needed: false,
        days: 30,
        quantity: 60,
        unit: "tablet",
        refills: 2,
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
        let known = store.begin(&actor).await?.dose_limit(&limit.rxnorm).await?;
        if known.is_none_or(|known| known.ndcs.is_empty()) {
            setup::set_dose_limit(store, &actor, &limit).await?;
        }
    }
    dosing::sow(store, &actor).await?;
    for seed in &PROTOCOLS {
        let mut tx = store.begin(&actor).await?;
        let protocol = tx.protocol(seed.category).await?;
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
        if store.begin(actor).await?.state_policy(state).await?.is_some() {
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
