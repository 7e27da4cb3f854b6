//! What goes over the wire of subscriptions.

use api::{Amount, FeatureView, Text};
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{FieldError, Money, Uuid, text::TermsVersion};
use poem_openapi::{Enum, Object, types::Example};
use subscriptions::{
    Change, StartSubscription, Subscription, SubscriptionError, subscription::CancelWhen,
};

/// The express consent to automatic renewal.
#[derive(Clone, Debug, Object)]
pub struct RenewalConsent {
    /// The patient accepted the terms that were shown beside the button.
    pub accepted: bool,
    /// The version of the terms that were shown.
    pub terms_version: Text<TermsVersion>,
    /// The amount per period that was shown; another one than the price asks
    /// for is refused, because the patient has not agreed to it.
    pub amount: Amount,
}

/// Starts a subscription.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct StartSubscriptionRequest {
    /// A price of the catalogue; it decides plan, category and interval.
    pub price_id: Uuid,
    pub consent: RenewalConsent,
}

impl Example for StartSubscriptionRequest {
    fn example() -> Self {
        Self {
            price_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
            consent: RenewalConsent {
                accepted: true,
                terms_version: "2026-01".into(),
                amount: Amount { minor: 2500, currency: "USD".into() },
            },
        }
    }
}

impl StartSubscriptionRequest {
    pub(super) fn parse(self) -> Result<StartSubscription, SubscriptionError> {
        let currency = self.consent.amount.currency.parse().map_err(|_| {
            SubscriptionError::ConsentMissing(vec![FieldError::new(
                "consent.amount.currency",
                "unknown",
                "The currency is not supported.",
            )])
        })?;
        Ok(StartSubscription {
            price: self.price_id.into(),
            consent_accepted: self.consent.accepted,
            terms_version: self.consent.terms_version.into(),
            amount_shown: Money::new(self.consent.amount.minor, currency),
        })
    }
}

/// A subscription.
#[derive(Clone, Debug, Object)]
pub struct SubscriptionView {
    pub id: Uuid,
    pub patient_id: Uuid,
    pub category_id: Uuid,
    pub plan_id: Uuid,
    pub plan_name: String,
    pub price_id: Uuid,
    /// The version of the plan's terms that was bought and is kept.
    pub price_version: i32,
    /// The amount per period.
    pub amount: Amount,
    pub interval_months: u32,
    pub status: subscriptions::StateWord,
    /// The day on which it began, in the patient's zone; periods begin on this
    /// day of the month, or on the last one of a shorter month.
    pub anchor_day: NaiveDate,
    /// The patient's time zone, as in `America/New_York`.
    pub time_zone: String,
    /// The first period has the index 0.
    pub period_index: u32,
    pub current_period_start: DateTime<Utc>,
    /// The first moment after the period.
    pub current_period_end: DateTime<Utc>,
    /// It ends with its current period.
    pub cancel_at_period_end: bool,
    pub consent_terms_version: String,
    pub consent_accepted_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
}

impl From<Subscription> for SubscriptionView {
    fn from(subscription: Subscription) -> Self {
        Self {
            id: subscription.id.uuid(),
            patient_id: subscription.patient.uuid(),
            category_id: subscription.category.uuid(),
            plan_id: subscription.plan.uuid(),
            plan_name: subscription.plan_name,
            price_id: subscription.price.uuid(),
            price_version: subscription.price_version,
            amount: subscription.amount.into(),
            interval_months: subscription.interval.months(),
            status: subscription.state.word(),
            anchor_day: subscription.anchor,
            time_zone: subscription.zone.name().to_owned(),
            period_index: subscription.period.index,
            current_period_start: subscription.period.start,
            current_period_end: subscription.period.end,
            cancel_at_period_end: subscription.cancel_at_period_end,
            consent_terms_version: subscription.consent.terms_version,
            consent_accepted_at: subscription.consent.accepted_at,
            created_at: subscription.created_at,
        }
    }
}

/// A patient's subscriptions, the newest first.
#[derive(Debug, Object)]
pub struct SubscriptionsView {
    pub subscriptions: Vec<SubscriptionView>,
}

/// What a subscription unlocks.
#[derive(Debug, Object)]
pub struct SubscriptionFeaturesView {
    pub subscription_id: Uuid,
    pub status: subscriptions::StateWord,
    /// Whether the features are open to the subscriber now. They stay open
    /// while a failed payment is being tried again.
    pub entitled: bool,
    /// `basic`, `standard` or `premium`: the tier of the plan as it was bought.
    pub tier: String,
    /// The features of the plan as it was bought.
    pub features: Vec<FeatureView>,
    pub current_period_end: DateTime<Utc>,
}

impl SubscriptionFeaturesView {
    pub(super) fn at(now: DateTime<Utc>, subscription: Subscription) -> Self {
        Self {
            subscription_id: subscription.id.uuid(),
            status: subscription.state.word(),
            tier: subscription.tier.to_string(),
            entitled: subscription.entitles(now),
            features: subscription.features.into_iter().map(Into::into).collect(),
            current_period_end: subscription.period.end,
        }
    }
}

/// When a cancellation takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum CancellationTime {
    Now,
    /// With the period that is paid; one that was not paid for, or is overdue,
    /// ends at once.
    PeriodEnd,
}

impl From<CancellationTime> for CancelWhen {
    fn from(time: CancellationTime) -> Self {
        match time {
            CancellationTime::Now => Self::Now,
            CancellationTime::PeriodEnd => Self::PeriodEnd,
        }
    }
}

/// Cancels a subscription. Nothing else is asked: canceling is as easy as
/// signing up.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CancelSubscriptionRequest {
    pub when: CancellationTime,
}

impl Example for CancelSubscriptionRequest {
    fn example() -> Self {
        Self { when: CancellationTime::PeriodEnd }
    }
}

/// One line of a subscription's history.
#[derive(Debug, Object)]
pub struct SubscriptionChangeView {
    pub at: DateTime<Utc>,
    /// Absent on the line with which it began.
    pub from: Option<subscriptions::StateWord>,
    pub to: subscriptions::StateWord,
    /// A stable word, as in `first_invoice_paid`.
    pub reason: String,
    pub period_index: u32,
    /// `account` or `system`.
    pub actor_kind: String,
    pub actor_id: Option<Uuid>,
}

impl From<Change> for SubscriptionChangeView {
    fn from(change: Change) -> Self {
        Self {
            at: change.at,
            from: change.from,
            to: change.to,
            reason: change.reason.to_string(),
            period_index: change.period_index,
            actor_kind: change.actor_kind,
            actor_id: change.actor.map(|account| account.uuid()),
        }
    }
}

/// A subscription's history, the oldest line first.
#[derive(Debug, Object)]
pub struct SubscriptionHistoryView {
    pub changes: Vec<SubscriptionChangeView>,
}
