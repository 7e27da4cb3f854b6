//! The store of subscriptions.

mod entities;
mod mapping;
mod missed;

use async_trait::async_trait;
use kernel::{
    CategoryId, InvoiceId, Page, PageRequest, PatientId, Permission, SubscriptionId,
};

pg::store!(Tx {});

use ports::Result;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::OnConflict,
};
use subscriptions::{
    Change, Subscription, SubscriptionsTx, missed::MissedPeriod,
};

use self::entities::{change, paid_invoice, period, subscription};
use pg::{db, expect_changed, reach};

#[async_trait]
impl SubscriptionsTx for Tx {
    async fn subscription(&mut self, id: SubscriptionId) -> Result<Option<Subscription>> {
        let scope =
            reach(self.actor(), subscription::Column::PatientId, Permission::SubscriptionReadAny);
        let row = subscription::Entity::find_by_id(id.uuid())
            .filter(scope)
            .one(self.read())
            .await
            .map_err(|error| db("loading a subscription", error))?;
        row.map(|row| mapping::subscription(self, row)).transpose()
    }

    async fn lock_subscription(&mut self, id: SubscriptionId) -> Result<Option<Subscription>> {
        let scope =
            reach(self.actor(), subscription::Column::PatientId, Permission::SubscriptionReadAny);
        let row = subscription::Entity::find_by_id(id.uuid())
            .filter(scope)
            .lock_exclusive()
            .one(self.read())
            .await
            .map_err(|error| db("locking a subscription", error))?;
        row.map(|row| mapping::subscription(self, row)).transpose()
    }

    async fn live_in_category(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<SubscriptionId>> {
        let scope =
            reach(self.actor(), subscription::Column::PatientId, Permission::SubscriptionReadAny);
        let row = subscription::Entity::find()
            .filter(scope)
            .filter(subscription::Column::PatientId.eq(patient.uuid()))
            .filter(subscription::Column::CategoryId.eq(category.uuid()))
            .filter(subscription::Column::State.ne("canceled"))
            .one(self.read())
            .await
            .map_err(|error| db("looking for a live subscription", error))?;
        Ok(row.map(|row| row.id.into()))
    }

    async fn subscriptions_of(&mut self, patient: PatientId) -> Result<Vec<Subscription>> {
        let scope =
            reach(self.actor(), subscription::Column::PatientId, Permission::SubscriptionReadAny);
        let rows = subscription::Entity::find()
            .filter(scope)
            .filter(subscription::Column::PatientId.eq(patient.uuid()))
            .order_by_desc(subscription::Column::CreatedAt)
            .order_by_desc(subscription::Column::Id)
            .all(self.read())
            .await
            .map_err(|error| db("listing a patient's subscriptions", error))?;
        rows.into_iter().map(|row| mapping::subscription(self, row)).collect()
    }

    async fn add_subscription(
        &mut self,
        subscription: &Subscription,
        change: &Change,
    ) -> Result<()> {
        let row = mapping::subscription_row(self, subscription, 1)?;
        subscription::Entity::insert(row)
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("adding a subscription", error))?;
        self.add_change(subscription, change).await
    }

    async fn save_subscription(
        &mut self,
        subscription: &Subscription,
        change: &Change,
    ) -> Result<()> {
        let version = subscription.version;
        let row = mapping::subscription_row(self, subscription, version + 1)?;
        let updated = subscription::Entity::update_many()
            .set(row)
            .filter(subscription::Column::Id.eq(subscription.id.uuid()))
            .filter(subscription::Column::Version.eq(version))
            .exec(self.write())
            .await
            .map_err(|error| db("saving a subscription", error))?;
        expect_changed(updated.rows_affected, "subscriptions.version")?;
        self.add_change(subscription, change).await
    }

    async fn subscription_history(&mut self, id: SubscriptionId) -> Result<Vec<Change>> {
        let scope = reach(self.actor(), change::Column::PatientId, Permission::SubscriptionReadAny);
        let rows = change::Entity::find()
            .filter(scope)
            .filter(change::Column::SubscriptionId.eq(id.uuid()))
            .order_by_asc(change::Column::Seq)
            .all(self.read())
            .await
            .map_err(|error| db("reading a subscription's history", error))?;
        rows.into_iter().map(mapping::change).collect()
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
        let row = paid_invoice::ActiveModel {
            invoice_id: Set(invoice.uuid()),
            subscription_id: Set(subscription.uuid()),
            noted_at: Set(self.now()),
        };
        paid_invoice::Entity::insert(row)
            .on_conflict(
                OnConflict::column(paid_invoice::Column::InvoiceId).do_nothing().to_owned(),
            )
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("noting a paid invoice", error))?;
        Ok(())
    }

    async fn is_paid_invoice(&mut self, invoice: InvoiceId) -> Result<bool> {
        let row = paid_invoice::Entity::find_by_id(invoice.uuid())
            .one(self.read())
            .await
            .map_err(|error| db("looking for a paid invoice", error))?;
        Ok(row.is_some())
    }
}

impl Tx {
    /// Adds to a subscription's history, and records its period once.
    async fn add_change(&mut self, subscription: &Subscription, change: &Change) -> Result<()> {
        change::Entity::insert(mapping::change_row(subscription, change)?)
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("adding to a subscription's history", error))?;
        period::Entity::insert(mapping::period_row(subscription)?)
            .on_conflict(
                OnConflict::columns([period::Column::SubscriptionId, period::Column::PeriodIndex])
                    .do_nothing()
                    .to_owned(),
            )
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("recording a subscription's period", error))?;
        Ok(())
    }
}
