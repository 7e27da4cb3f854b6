//! The store of subscriptions.

mod history;
mod missed;
mod paid_invoices;
mod subscriptions;

use ::subscriptions::{Change, Subscription, SubscriptionsTx, missed::MissedPeriod};
use async_trait::async_trait;
use kernel::{CategoryId, InvoiceId, Page, PageRequest, PatientId, SubscriptionId};
use ports::Result;

pg::store!(Tx { Subscription => subscriptions::Model });

#[async_trait]
impl SubscriptionsTx for Tx {
    async fn live_in_category(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<Subscription>> {
        subscriptions::live(self, patient, category).await
    }

    async fn subscriptions_of(&mut self, patient: PatientId) -> Result<Vec<Subscription>> {
        subscriptions::of_patient(self, patient).await
    }

    async fn add_change(&mut self, subscription: &Subscription, change: &Change) -> Result<()> {
        history::add(self, subscription, change).await
    }

    async fn subscription_history(&mut self, id: SubscriptionId) -> Result<Vec<Change>> {
        history::of(self, id).await
    }

    async fn add_missed_period(&mut self, missed: &MissedPeriod) -> Result<()> {
        missed::add(self, missed).await
    }

    async fn missed_period(
        &mut self,
        subscription: SubscriptionId,
        index: u32,
    ) -> Result<Option<MissedPeriod>> {
        missed::one(self, subscription, index).await
    }

    async fn missed_periods(&mut self, page: &PageRequest) -> Result<Page<MissedPeriod>> {
        missed::open(self, page).await
    }

    async fn decide_missed_period(&mut self, missed: &MissedPeriod) -> Result<()> {
        missed::decide(self, missed).await
    }

    async fn note_paid_invoice(
        &mut self,
        subscription: SubscriptionId,
        invoice: InvoiceId,
    ) -> Result<()> {
        paid_invoices::note(self, subscription, invoice).await
    }

    async fn is_paid_invoice(&mut self, invoice: InvoiceId) -> Result<bool> {
        paid_invoices::is_noted(self, invoice).await
    }
}

/// A count as PostgreSQL has it. No calendar has as many periods or months as would not
/// fit.
fn stored(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
