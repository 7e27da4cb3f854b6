//! Which invoices of subscriptions are known to be paid.

use kernel::{InvoiceId, SubscriptionId};
use ports::Result;
use sea_orm::entity::prelude::*;

use pg::{PgTx, db};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subscription_paid_invoices")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub invoice_id: InvoiceId,
    pub subscription_id: SubscriptionId,
    pub noted_at: ChronoDateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub async fn note(tx: &mut PgTx, subscription: SubscriptionId, invoice: InvoiceId) -> Result<()> {
    let now = tx.now();
    tx.execute(
        "noting a paid invoice",
        "INSERT INTO subscription_paid_invoices (invoice_id, subscription_id, noted_at) \
         VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        [invoice.into(), subscription.into(), now.into()],
    )
    .await
    .map(drop)
}

pub async fn is_noted(tx: &PgTx, invoice: InvoiceId) -> Result<bool> {
    let row = Entity::find_by_id(invoice).one(tx.read()).await;
    Ok(row.map_err(|error| db("looking for a paid invoice", error))?.is_some())
}
