use ::billing::{
    invoice::{Party, Period},
    outside::{BillablePeriod, Catalogue, Customers, Subscriptions},
};
use async_trait::async_trait;
use kernel::{Actor, PatientId, SubscriptionId};
use ports::Result;
use subscriptions::Subscription;

use super::{Bridges, crossing};

impl Bridges {
    pub(super) async fn subscription(
        &self,
        purpose: &'static str,
        id: SubscriptionId,
    ) -> Result<Option<Subscription>> {
        let mut tx = self.subscriptions.begin(&Actor::system(purpose)).await?;
        tx.find(id).await
    }
}

#[async_trait]
impl Catalogue for Bridges {
    async fn period(
        &self,
        subscription: SubscriptionId,
        index: u32,
    ) -> Result<Option<BillablePeriod>> {
        let Some(found) = self.subscription("billing.period", subscription).await? else {
            return Ok(None);
        };
        if index > found.period.index {
            return Ok(None);
        }
        let period = subscriptions::Period::of(found.anchor, found.zone, found.interval, index)
            .map_err(|error| crossing("a subscription's period", error))?;
        Ok(Some(BillablePeriod {
            subscription,
            patient: found.patient,
            category: found.category,
            plan_name: found.plan_name.clone(),
            price: found.amount,
            period: Period { start: period.start, end: period.end, zone: found.zone },
        }))
    }
}

#[async_trait]
impl Customers for Bridges {
    async fn bill_to(&self, patient: PatientId) -> Result<Option<Party>> {
        let Some(profile) = self.profile("billing.bill_to", patient).await? else {
            return Ok(None);
        };
        let contact = identity::directory::contact(&self.identity, patient.account())
            .await
            .map_err(|error| crossing("a contact", error))?;
        Ok(Some(Party {
            name: profile.name.to_string(),
            address: Some(profile.address),
            email: Some(contact.email.to_string()),
            tax_id: None,
        }))
    }
}

#[async_trait]
impl Subscriptions for Bridges {
    async fn has_live_subscription(&self, patient: PatientId) -> Result<bool> {
        let mut tx = self.subscriptions.begin(&Actor::system("billing.live")).await?;
        let all = tx.subscriptions_of(patient).await?;
        Ok(all.iter().any(|subscription| !subscription.is_canceled()))
    }
}
