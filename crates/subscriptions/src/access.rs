//! What a subscriber may use, and which plan would open what they may not.
//!
//! Plans name their features in sentences; a feature's code is its sentence in
//! snake case, so that `Video visits` is `video_visits`.

use async_trait::async_trait;
use kernel::{Actor, CategoryId, FieldError, Money, PatientId, PlanId, PriceId, SubscriptionId};
use ports::{AuditAction, AuditEntry, Result};
use strum::{Display, IntoStaticStr};

use crate::{BillingInterval, Subscription, SubscriptionError, SubscriptionsStore};

/// A plan that can be taken now, as the catalogue offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub plan: PlanId,
    pub name: String,
    pub category: CategoryId,
    pub category_name: String,
    /// Its place among the plans of its category, from the lowest on.
    pub rank: u8,
    /// `basic`, `standard` or `premium`.
    pub tier: &'static str,
    pub features: Vec<String>,
    pub prices: Vec<OfferedPrice>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedPrice {
    pub price: PriceId,
    pub interval: BillingInterval,
    pub amount: Money,
}

impl OfferedPrice {
    /// The price of a month in thousandths of a minor unit, to compare periods
    /// of different lengths without rounding two prices to the same.
    fn of_a_month(&self) -> i64 {
        self.amount.minor.saturating_mul(1_000) / i64::from(self.interval.months())
    }
}

impl Offer {
    fn unlocks(&self, feature: &str) -> bool {
        has(&self.features, feature)
    }

    fn cheapest(&self) -> i64 {
        self.prices.iter().map(OfferedPrice::of_a_month).min().unwrap_or(i64::MAX)
    }
}

/// The catalogue as it is offered now.
#[async_trait]
pub trait Offers: Send + Sync {
    async fn offers(&self, category: Option<CategoryId>) -> Result<Vec<Offer>>;

    /// The tier of a plan, offered or not.
    async fn tier(&self, plan: PlanId) -> Result<Option<u8>>;
}

/// The code of a feature that a plan names.
pub fn feature_code(sentence: &str) -> String {
    let words = sentence.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
}

fn has(features: &[String], code: &str) -> bool {
    features.iter().any(|sentence| feature_code(sentence) == code)
}

/// Why access is given or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum AccessReason {
    /// A subscription in force has the feature.
    Entitled,
    /// A subscription has it, and is not in force: its first invoice is open,
    /// or it has ended.
    SubscriptionInactive,
    /// A subscription of the category is in force, and its plan does not have
    /// the feature.
    UpgradeRequired,
    /// There is no subscription that it could belong to.
    SubscriptionRequired,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub feature: String,
    pub reason: AccessReason,
    /// The subscription that decided.
    pub subscription: Option<SubscriptionId>,
}

impl Access {
    pub fn allowed(&self) -> bool {
        self.reason == AccessReason::Entitled
    }

    /// Decides from all of a patient's subscriptions. A feature is asked for in
    /// one category, or in whichever has it.
    fn decide(feature: &str, category: Option<CategoryId>, held: &[Subscription]) -> Self {
        let asked = || {
            held.iter()
                .filter(move |held| category.is_none_or(|category| held.category == category))
        };
        let found = asked()
            .find(|held| held.entitles() && has(&held.features, feature))
            .map(|held| (AccessReason::Entitled, held))
            .or_else(|| {
                let has_it = asked().find(|held| has(&held.features, feature))?;
                Some((AccessReason::SubscriptionInactive, has_it))
            })
            .or_else(|| {
                let in_force = asked().find(|held| held.entitles())?;
                Some((AccessReason::UpgradeRequired, in_force))
            });
        Self {
            feature: feature.to_owned(),
            reason: found.map_or(AccessReason::SubscriptionRequired, |(reason, _)| reason),
            subscription: found.map(|(_, held)| held.id),
        }
    }
}

/// What would open a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpgradePrompt {
    pub access: Access,
    /// The plans that have it, the cheapest by the month first; none where the
    /// patient has it already.
    pub plans: Vec<Offer>,
}

/// The plans that open a feature: in the category of a subscription in force
/// only those above its own, since a move down is no upgrade.
fn unlocking(feature: &str, offers: Vec<Offer>, in_force: &[(CategoryId, u8)]) -> Vec<Offer> {
    let mut plans: Vec<Offer> = offers
        .into_iter()
        .filter(|offer| offer.unlocks(feature))
        .filter(|offer| {
            in_force
                .iter()
                .all(|(category, rank)| *category != offer.category || offer.rank > *rank)
        })
        .collect();
    plans.sort_by_key(|offer| (offer.cheapest(), offer.rank, offer.plan));
    for plan in &mut plans {
        plan.prices.sort_by_key(OfferedPrice::of_a_month);
    }
    plans
}

/// Whether the calling patient may use a feature. Staff have no subscription
/// to ask about.
pub async fn validate(
    store: &dyn SubscriptionsStore,
    offers: &dyn Offers,
    actor: &Actor,
    feature: &str,
    category: Option<CategoryId>,
) -> Result<Access, SubscriptionError> {
    let held = held(store, actor).await?;
    let access = Access::decide(feature, category, &held);
    if access.reason == AccessReason::Entitled {
        return Ok(access);
    }
    check_known(feature, &held, &offers.offers(category).await?)?;
    Ok(access)
}

/// Which plans would open a feature to the calling patient, and at which
/// prices.
pub async fn upgrade_prompt(
    store: &dyn SubscriptionsStore,
    offers: &dyn Offers,
    actor: &Actor,
    feature: &str,
    category: Option<CategoryId>,
) -> Result<UpgradePrompt, SubscriptionError> {
    let held = held(store, actor).await?;
    let access = Access::decide(feature, category, &held);
    if access.allowed() {
        return Ok(UpgradePrompt { access, plans: Vec::new() });
    }
    let offered = offers.offers(category).await?;
    check_known(feature, &held, &offered)?;
    let mut in_force = Vec::new();
    for held in held.iter().filter(|held| held.entitles()) {
        if let Some(rank) = offers.tier(held.plan).await? {
            in_force.push((held.category, rank));
        }
    }
    Ok(UpgradePrompt { access, plans: unlocking(feature, offered, &in_force) })
}

/// The highest tier that a patient has in force, read by Salus itself.
pub async fn highest_tier(
    store: &dyn SubscriptionsStore,
    offers: &dyn Offers,
    patient: PatientId,
) -> Result<Option<u8>> {
    let mut tx = store.begin(&Actor::system("subscriptions.tier")).await?;
    let held = tx.subscriptions_of(patient).await?;
    drop(tx);
    let mut highest = None;
    for held in held.iter().filter(|held| held.entitles()) {
        highest = highest.max(offers.tier(held.plan).await?);
    }
    Ok(highest)
}

async fn held(
    store: &dyn SubscriptionsStore,
    actor: &Actor,
) -> Result<Vec<Subscription>, SubscriptionError> {
    let patient = actor.as_patient().ok_or(SubscriptionError::NotAPatient)?;
    let mut tx = store.begin(actor).await?;
    let held = tx.subscriptions_of(patient).await?;
    tx.audit(AuditEntry::new(AuditAction::Search, "subscription", patient).patient(patient))
        .await?;
    tx.commit().await?;
    Ok(held)
}

/// A feature that no plan has ever named is a mistake of the caller, not one
/// that an upgrade would mend.
fn check_known(
    feature: &str,
    held: &[Subscription],
    offers: &[Offer],
) -> Result<(), SubscriptionError> {
    let known = held.iter().any(|held| has(&held.features, feature))
        || offers.iter().any(|offer| offer.unlocks(feature));
    if known {
        return Ok(());
    }
    let error = FieldError::new("feature", "unknown", "No plan has a feature of this code.");
    Err(SubscriptionError::Invalid(vec![error]))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate};
    use kernel::{AssessmentId, Uuid};

    use super::*;
    use crate::{Consent, Period, State};

    fn category(number: u128) -> CategoryId {
        CategoryId(Uuid::from_u128(number))
    }

    fn subscription(number: u128, features: &[&str], state: State) -> Subscription {
        let zone = chrono_tz::America::New_York;
        let anchor = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        Subscription {
            id: SubscriptionId(Uuid::from_u128(number)),
            patient: PatientId(Uuid::from_u128(1)),
            category: category(number),
            assessment: AssessmentId(Uuid::from_u128(1)),
            plan: PlanId(Uuid::from_u128(number)),
            price: PriceId(Uuid::from_u128(number)),
            price_version: 1,
            plan_name: "Plan".into(),
            amount: Money::usd(2_500),
            interval: BillingInterval::MONTH,
            features: features.iter().map(ToString::to_string).collect(),
            zone,
            anchor,
            consent: Consent {
                accepted_at: DateTime::UNIX_EPOCH,
                terms_version: "2026-01".into(),
                amount: Money::usd(2_500),
                interval: BillingInterval::MONTH,
                ip: None,
                user_agent: None,
            },
            state,
            period: Period::of(anchor, zone, BillingInterval::MONTH, 0).unwrap(),
            cancel_at_period_end: false,
            created_at: DateTime::UNIX_EPOCH,
            version: 1,
        }
    }

    fn active() -> State {
        State::Active { since: DateTime::UNIX_EPOCH }
    }

    fn canceled() -> State {
        State::Canceled { at: DateTime::UNIX_EPOCH }
    }

    fn offer(number: u128, of: u128, rank: u8, features: &[&str], prices: &[(u32, i64)]) -> Offer {
        Offer {
            plan: PlanId(Uuid::from_u128(number)),
            name: format!("Plan {number}"),
            category: category(of),
            category_name: "Category".into(),
            rank,
            tier: "basic",
            features: features.iter().map(ToString::to_string).collect(),
            prices: prices
                .iter()
                .map(|(months, minor)| OfferedPrice {
                    price: PriceId(Uuid::from_u128(u128::from(*months))),
                    interval: BillingInterval::of_months(*months).unwrap(),
                    amount: Money::usd(*minor),
                })
                .collect(),
        }
    }

    #[test]
    fn a_sentence_has_one_code() {
        assert_eq!(feature_code("Video visits"), "video_visits");
        assert_eq!(feature_code("GAD-7 every month"), "gad_7_every_month");
    }

    #[test]
    fn only_a_subscription_in_force_opens_its_features() {
        let decide = |held: &[Subscription], of| {
            let access = Access::decide("video_visits", of, held);
            (access.reason, access.subscription.map(|id| id.0.as_u128()))
        };
        assert_eq!(decide(&[], None), (AccessReason::SubscriptionRequired, None));
        let plain = subscription(1, &["Messages"], active());
        let ended = subscription(2, &["Video visits"], canceled());
        let whole = subscription(3, &["Video visits"], active());
        let held = [plain, ended, whole];
        assert_eq!(decide(&held[..1], None), (AccessReason::UpgradeRequired, Some(1)));
        assert_eq!(decide(&held[..2], None), (AccessReason::SubscriptionInactive, Some(2)));
        assert_eq!(decide(&held, None), (AccessReason::Entitled, Some(3)));
        // In a category that was named, another one's plan does not count.
        assert_eq!(decide(&held, Some(category(1))), (AccessReason::UpgradeRequired, Some(1)));
        let nowhere = Some(category(9));
        assert_eq!(decide(&held, nowhere), (AccessReason::SubscriptionRequired, None));
    }

    #[test]
    fn the_cheapest_way_comes_first_and_a_move_down_is_no_way() {
        let offers = || {
            vec![
                offer(1, 1, 0, &["Video visits"], &[(1, 2_000)]),
                offer(2, 1, 1, &["Video visits"], &[(1, 4_000), (12, 36_000)]),
                offer(3, 1, 2, &["Video visits"], &[(1, 3_500)]),
                offer(4, 1, 2, &["Messages"], &[(1, 100)]),
                offer(5, 2, 0, &["Video visits"], &[(3, 4_500)]),
            ]
        };
        let plans = |in_force: &[(CategoryId, u8)]| -> Vec<u128> {
            let plans = unlocking("video_visits", offers(), in_force);
            plans.iter().map(|offer| offer.plan.0.as_u128()).collect()
        };
        assert_eq!(plans(&[]), [5, 1, 2, 3]);
        assert_eq!(plans(&[(category(1), 0)]), [5, 2, 3]);
        let second = unlocking("video_visits", offers(), &[]).remove(2);
        assert_eq!(second.prices[0].interval.months(), 12, "a year is cheaper by the month");
    }

    #[test]
    fn a_feature_that_nobody_names_is_unknown() {
        let offers = [offer(1, 1, 0, &["Video visits"], &[(1, 2_000)])];
        assert!(check_known("video_visits", &[], &offers).is_ok());
        assert!(matches!(check_known("x", &[], &offers), Err(SubscriptionError::Invalid(_))));
    }
}
