use ::subscriptions::{
    Approvals, BillingInterval, PatientZones, PriceTerms, Prices, Tier,
    access::{Offer, OfferedPrice, Offers, highest_tier},
};
use async_trait::async_trait;
use care::Reach;
use chrono_tz::Tz;
use kernel::{Actor, AssessmentId, CategoryId, PatientId, PriceId};
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
            // What is paid once is over after its months, and a subscription renews;
            // so it is not sold as one.
            on_sale: priced.offered && priced.interval.is_recurring(),
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
            // What is paid once is not sold as a subscription.
            for price in plan.offered_prices().filter(|price| price.interval.is_recurring()) {
                let months = u32::from(price.interval.months());
                let interval = BillingInterval::of_months(months)
                    .map_err(|error| PortError::internal("a price's interval", error))?;
                prices.push(OfferedPrice { price: price.id, interval, amount: price.amount });
            }
            offers.push(Offer {
                plan: plan.id,
                category: plan.category,
                category_name: category.name,
                tier: tier(plan.tier),
                features: plan.features,
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
