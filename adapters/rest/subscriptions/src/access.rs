//! What a caller may use, how often, and which plan would open more.

use std::sync::Arc;

use api::{
    Amount, Answer, Body, Caller, CallerTier, FeatureView, Limits, Mirror, Result, Standing, Tag,
    drawn,
};
use kernel::{CategoryId, FeatureCode, FieldError, PlanId, PriceId, SubscriptionId};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
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
    category_id: Option<CategoryId>,
}

api::example!(FeatureRequest { feature: "video_visits".to_owned(), category_id: None });

impl FeatureRequest {
    fn parse(self) -> Result<(FeatureCode, Option<CategoryId>), SubscriptionError> {
        let feature = self.feature.parse().map_err(|_| {
            let message = "A letter, and up to 63 more letters, digits and underscores.";
            SubscriptionError::Invalid(vec![FieldError::new("feature", "invalid", message)])
        })?;
        Ok((feature, self.category_id))
    }
}

/// Whether a feature may be used.
#[derive(Debug, Object, Mirror)]
#[mirror(from = access::Access)]
pub struct FeatureAccess {
    feature: String,
    #[mirror(|access| access.allowed())]
    allowed: bool,
    reason: access::AccessReason,
    /// The subscription that decided.
    subscription_id: Option<SubscriptionId>,
}

/// A price of a plan that opens the feature.
#[derive(Debug, Object, Mirror)]
#[mirror(from = access::OfferedPrice)]
pub struct UpgradePrice {
    price_id: PriceId,
    /// How many months one payment covers.
    #[mirror(|price| price.interval.months())]
    months: u32,
    amount: Amount,
    /// Whether it is paid again for every further period; what is paid upfront
    /// runs out.
    renews: bool,
}

/// A plan that opens the feature.
#[derive(Debug, Object, Mirror)]
#[mirror(from = access::Offer)]
pub struct UpgradePlan {
    plan_id: PlanId,
    name: String,
    /// `basic`, `standard` or `premium`.
    tier: String,
    category_id: CategoryId,
    category_name: String,
    features: Vec<FeatureView>,
    /// The cheapest by the month first.
    prices: Vec<UpgradePrice>,
}

/// Which plans would open a feature.
#[derive(Debug, Object, Mirror)]
#[mirror(from = access::UpgradePrompt)]
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
    /// Seconds until all of them are available again.
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
    async fn validate(&self, caller: Caller, body: Body<FeatureRequest>) -> Answer<FeatureAccess> {
        let (feature, category) = body.0.parse()?;
        let (store, offers, actor) = (&*self.store, &*self.offers, caller.actor());
        let access = access::validate(&self.env, store, offers, actor, &feature, category).await?;
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
    ) -> Answer<UpgradePromptView> {
        let (feature, category) = body.0.parse()?;
        let (env, store, offers) = (&self.env, &*self.store, &*self.offers);
        let (approvals, actor, asked) = (&*self.approvals, caller.actor(), (&feature, category));
        Ok(Json(access::upgrade_prompt(env, store, offers, approvals, actor, asked).await?.into()))
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
        category_id: Query<Option<CategoryId>>,
    ) -> Answer<FittingPlansView> {
        let (store, offers, approvals) = (&*self.store, &*self.offers, &*self.approvals);
        let plans =
            access::fitting(store, offers, approvals, caller.actor(), category_id.0).await?;
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
    async fn rate_limits(&self, caller: Caller) -> Answer<RateLimits> {
        let tier = self.limits.tier(caller.actor()).await;
        Ok(Json(RateLimits { tier, limits: drawn().into_iter().map(Into::into).collect() }))
    }
}
