use ::subscriptions::{Approvals, BillingInterval, PatientZones, PriceTerms, Prices};
use async_trait::async_trait;
use care::Reach;
use chrono_tz::Tz;
use kernel::{Actor, AssessmentId, CategoryId, PatientId, PriceId};
use ports::{PortError, Result};

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
            features: priced.features,
            // What is paid once is over after its months, and a subscription renews;
            // so it is not sold as one.
            on_sale: priced.offered && priced.interval.is_recurring(),
        }))
    }
}

#[async_trait]
impl PatientZones for Bridges {
    async fn zone(&self, patient: PatientId) -> Result<Option<Tz>> {
        Ok(self.profile("subscriptions.zone", patient).await?.map(|profile| profile.time_zone))
    }
}
