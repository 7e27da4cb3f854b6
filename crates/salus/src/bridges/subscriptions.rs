use std::collections::BTreeMap;

use ::subscriptions::{
    Approvals, BillingInterval, PatientZones, PriceTerms, Prices, Supply, Tier,
    access::{Offer, OfferedPrice, Offers, highest_tier},
};
use async_trait::async_trait;
use care::Reach;
use chrono_tz::Tz;
use kernel::{
    Actor, AssessmentId, CategoryId, DoseForm, InvoiceId, PageRequest, PatientId, PriceId,
    TreatedWith,
};
use pharmacy::{
    dispatch::supply::months_covered,
    prescription::{PrescriptionReach, PrescriptionState},
    safety::Formulary,
};
use ports::{PortError, Result};
use rest::core::{CallerTier, Tiers};

use super::{Bridges, absent_or};

#[async_trait]
impl Approvals for Bridges {
    /// The newest assessment that says either decides: an approval that a
    /// later refusal followed is no longer in force.
    async fn approved(
        &self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<AssessmentId>> {
        let mut tx = self.care.begin(&Actor::system("subscriptions.approvals")).await?;
        let assessments = tx.assessments(patient, &Reach::All).await?;
        Ok(assessments
            .into_iter()
            .filter(|assessment| assessment.category == category)
            .find_map(|assessment| Some((assessment.approves()?, assessment.id)))
            .and_then(|(approves, id)| approves.then_some(id)))
    }

    /// For how many months the fills of the active plan last that are neither
    /// sent out nor paid for. A plan whose prescription is not written yet has
    /// all of them.
    async fn supply(&self, patient: PatientId, category: CategoryId) -> Result<Supply> {
        let actor = Actor::system("subscriptions.supply");
        let mut tx = self.care.begin(&actor).await?;
        let Some(id) = tx.active_plan(patient, category).await? else {
            return Ok(Supply::NoPlan);
        };
        let Some(plan) = tx.plan(id, &Reach::All).await? else { return Ok(Supply::NoPlan) };
        drop(tx);
        let mut tx = self.fulfilment.begin(&actor).await?;
        let written = match tx.open_prescription(id).await? {
            Some(open) => {
                let taken = count(tx.fill_numbers(open.id).await?.len());
                let on_the_way = taken.saturating_sub(u32::from(open.fills_used));
                let left = u32::from(open.remaining_fills()).saturating_sub(on_the_way);
                Some((left, open.dosing.days_supply))
            }
            None => {
                // A prescription that is used up ends its plan in a moment.
                let reach = PrescriptionReach::Patient(patient);
                let page = PageRequest::new(Some(PageRequest::MAX_LIMIT), None);
                let last = tx.prescriptions(reach, &page).await?;
                let used_up = last.items.iter().any(|one| {
                    // A later version, as the next step of a titration, has
                    // fills of its own.
                    one.treatment_plan == id
                        && one.plan_version >= plan.current().number
                        && matches!(one.state, PrescriptionState::Completed { .. })
                });
                if used_up {
                    return Ok(Supply::NoFillLeft);
                }
                None
            }
        };
        let treatment = &plan.current().treatment;
        let (left, days) = written.unwrap_or_else(|| {
            (treatment.refills + 1, u16::try_from(treatment.duration_days).unwrap_or(u16::MAX))
        });
        // An invoice pays by the month, and a fill may serve several months of
        // one invoice.
        let mut paid: BTreeMap<InvoiceId, u32> = BTreeMap::new();
        for fill in tx.open_fills(patient, category).await? {
            *paid.entry(fill.invoice).or_default() += 1;
        }
        let months = months_covered(days);
        let paid: u32 = paid.values().map(|open| open.div_ceil(months)).sum();
        Ok(match left.saturating_sub(paid) {
            0 => Supply::NoFillLeft,
            fills => Supply::Months(fills.saturating_mul(months)),
        })
    }

    async fn treated(
        &self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<TreatedWith>> {
        let mut tx = self.care.begin(&Actor::system("subscriptions.treated")).await?;
        let Some(id) = tx.active_plan(patient, category).await? else { return Ok(None) };
        let Some(plan) = tx.plan(id, &Reach::All).await? else { return Ok(None) };
        let treatment = &plan.current().treatment;
        let medication = &treatment.medication;
        let steps = treatment.titration.iter().flat_map(|titration| &titration.steps);
        let doses = std::iter::once(treatment.dose.value).chain(steps.map(|step| step.dose));
        Ok(Some(TreatedWith {
            drugs: Formulary::shipped().drugs_of(&medication.rxnorm, &medication.display),
            form: DoseForm::of_name(&medication.display),
            doses: Some((treatment.dose.unit.clone(), doses.collect())),
        }))
    }
}

#[async_trait]
impl Prices for Bridges {
    async fn price(&self, price: PriceId) -> Result<Option<PriceTerms>> {
        let actor = Actor::system("subscriptions.prices");
        let found = catalog::price(&self.env, self.catalog.as_ref(), &actor, price).await;
        let Some(priced) = absent_or("a price", found)? else { return Ok(None) };
        let interval = BillingInterval::of_months(u32::from(priced.interval.months()))
            .map_err(|error| PortError::internal("a price's interval", error))?;
        Ok(Some(PriceTerms {
            price: priced.price,
            plan: priced.plan,
            category: priced.category,
            version: i32::try_from(priced.plan_version).unwrap_or(i32::MAX),
            plan_name: priced.plan_name,
            amount: priced.amount,
            interval,
            tier: tier(priced.tier),
            features: priced.features,
            treatments: priced.treatments,
            renews: priced.interval.is_recurring(),
            on_sale: priced.offered,
        }))
    }
}

#[async_trait]
impl Offers for Bridges {
    async fn offers(&self, category: Option<CategoryId>) -> Result<Vec<Offer>> {
        let actor = Actor::system("subscriptions.offers");
        let mut tx = self.catalog.begin(&actor).await?;
        let filter = catalog::PlanFilter { category, offered_at: Some(self.env.now()) };
        let mut offers = Vec::new();
        for plan in tx.plans(filter).await? {
            let Some(category) = tx.category(plan.category).await? else { continue };
            let mut prices = Vec::new();
            for price in plan.offered_prices() {
                let months = u32::from(price.interval.months());
                let interval = BillingInterval::of_months(months)
                    .map_err(|error| PortError::internal("a price's interval", error))?;
                prices.push(OfferedPrice {
                    price: price.id,
                    interval,
                    amount: price.amount,
                    renews: price.interval.is_recurring(),
                });
            }
            offers.push(Offer {
                plan: plan.id,
                category: plan.category,
                category_name: category.name,
                tier: tier(plan.tier),
                features: plan.features,
                treatments: plan.treatments,
                prices,
                name: plan.name,
            });
        }
        Ok(offers)
    }
}

fn count(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}

fn tier(tier: catalog::Tier) -> Tier {
    match tier {
        catalog::Tier::Basic => Tier::Basic,
        catalog::Tier::Standard => Tier::Standard,
        catalog::Tier::Premium => Tier::Premium,
    }
}

#[async_trait]
impl Tiers for Bridges {
    async fn tier(&self, patient: PatientId) -> Result<CallerTier> {
        let highest = highest_tier(&self.env, self.subscriptions.as_ref(), patient).await?;
        Ok(match highest {
            None => CallerTier::Free,
            Some(Tier::Basic) => CallerTier::Basic,
            Some(Tier::Standard) => CallerTier::Standard,
            Some(Tier::Premium) => CallerTier::Premium,
        })
    }
}

#[async_trait]
impl PatientZones for Bridges {
    async fn zone(&self, patient: PatientId) -> Result<Option<Tz>> {
        Ok(self.profile("subscriptions.zone", patient).await?.map(|profile| profile.time_zone))
    }
}
