//! What a subscriber may use, and which plan would open what they may not.
//! Features are asked for by their codes, as in `video_visits`.

use std::collections::{BTreeMap, btree_map::Entry};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{
    Actor, CategoryId, CoveredTreatment, Feature, FeatureCode, FieldError, Misfit, Money,
    PatientId, Permission, PlanId, PriceId, SubscriptionId, TreatedWith, Word,
};
use ports::{AuditAction, AuditEntry, Env, Result};

use crate::{
    Approvals, BillingInterval, Subscription, SubscriptionError, SubscriptionsStore, Tier,
};

/// A plan that can be taken now, as the catalogue offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub plan: PlanId,
    pub name: String,
    pub category: CategoryId,
    pub category_name: String,
    pub tier: Tier,
    pub features: Vec<Feature>,
    pub treatments: Vec<CoveredTreatment>,
    pub prices: Vec<OfferedPrice>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedPrice {
    pub price: PriceId,
    pub interval: BillingInterval,
    pub amount: Money,
    /// Whether it is paid again for every further period.
    pub renews: bool,
}

impl OfferedPrice {
    /// The price of a month in thousandths of a minor unit, to compare periods
    /// of different lengths without rounding two prices to the same.
    fn of_a_month(&self) -> i64 {
        self.amount.minor.saturating_mul(1_000) / i64::from(self.interval.months())
    }
}

impl Offer {
    fn unlocks(&self, feature: &FeatureCode) -> bool {
        Feature::is_among(&self.features, feature)
    }

    fn cheapest(&self) -> i64 {
        self.prices.iter().map(OfferedPrice::of_a_month).min().unwrap_or(i64::MAX)
    }
}

/// The catalogue as it is offered now.
#[async_trait]
pub trait Offers: Send + Sync {
    async fn offers(&self, category: Option<CategoryId>) -> Result<Vec<Offer>>;
}

/// Why access is given or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
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
    pub feature: FeatureCode,
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
    fn decide(
        feature: &FeatureCode,
        category: Option<CategoryId>,
        held: &[Subscription],
        at: DateTime<Utc>,
    ) -> Self {
        let asked = || {
            held.iter()
                .filter(move |held| category.is_none_or(|category| held.category == category))
        };
        let found = asked()
            .find(|held| held.entitles(at) && Feature::is_among(&held.features, feature))
            .map(|held| (AccessReason::Entitled, held))
            .or_else(|| {
                let has_it = asked().find(|held| Feature::is_among(&held.features, feature))?;
                Some((AccessReason::SubscriptionInactive, has_it))
            })
            .or_else(|| {
                let in_force = asked().find(|held| held.entitles(at))?;
                Some((AccessReason::UpgradeRequired, in_force))
            });
        Self {
            feature: feature.clone(),
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
fn unlocking(
    feature: &FeatureCode,
    offers: Vec<Offer>,
    in_force: &[(CategoryId, Tier)],
) -> Vec<Offer> {
    let mut plans: Vec<Offer> = offers
        .into_iter()
        .filter(|offer| offer.unlocks(feature))
        .filter(|offer| {
            in_force
                .iter()
                .all(|(category, tier)| *category != offer.category || offer.tier > *tier)
        })
        .collect();
    plans.sort_by_key(|offer| (offer.cheapest(), offer.tier, offer.plan));
    for plan in &mut plans {
        plan.prices.sort_by_key(OfferedPrice::of_a_month);
    }
    plans
}

/// Whether the calling patient may use a feature. Staff have no subscription
/// to ask about.
pub async fn validate(
    env: &Env,
    store: &dyn SubscriptionsStore,
    offers: &dyn Offers,
    actor: &Actor,
    feature: &FeatureCode,
    category: Option<CategoryId>,
) -> Result<Access, SubscriptionError> {
    let held = held(store, actor).await?;
    let access = Access::decide(feature, category, &held, env.now());
    if access.reason == AccessReason::Entitled {
        return Ok(access);
    }
    check_known(feature, &held, &offers.offers(category).await?)?;
    Ok(access)
}

/// Which plans would open a feature to the calling patient, and at which
/// prices. Where the patient is treated, only plans that pay for the treatment.
pub async fn upgrade_prompt(
    env: &Env,
    store: &dyn SubscriptionsStore,
    offers: &dyn Offers,
    approvals: &dyn Approvals,
    actor: &Actor,
    (feature, category): (&FeatureCode, Option<CategoryId>),
) -> Result<UpgradePrompt, SubscriptionError> {
    let held = held(store, actor).await?;
    let access = Access::decide(feature, category, &held, env.now());
    if access.allowed() {
        return Ok(UpgradePrompt { access, plans: Vec::new() });
    }
    let offered = offers.offers(category).await?;
    check_known(feature, &held, &offered)?;
    let in_force: Vec<_> = held
        .iter()
        .filter(|held| held.entitles(env.now()))
        .map(|held| (held.category, held.tier))
        .collect();
    let patient = actor.as_patient().ok_or(SubscriptionError::NotAPatient)?;
    let found = unlocking(feature, offered, &in_force);
    Ok(UpgradePrompt { access, plans: keep_fitting(approvals, patient, found, true).await? })
}

/// The plans that the calling patient can subscribe to: those on offer that pay
/// for what the patient is treated with now, in each category where there is an
/// active treatment plan. The cheapest by the month comes first.
pub async fn fitting(
    store: &dyn SubscriptionsStore,
    offers: &dyn Offers,
    approvals: &dyn Approvals,
    actor: &Actor,
    category: Option<CategoryId>,
) -> Result<Vec<Offer>, SubscriptionError> {
    actor.require(Permission::SubscribeOwn)?;
    let patient = actor.as_patient().ok_or(SubscriptionError::NotAPatient)?;
    let offered = offers.offers(category).await?;
    let mut fitting = keep_fitting(approvals, patient, offered, false).await?;
    fitting.sort_by_key(|offer| (offer.category, offer.cheapest(), offer.tier, offer.plan));
    let mut tx = store.begin(actor).await?;
    tx.audit(AuditEntry::new(AuditAction::Search, "treatment_plan", patient).patient(patient));
    tx.commit().await?;
    Ok(fitting)
}

/// Leaves out what the patient cannot buy, because it pays for something else
/// than the active treatment. What is `untreated`, so that nothing can be said
/// yet, is kept where that is asked for.
async fn keep_fitting(
    approvals: &dyn Approvals,
    patient: PatientId,
    offers: Vec<Offer>,
    untreated: bool,
) -> Result<Vec<Offer>> {
    let mut treated: BTreeMap<CategoryId, Option<TreatedWith>> = BTreeMap::new();
    let mut fitting = Vec::new();
    for offer in offers {
        let now = match treated.entry(offer.category) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unasked) => {
                unasked.insert(approvals.treated(patient, offer.category).await?)
            }
        };
        if now.as_ref().map_or(untreated, |now| Misfit::of(&offer.treatments, now).is_none()) {
            fitting.push(offer);
        }
    }
    Ok(fitting)
}

/// What plans say of a feature that a patient asks for by using it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// A subscription in force has it.
    Included,
    /// A plan on offer has it, and no subscription in force.
    NotIncluded,
    /// No plan on offer names it, so it is not sold.
    NotSold,
}

/// Whether a patient may have a feature, in one category or in any, read by
/// Salus itself.
pub async fn coverage(
    env: &Env,
    store: &dyn SubscriptionsStore,
    offers: &dyn Offers,
    patient: PatientId,
    feature: &FeatureCode,
    category: Option<CategoryId>,
) -> Result<Coverage> {
    let mut tx = store.begin(&Actor::system("subscriptions.coverage")).await?;
    let held = tx.subscriptions_of(patient).await?;
    drop(tx);
    if Access::decide(feature, category, &held, env.now()).allowed() {
        return Ok(Coverage::Included);
    }
    let sold = offers.offers(category).await?.iter().any(|offer| offer.unlocks(feature));
    Ok(if sold { Coverage::NotIncluded } else { Coverage::NotSold })
}

/// The highest tier that a patient has in force, as it was bought, read by
/// Salus itself.
pub async fn highest_tier(
    env: &Env,
    store: &dyn SubscriptionsStore,
    patient: PatientId,
) -> Result<Option<Tier>> {
    let mut tx = store.begin(&Actor::system("subscriptions.tier")).await?;
    let held = tx.subscriptions_of(patient).await?;
    Ok(held.iter().filter(|held| held.entitles(env.now())).map(|held| held.tier).max())
}

async fn held(
    store: &dyn SubscriptionsStore,
    actor: &Actor,
) -> Result<Vec<Subscription>, SubscriptionError> {
    let patient = actor.as_patient().ok_or(SubscriptionError::NotAPatient)?;
    let mut tx = store.begin(actor).await?;
    let held = tx.subscriptions_of(patient).await?;
    tx.audit(AuditEntry::new(AuditAction::Search, "subscription", patient).patient(patient));
    tx.commit().await?;
    Ok(held)
}

/// A feature that no plan has ever named is a mistake of the caller, not one
/// that an upgrade would mend.
fn check_known(
    feature: &FeatureCode,
    held: &[Subscription],
    offers: &[Offer],
) -> Result<(), SubscriptionError> {
    let known = held.iter().any(|held| Feature::is_among(&held.features, feature))
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

    fn code(text: &str) -> FeatureCode {
        text.parse().unwrap()
    }

    fn features(codes: &[&str]) -> Vec<Feature> {
        codes.iter().map(|code| Feature::new(code, format!("The {code}")).unwrap()).collect()
    }

    fn subscription(number: u128, codes: &[&str], state: State) -> Subscription {
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
            tier: Tier::Basic,
            features: features(codes),
            covers: Vec::new(),
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

    fn offer(number: u128, of: u128, tier: Tier, codes: &[&str], prices: &[(u32, i64)]) -> Offer {
        Offer {
            plan: PlanId(Uuid::from_u128(number)),
            name: format!("Plan {number}"),
            category: category(of),
            category_name: "Category".into(),
            tier,
            features: features(codes),
            treatments: Vec::new(),
            prices: prices
                .iter()
                .map(|(months, minor)| OfferedPrice {
                    price: PriceId(Uuid::from_u128(u128::from(*months))),
                    interval: BillingInterval::of_months(*months).unwrap(),
                    amount: Money::usd(*minor),
                    renews: true,
                })
                .collect(),
        }
    }

    #[test]
    fn only_a_subscription_in_force_opens_its_features() {
        let decide = |held: &[Subscription], of| {
            let access = Access::decide(&code("video_visits"), of, held, DateTime::UNIX_EPOCH);
            (access.reason, access.subscription.map(|id| id.0.as_u128()))
        };
        assert_eq!(decide(&[], None), (AccessReason::SubscriptionRequired, None));
        let plain = subscription(1, &["messages"], active());
        let ended = subscription(2, &["video_visits"], canceled());
        let whole = subscription(3, &["video_visits"], active());
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
                offer(1, 1, Tier::Basic, &["video_visits"], &[(1, 2_000)]),
                offer(2, 1, Tier::Standard, &["video_visits"], &[(1, 4_000), (12, 36_000)]),
                offer(3, 1, Tier::Premium, &["video_visits"], &[(1, 3_500)]),
                offer(4, 1, Tier::Premium, &["messages"], &[(1, 100)]),
                offer(5, 2, Tier::Basic, &["video_visits"], &[(3, 4_500)]),
            ]
        };
        let plans = |in_force: &[(CategoryId, Tier)]| -> Vec<u128> {
            let plans = unlocking(&code("video_visits"), offers(), in_force);
            plans.iter().map(|offer| offer.plan.0.as_u128()).collect()
        };
        assert_eq!(plans(&[]), [5, 1, 2, 3]);
        assert_eq!(plans(&[(category(1), Tier::Basic)]), [5, 2, 3]);
        let second = unlocking(&code("video_visits"), offers(), &[]).remove(2);
        assert_eq!(second.prices[0].interval.months(), 12, "a year is cheaper by the month");
    }

    #[test]
    fn a_feature_that_nobody_names_is_unknown() {
        let offers = [offer(1, 1, Tier::Basic, &["video_visits"], &[(1, 2_000)])];
        assert!(check_known(&code("video_visits"), &[], &offers).is_ok());
        assert!(matches!(
            check_known(&code("x"), &[], &offers),
            Err(SubscriptionError::Invalid(_))
        ));
    }
}
