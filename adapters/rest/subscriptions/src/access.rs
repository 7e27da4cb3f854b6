//! What a caller may use, how often, and which plan would open more.

use std::sync::Arc;

use api::{Amount, Body, Caller, CallerTier, FeatureView, Limits, Problem, Standing, Tag, drawn};
use kernel::{CategoryId, FeatureCode, FieldError, Uuid};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json, types::Example};
use ports::Env;
use subscriptions::{Approvals, SubscriptionError, SubscriptionsStore, access};

pub struct AccessApi {
    pub env: Env,
    pub store: Arc<dyn SubscriptionsStore>,
    pub offers: Arc<dyn access::Offers>,
    pub approvals: Arc<dyn Approvals>,
    pub limits: Arc<Limits>,
}

/// A feature that is asked about.
#[derive(Debug, Object)]
#[oai(example)]
pub struct FeatureRequest {
    /// The feature's code, as plans and subscriptions name it.
    #[oai(validator(min_length = 1, max_length = 64, pattern = "^[a-z][a-z0-9_]{0,63}$"))]
    feature: String,
    /// Only the subscription and the plans of this category.
    category_id: Option<Uuid>,
}

impl Example for FeatureRequest {
    fn example() -> Self {
        Self { feature: "video_visits".to_owned(), category_id: None }
    }
}

impl FeatureRequest {
    fn parse(self) -> Result<(FeatureCode, Option<CategoryId>), SubscriptionError> {
        let feature = self.feature.parse().map_err(|_| {
            let message = "A letter, and up to 63 more letters, digits and underscores.";
            SubscriptionError::Invalid(vec![FieldError::new("feature", "invalid", message)])
        })?;
        Ok((feature, self.category_id.map(CategoryId)))
    }
}

/// Whether a feature may be used.
#[derive(Debug, Object)]
pub struct FeatureAccess {
    feature: String,
    allowed: bool,
    reason: access::AccessReason,
    /// The subscription that decided.
    subscription_id: Option<Uuid>,
}

impl From<access::Access> for FeatureAccess {
    fn from(access: access::Access) -> Self {
        Self {
            allowed: access.allowed(),
            reason: access.reason,
            subscription_id: access.subscription.map(|id| id.uuid()),
            feature: access.feature.into(),
        }
    }
}

/// A price of a plan that opens the feature.
#[derive(Debug, Object)]
pub struct UpgradePrice {
    price_id: Uuid,
    /// How many months one payment covers.
    months: u32,
    amount: Amount,
    /// Whether it is paid again for every further period; what is paid upfront
    /// runs out.
    renews: bool,
}

/// A plan that opens the feature.
#[derive(Debug, Object)]
pub struct UpgradePlan {
    plan_id: Uuid,
    name: String,
    /// `basic`, `standard` or `premium`.
    tier: String,
    category_id: Uuid,
    category_name: String,
    features: Vec<FeatureView>,
    /// The cheapest by the month first.
    prices: Vec<UpgradePrice>,
}

impl From<access::Offer> for UpgradePlan {
    fn from(offer: access::Offer) -> Self {
        Self {
            plan_id: offer.plan.uuid(),
            name: offer.name,
            tier: offer.tier.to_string(),
            category_id: offer.category.uuid(),
            category_name: offer.category_name,
            features: offer.features.into_iter().map(Into::into).collect(),
            prices: offer
                .prices
                .into_iter()
                .map(|price| UpgradePrice {
                    price_id: price.price.uuid(),
                    months: price.interval.months(),
                    amount: price.amount.into(),
                    renews: price.renews,
                })
                .collect(),
        }
    }
}

/// Which plans would open a feature.
#[derive(Debug, Object)]
pub struct UpgradePromptView {
    access: FeatureAccess,
    /// The cheapest by the month first; none where the feature is open
    /// already, or where no plan above the present one has it.
    plans: Vec<UpgradePlan>,
}

/// The plans that fit the treatment.
#[derive(Debug, Object)]
pub struct FittingPlansView {
    /// By category, the cheapest by the month first.
    plans: Vec<UpgradePlan>,
}

/// Where the caller stands with one limit.
#[derive(Debug, Object)]
pub struct RateLimit {
    /// `account`, `anonymous` or `sign_in`.
    name: String,
    /// How many requests a window has.
    limit: u32,
    window_seconds: u32,
    /// How many are left, this one taken off.
    remaining: u32,
    /// Until all of them are there again.
    reset_seconds: u32,
}

impl From<Standing> for RateLimit {
    fn from(standing: Standing) -> Self {
        Self {
            name: standing.name.to_owned(),
            limit: standing.limit,
            window_seconds: 60,
            remaining: standing.remaining,
            reset_seconds: u32::try_from(standing.reset().as_secs_f64().ceil() as u64)
                .unwrap_or(u32::MAX),
        }
    }
}

/// Where the caller stands with every limit that counts this request.
#[derive(Debug, Object)]
pub struct RateLimits {
    /// What decides the account's limit.
    tier: CallerTier,
    limits: Vec<RateLimit>,
}

#[OpenApi]
impl AccessApi {
    /// Validate access to a feature
    ///
    /// Whether a subscription of the calling patient opens the feature now.
    #[oai(
        path = "/api/auth/validate-access",
        method = "post",
        operation_id = "validateAccess",
        tag = "Tag::Subscriptions"
    )]
    async fn validate(
        &self,
        caller: Caller,
        body: Body<FeatureRequest>,
    ) -> Result<Json<FeatureAccess>, Problem> {
        let (feature, category) = body.0.parse()?;
        let (env, store, offers) = (&self.env, self.store.as_ref(), self.offers.as_ref());
        let access =
            access::validate(env, store, offers, caller.actor(), &feature, category).await?;
        Ok(Json(access.into()))
    }

    /// Ask what would open a feature
    ///
    /// The plans on offer that open the feature to the calling patient, with
    /// their prices. Within a category that the patient subscribes to, only
    /// plans above the present one.
    #[oai(
        path = "/api/auth/upgrade-prompt",
        method = "post",
        operation_id = "upgradePrompt",
        tag = "Tag::Subscriptions"
    )]
    async fn upgrade_prompt(
        &self,
        caller: Caller,
        body: Body<FeatureRequest>,
    ) -> Result<Json<UpgradePromptView>, Problem> {
        let (feature, category) = body.0.parse()?;
        let (env, store, offers) = (&self.env, self.store.as_ref(), self.offers.as_ref());
        let approvals = self.approvals.as_ref();
        let asked = (&feature, category);
        let prompt =
            access::upgrade_prompt(env, store, offers, approvals, caller.actor(), asked).await?;
        Ok(Json(UpgradePromptView {
            access: prompt.access.into(),
            plans: prompt.plans.into_iter().map(Into::into).collect(),
        }))
    }

    /// List the plans that fit one's treatment
    ///
    /// The plans that the calling patient can subscribe to: those on offer that
    /// pay for the drug, form and dose of an active treatment plan of theirs,
    /// the cheapest by the month first. A checkout offers these; any other is
    /// refused. `GET /api/plans` has all plans, for browsing.
    #[oai(
        path = "/api/plans/fitting",
        method = "get",
        operation_id = "listFittingPlans",
        tag = "Tag::Subscriptions"
    )]
    async fn fitting(
        &self,
        caller: Caller,
        /// Only plans of this category.
        category_id: Query<Option<Uuid>>,
    ) -> Result<Json<FittingPlansView>, Problem> {
        let (store, offers) = (self.store.as_ref(), self.offers.as_ref());
        let (approvals, category) = (self.approvals.as_ref(), category_id.0.map(CategoryId));
        let plans = access::fitting(store, offers, approvals, caller.actor(), category).await?;
        Ok(Json(FittingPlansView { plans: plans.into_iter().map(Into::into).collect() }))
    }

    /// Read one's rate limits
    ///
    /// Where the caller stands, this request included. Every answer says the
    /// same of the nearest limit in its `RateLimit-*` headers, and a refused
    /// request (429) when to try again in `Retry-After`.
    #[oai(
        path = "/api/auth/rate-limits",
        method = "get",
        operation_id = "getRateLimits",
        tag = "Tag::Identity"
    )]
    async fn rate_limits(&self, caller: Caller) -> Result<Json<RateLimits>, Problem> {
        let tier = self.limits.tier(caller.actor()).await;
        Ok(Json(RateLimits { tier, limits: drawn().into_iter().map(Into::into).collect() }))
    }
}
