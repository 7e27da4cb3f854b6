use ::subscriptions::{
    Approvals, BillingInterval, PatientZones, PaymentMethods, PriceTerms, Prices, Supply, Tier,
    access::{Offer, OfferedPrice, Offers, highest_tier},
};
use async_trait::async_trait;
use care::Assessment;
use chrono_tz::Tz;
use kernel::{Actor, AssessmentId, CategoryId, DoseForm, PatientId, PriceId, TreatedWith};
use pharmacy::{
    dispatch::supply::{PlannedFills, months_left},
    safety::Formulary,
};
use ports::{PortError, Result};
use rest::core::{CallerTier, Tiers};

use super::{Bridges, absent_or};

#[async_trait]
impl Approvals for Bridges {
    async fn approved(
        &self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<AssessmentId>> {
        let mut tx = self.care.begin(&Actor::system("subscriptions.approvals")).await?;
        let assessments = tx.assessments(patient).await?;
        Ok(Assessment::approval_in_force(&assessments, category))
    }

    async fn supply(&self, patient: PatientId, category: CategoryId) -> Result<Supply> {
        let actor = Actor::system("subscriptions.supply");
        let mut tx = self.care.begin(&actor).await?;
        let Some(plan) = tx.active_plan(patient, category).await? else {
            return Ok(Supply::NoPlan);
        };
        drop(tx);
        let treatment = &plan.current().treatment;
        let fills = PlannedFills {
            plan: plan.id,
            version: plan.current().number,
            fills: treatment.refills + 1,
            days: u16::try_from(treatment.duration_days).unwrap_or(u16::MAX),
        };
        let mut tx = self.fulfilment.begin(&actor).await?;
        Ok(match months_left(tx.as_mut(), (patient, category), fills).await? {
            0 => Supply::NoFillLeft,
            months => Supply::Months(months),
        })
    }

    async fn treated(
        &self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<TreatedWith>> {
        let mut tx = self.care.begin(&Actor::system("subscriptions.treated")).await?;
        let Some(plan) = tx.active_plan(patient, category).await? else { return Ok(None) };
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

    async fn is_stopped(&self, patient: PatientId, category: CategoryId) -> Result<bool> {
        self.treatment_stopped(patient, category).await
    }
}

#[async_trait]
impl PaymentMethods for Bridges {
    async fn has_default(&self, patient: PatientId) -> Result<bool> {
        let mut tx = self.billing.begin(&Actor::system("subscriptions.payment_methods")).await?;
        let methods = tx.payment_methods(patient).await?;
        Ok(methods.iter().any(|method| method.is_default && method.is_active()))
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
            let found: Option<catalog::Category> = tx.find(plan.category).await?;
            let Some(category) = found else { continue };
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
