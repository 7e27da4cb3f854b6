//! Subscriptions, and which of their periods have begun.

use ::subscriptions::{BillingInterval, Consent, Period, State, StateWord, Subscription, Tier};
use async_trait::async_trait;
use kernel::{
    Actor, AssessmentId, CategoryId, InvoiceId, Money, PatientId, Permission, PlanId, PriceId,
    SubscriptionId,
};
use ports::Result;
use sea_orm::{Condition, QueryOrder as _, entity::prelude::*};
use serde_json::json;

use super::stored;
use pg::{PgTx, Row, Unreadable, reach, reached};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subscriptions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SubscriptionId,
    pub patient_id: PatientId,
    pub category_id: CategoryId,
    pub assessment_id: AssessmentId,
    pub plan_id: PlanId,
    pub price_id: PriceId,
    pub price_version: i32,
    pub plan_name: String,
    pub amount_minor: i64,
    #[sea_orm(column_type = "Char(Some(3))")]
    pub currency: String,
    pub interval_months: i32,
    pub tier: Tier,
    pub features: Json,
    /// JSON; none where nothing was kept.
    pub covers: Option<Vec<u8>>,
    pub zone: String,
    pub anchor_day: ChronoDate,
    pub consent_terms_version: String,
    pub consent_amount_minor: i64,
    #[sea_orm(column_type = "Char(Some(3))")]
    pub consent_currency: String,
    pub consent_interval_months: i32,
    pub consent_accepted_at: ChronoDateTimeUtc,
    pub consent_ip: Option<String>,
    pub consent_user_agent: Option<String>,
    pub state: StateWord,
    pub state_since: ChronoDateTimeUtc,
    pub failed_invoice_id: Option<InvoiceId>,
    pub period_index: i32,
    pub period_start: ChronoDateTimeUtc,
    pub period_end: ChronoDateTimeUtc,
    pub cancel_at_period_end: bool,
    pub created_at: ChronoDateTimeUtc,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn money(minor: i64, currency: &str) -> Result<Money, Unreadable> {
    Ok(Money::new(minor, currency.parse()?))
}

fn interval(months: i32) -> Result<BillingInterval, Unreadable> {
    Ok(BillingInterval::of_months(months.try_into()?)?)
}

#[async_trait]
impl Row for Model {
    type Aggregate = Subscription;

    const SEALED: &'static [Column] = &[Column::Covers];
    const UNTOLD: &'static [Column] = &[Column::ConsentIp, Column::ConsentUserAgent];

    fn open(self) -> Result<Subscription, Unreadable> {
        let since = self.state_since;
        let state = match (self.state, self.failed_invoice_id) {
            (StateWord::Pending, _) => State::Pending,
            (StateWord::Active, _) => State::Active { since },
            (StateWord::Paused, _) => State::Paused { since },
            (StateWord::PastDue, Some(invoice)) => State::PastDue { since, invoice },
            (StateWord::PastDue, None) => return Err("it is past due and names no invoice".into()),
            (StateWord::Canceled, _) => State::Canceled { at: since },
        };
        let covers = self.covers.as_deref().map(serde_json::from_slice).transpose()?;
        Ok(Subscription {
            id: self.id,
            patient: self.patient_id,
            category: self.category_id,
            assessment: self.assessment_id,
            plan: self.plan_id,
            price: self.price_id,
            price_version: self.price_version,
            plan_name: self.plan_name,
            amount: money(self.amount_minor, &self.currency)?,
            interval: interval(self.interval_months)?,
            tier: self.tier,
            features: serde_json::from_value(self.features)?,
            covers: covers.unwrap_or_default(),
            zone: self.zone.parse()?,
            anchor: self.anchor_day,
            consent: Consent {
                terms_version: self.consent_terms_version,
                amount: money(self.consent_amount_minor, &self.consent_currency)?,
                interval: interval(self.consent_interval_months)?,
                accepted_at: self.consent_accepted_at,
                ip: self.consent_ip,
                user_agent: self.consent_user_agent,
            },
            state,
            period: Period {
                index: self.period_index.try_into()?,
                start: self.period_start,
                end: self.period_end,
            },
            cancel_at_period_end: self.cancel_at_period_end,
            created_at: self.created_at,
            version: self.version,
        })
    }

    fn close(subscription: &Subscription) -> Self {
        let Subscription { amount, covers, consent, period, .. } = subscription;
        let (state_since, failed_invoice_id) = match subscription.state {
            State::Pending => (subscription.created_at, None),
            State::Active { since } | State::Paused { since } => (since, None),
            State::PastDue { since, invoice } => (since, Some(invoice)),
            State::Canceled { at } => (at, None),
        };
        Self {
            id: subscription.id,
            patient_id: subscription.patient,
            category_id: subscription.category,
            assessment_id: subscription.assessment,
            plan_id: subscription.plan,
            price_id: subscription.price,
            price_version: subscription.price_version,
            plan_name: subscription.plan_name.clone(),
            amount_minor: amount.minor,
            currency: amount.currency.code().to_owned(),
            interval_months: stored(subscription.interval.months()),
            tier: subscription.tier,
            features: json!(subscription.features),
            covers: (!covers.is_empty()).then(|| json!(covers).to_string().into_bytes()),
            zone: subscription.zone.name().to_owned(),
            anchor_day: subscription.anchor,
            consent_terms_version: consent.terms_version.clone(),
            consent_amount_minor: consent.amount.minor,
            consent_currency: consent.amount.currency.code().to_owned(),
            consent_interval_months: stored(consent.interval.months()),
            consent_accepted_at: consent.accepted_at,
            consent_ip: consent.ip.clone(),
            consent_user_agent: consent.user_agent.clone(),
            state: subscription.state.word(),
            state_since,
            failed_invoice_id,
            period_index: stored(period.index),
            period_start: period.start,
            period_end: period.end,
            cancel_at_period_end: subscription.cancel_at_period_end,
            created_at: subscription.created_at,
            version: subscription.version,
        }
    }

    fn reach(actor: &Actor) -> Condition {
        reach(actor, Column::PatientId, Permission::SubscriptionReadAny)
    }

    /// The row of the current period, which is never read with the subscription.
    async fn save_parts(tx: &mut PgTx, subscription: &Subscription) -> Result<()> {
        let period = subscription.period;
        tx.execute(
            "recording a subscription's period",
            "INSERT INTO subscription_periods \
             (subscription_id, period_index, patient_id, starts_at, ends_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            [
                subscription.id.into(),
                stored(period.index).into(),
                subscription.patient.into(),
                period.start.into(),
                period.end.into(),
            ],
        )
        .await
        .map(drop)
    }
}

pub async fn live(
    tx: &PgTx,
    patient: PatientId,
    category: CategoryId,
) -> Result<Option<Subscription>> {
    let found = reached::<Model>(tx)
        .filter(Column::PatientId.eq(patient))
        .filter(Column::CategoryId.eq(category))
        .filter(Column::State.ne(StateWord::Canceled));
    Ok(Model::load(tx, found).await?.pop())
}

pub async fn of_patient(tx: &PgTx, patient: PatientId) -> Result<Vec<Subscription>> {
    let found = reached::<Model>(tx).filter(Column::PatientId.eq(patient));
    Model::load(tx, found.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id)).await
}
