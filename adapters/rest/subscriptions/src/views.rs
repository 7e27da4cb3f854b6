//! What goes over the wire of subscriptions.

use api::{Amount, FeatureView, Mirror, Result, Text};
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    AccountId, CategoryId, FieldError, Money, PatientId, PlanId, PriceId, SubscriptionId, Uuid,
    text::TermsVersion,
};
use poem_openapi::Object;
use subscriptions::{
    Change, StartSubscription, StateWord, Subscription, SubscriptionError, subscription::CancelWhen,
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
    pub price_id: PriceId,
    pub consent: RenewalConsent,
}

api::example!(StartSubscriptionRequest {
    price_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001).into(),
    consent: RenewalConsent {
        accepted: true,
        terms_version: "2026-01".into(),
        amount: Amount { minor: 2500, currency: "USD".into() },
    },
});

impl StartSubscriptionRequest {
    pub(super) fn parse(self) -> Result<StartSubscription, SubscriptionError> {
        let message = "The currency is not supported.";
        let unknown = FieldError::new("consent.amount.currency", "unknown", message);
        let currency = self.consent.amount.currency.parse();
        let currency = currency.map_err(|_| SubscriptionError::ConsentMissing(vec![unknown]))?;
        Ok(StartSubscription {
            price: self.price_id,
            consent_accepted: self.consent.accepted,
            terms_version: self.consent.terms_version.into(),
            amount_shown: Money::new(self.consent.amount.minor, currency),
        })
    }
}

/// A subscription.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = Subscription)]
pub struct SubscriptionView {
    pub id: SubscriptionId,
    pub patient_id: PatientId,
    pub category_id: CategoryId,
    pub plan_id: PlanId,
    pub plan_name: String,
    pub price_id: PriceId,
    /// The version of the plan's terms that was bought and is kept.
    pub price_version: i32,
    /// The amount per period.
    pub amount: Amount,
    #[mirror(|subscription| subscription.interval.months())]
    pub interval_months: u32,
    #[mirror(|subscription| subscription.state.word())]
    pub status: StateWord,
    /// The day on which it began, in the patient's zone; periods begin on this
    /// day of the month, or on the last one of a shorter month.
    #[mirror(anchor)]
    pub anchor_day: NaiveDate,
    /// The patient's time zone, as in `America/New_York`.
    #[mirror(|subscription| subscription.zone.name().to_owned())]
    pub time_zone: String,
    /// The first period has the index 0.
    #[mirror(period.index)]
    pub period_index: u32,
    #[mirror(period.start)]
    pub current_period_start: DateTime<Utc>,
    /// The first moment after the period.
    #[mirror(period.end)]
    pub current_period_end: DateTime<Utc>,
    /// It ends with its current period.
    pub cancel_at_period_end: bool,
    #[mirror(consent.terms_version)]
    pub consent_terms_version: String,
    #[mirror(consent.accepted_at)]
    pub consent_accepted_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
}

/// A patient's subscriptions, the newest first.
#[derive(Debug, Object)]
pub struct SubscriptionsView {
    pub subscriptions: Vec<SubscriptionView>,
}

/// What a subscription unlocks.
#[derive(Debug, Object)]
pub struct SubscriptionFeaturesView {
    pub subscription_id: SubscriptionId,
    pub status: StateWord,
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
            subscription_id: subscription.id,
            status: subscription.state.word(),
            tier: subscription.tier.to_string(),
            entitled: subscription.entitles(now),
            features: subscription.features.into_iter().map(Into::into).collect(),
            current_period_end: subscription.period.end,
        }
    }
}

/// Cancels a subscription. Nothing else is asked: canceling is as easy as
/// signing up.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CancelSubscriptionRequest {
    pub when: CancelWhen,
}

api::example!(CancelSubscriptionRequest { when: CancelWhen::PeriodEnd });

/// One line of a subscription's history.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Change)]
pub struct SubscriptionChangeView {
    pub at: DateTime<Utc>,
    /// Absent on the line with which it began.
    pub from: Option<StateWord>,
    pub to: StateWord,
    /// A stable word, as in `first_invoice_paid`.
    pub reason: String,
    pub period_index: u32,
    /// `account` or `system`.
    pub actor_kind: String,
    pub actor_id: Option<AccountId>,
}

/// A subscription's history, the oldest line first.
#[derive(Debug, Object)]
pub struct SubscriptionHistoryView {
    pub changes: Vec<SubscriptionChangeView>,
}
