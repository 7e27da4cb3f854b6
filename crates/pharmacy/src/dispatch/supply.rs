//! What a patient still has of a drug, and when the next fill of it may go
//! out. A drug is looked at across prescriptions: whoever starts a treatment
//! anew, or pays twice, gets no second supply on top of the first.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Months, TimeDelta, Utc};
use kernel::{CategoryId, InvoiceId, PageRequest, PatientId, RxNorm, TreatmentPlanId};

use ports::repository::get;

use crate::{
    PharmacyError,
    fulfilment::FulfilmentTx,
    prescription::{Medication, Prescription, PrescriptionReach, PrescriptionState},
    safety::{Formulary, formulary::micrograms},
};

/// How much of a supply has to be used up before the next one goes out, in
/// percent: what is left covers the way through the post.
pub const REFILL_THRESHOLD_PERCENT: u32 = 80;

/// The days that count as the supply for one paid month.
const DAYS_OF_A_MONTH: u32 = 30;

/// A quantity of a drug that went out to the patient, or is about to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supply {
    pub medication: Medication,
    pub days: u16,
    pub at: DateTime<Utc>,
}

impl Supply {
    /// From when on another supply of the same drug is not too soon.
    pub fn refillable_from(&self) -> DateTime<Utc> {
        let days = (u32::from(self.days) * REFILL_THRESHOLD_PERCENT).div_ceil(100);
        self.at + TimeDelta::days(i64::from(days))
    }
}

/// When a fill of this drug is not too soon any more; `None` where the patient
/// has had none of it.
pub fn refillable_from(medication: &Medication, supplies: &[Supply]) -> Option<DateTime<Utc>> {
    supplies
        .iter()
        .filter(|supply| same_drug(medication, &supply.medication))
        .map(Supply::refillable_from)
        .max()
}

/// Whether two products are one drug: one RxNorm concept or, for a brand and
/// its generic, the same ingredients in the same strength. Another strength is
/// a change of dose that a prescriber has decided on, which does not wait for
/// the old tablets to be used up.
pub fn same_drug(one: &Medication, other: &Medication) -> bool {
    if one.rxnorm == other.rxnorm || one.ndc == other.ndc {
        return true;
    }
    let ingredients = |of: &Medication| -> Option<BTreeSet<RxNorm>> {
        let found = Formulary::shipped().ingredients_of(Some(&of.rxnorm), &of.display)?;
        Some(found.into_iter().map(|ingredient| ingredient.code.clone()).collect())
    };
    let strength = |of: &Medication| {
        micrograms(&of.strength, "")
            .map_or_else(|| of.strength.trim().to_lowercase(), |amount| amount.to_string())
    };
    ingredients(one).is_some_and(|known| ingredients(other).is_some_and(|found| found == known))
        && strength(one) == strength(other)
}

/// How many paid months a fill of so many days takes.
pub fn months_covered(days_supply: u16) -> u32 {
    (u32::from(days_supply) / DAYS_OF_A_MONTH).max(1)
}

/// When the fills of a paid period are planned for: the first at once, and one
/// more each month after. They are counted from the first, so that the days of
/// a short month do not add up.
pub fn schedule(paid_at: DateTime<Utc>, months: u32) -> Vec<DateTime<Utc>> {
    (0..months.max(1)).map_while(|month| paid_at.checked_add_months(Months::new(month))).collect()
}

/// What went out to the patient and is not used up, as far as it can still
/// hold back a fill.
pub(crate) async fn supplies(
    tx: &mut dyn FulfilmentTx,
    patient: PatientId,
    now: DateTime<Utc>,
) -> Result<Vec<Supply>, PharmacyError> {
    let mut supplies = Vec::new();
    for (prescription, at) in tx.last_supplies(patient, now).await? {
        let filled = get::<Prescription>(tx, prescription).await?;
        let (medication, days) = (filled.medication, filled.dosing.days_supply);
        supplies.push(Supply { medication, days, at });
    }
    Ok(supplies)
}

/// What a treatment plan is to be filled with, as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedFills {
    pub plan: TreatmentPlanId,
    pub version: u32,
    pub fills: u32,
    /// How long one of them lasts.
    pub days: u16,
}

/// For how many months the fills of an active plan last that are neither sent out
/// nor paid for. A plan whose prescription is not written yet has all of them.
pub async fn months_left(
    tx: &mut dyn FulfilmentTx,
    (patient, category): (PatientId, CategoryId),
    planned: PlannedFills,
) -> ports::Result<u32> {
    let (left, days) = match tx.open_prescription(planned.plan).await? {
        Some(open) => {
            let taken = tx.fill_numbers(open.id).await?.len();
            let on_the_way =
                u32::try_from(taken).unwrap_or(u32::MAX).saturating_sub(u32::from(open.fills_used));
            let left = u32::from(open.remaining_fills()).saturating_sub(on_the_way);
            (left, open.dosing.days_supply)
        }
        None => {
            // A prescription that is used up ends its plan in a moment. A later
            // version, as the next step of a titration, has fills of its own.
            let page = PageRequest::new(Some(PageRequest::MAX_LIMIT), None);
            let last = tx.prescriptions(PrescriptionReach::Patient(patient), &page).await?;
            let is_used_up = last.items.iter().any(|one| {
                one.treatment_plan == planned.plan
                    && one.plan_version >= planned.version
                    && matches!(one.state, PrescriptionState::Completed { .. })
            });
            if is_used_up {
                return Ok(0);
            }
            (planned.fills, planned.days)
        }
    };
    // An invoice pays by the month, and a fill may serve several months of one
    // invoice.
    let mut paid: BTreeMap<InvoiceId, u32> = BTreeMap::new();
    for fill in tx.open_fills(patient, category).await? {
        *paid.entry(fill.invoice).or_default() += 1;
    }
    let months = months_covered(days);
    let paid: u32 = paid.values().map(|open| open.div_ceil(months)).sum();
    Ok(left.saturating_sub(paid).saturating_mul(months))
}

#[cfg(test)]
mod tests {
    use kernel::DeaSchedule;
    use proptest::prelude::*;

    use super::*;

    fn drug(rxnorm: &str, ndc: &str, display: &str, strength: &str) -> Medication {
        Medication {
            rxnorm: rxnorm.parse().unwrap(),
            ndc: ndc.parse().unwrap(),
            display: display.to_owned(),
            strength: strength.to_owned(),
            schedule: DeaSchedule::None,
        }
    }

    fn sertraline(strength: &str) -> Medication {
        let display = format!("sertraline {strength} Oral Tablet");
        drug("312941", "16714061201", &display, strength)
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn four_fifths_of_the_last_supply_have_to_be_used() {
        let supply = |days, at| Supply { medication: sertraline("50 MG"), days, at };
        let start = at("2026-03-01T15:00:00Z");
        assert_eq!(supply(30, start).refillable_from(), at("2026-03-25T15:00:00Z"));
        assert_eq!(supply(1, start).refillable_from(), at("2026-03-02T15:00:00Z"));
        let later = at("2026-03-10T15:00:00Z");
        let both = [supply(30, later), supply(30, start)];
        let from = refillable_from(&sertraline("50 MG"), &both);
        assert_eq!(from, Some(at("2026-04-03T15:00:00Z")));
        assert_eq!(refillable_from(&sertraline("50 MG"), &[]), None);
    }

    #[test]
    fn a_brand_is_its_generic_and_another_strength_is_another_drug() {
        let generic = drug("312950", "11111111111", "sildenafil 50 MG Oral Tablet", "50 MG");
        let brand = drug("213270", "22222222222", "sildenafil 50 MG Oral Tablet [Viagra]", "50 mg");
        let stronger = drug("312951", "33333333333", "sildenafil 100 MG Oral Tablet", "100 MG");
        assert!(same_drug(&generic, &brand) && same_drug(&brand, &generic));
        assert!(!same_drug(&generic, &stronger));
        assert!(!same_drug(&generic, &sertraline("50 MG")));
        let unknown = |rxnorm, ndc| drug(rxnorm, ndc, "unheardof", "50 MG");
        assert!(!same_drug(&unknown("7", "44444444444"), &unknown("8", "55555555555")));
        assert!(same_drug(&unknown("7", "44444444444"), &unknown("7", "55555555555")));
    }

    #[test]
    fn a_year_is_twelve_fills_counted_from_the_first() {
        let year = schedule(at("2027-01-31T08:00:00Z"), 12);
        assert_eq!(year.len(), 12);
        assert_eq!(year[1], at("2027-02-28T08:00:00Z"));
        assert_eq!(year[2], at("2027-03-31T08:00:00Z"));
        assert_eq!(schedule(at("2027-01-31T08:00:00Z"), 0).len(), 1);
    }

    #[test]
    fn a_long_supply_takes_the_months_that_it_lasts() {
        for (days, months) in [(1, 1), (28, 1), (30, 1), (40, 1), (60, 2), (90, 3), (100, 3)] {
            assert_eq!(months_covered(days), months, "{days}");
        }
    }

    proptest! {
        #[test]
        fn a_monthly_fill_that_lasts_a_month_is_never_too_soon(days in 28u16..=30, month in 0u32..24) {
            let paid = at("2026-01-31T10:00:00Z") + Months::new(month);
            let planned = schedule(paid, 2);
            let supply = Supply { medication: sertraline("50 MG"), days, at: planned[0] };
            prop_assert!(supply.refillable_from() <= planned[1]);
        }
    }
}
