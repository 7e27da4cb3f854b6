//! Starting a subscription, and what that needs to know from other contexts.

use async_trait::async_trait;
use chrono_tz::Tz;
use kernel::{
    Actor, AssessmentId, CategoryId, CoveredTreatment, Feature, FieldError, Misfit, Money,
    PatientId, Permission, PlanId, PriceId, SubscriptionId, TextKind as _, TreatedWith,
    text::TermsVersion,
};
use ports::{AuditAction, AuditEntry, Env, Event, IdempotencyKey, PortError};

use crate::{
    BillingInterval, Consent, Subscription, SubscriptionError, SubscriptionsStore, Tier,
    store::ONE_LIVE_PER_CATEGORY, subscription::Purchase,
};

/// What is left to be dispensed to a patient in a category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// No treatment plan is active.
    NoPlan,
    /// The plan is active, and each of its fills is used or paid for.
    NoFillLeft,
    /// The fills that may still be paid for last for so many months.
    Months(u32),
}

impl Supply {
    /// Whether there is something to send in each month of a period, so that
    /// nobody pays for what has not been prescribed.
    pub fn covers(self, interval: BillingInterval) -> bool {
        matches!(self, Self::Months(left) if left >= interval.months())
    }
}

/// What the clinical side says: may this patient be treated in this category,
/// and is there anything to send?
#[async_trait]
pub trait Approvals: Send + Sync {
    /// The assessment that approves the patient in the category and is still
    /// in force; `None` where there is none.
    async fn approved(
        &self,
        patient: PatientId,
        category: CategoryId,
    ) -> ports::Result<Option<AssessmentId>>;

    /// What is left of the patient's treatment in the category now.
    async fn supply(&self, patient: PatientId, category: CategoryId) -> ports::Result<Supply>;

    /// What the patient is treated with in the category now; `None` without an
    /// active treatment plan.
    async fn treated(
        &self,
        patient: PatientId,
        category: CategoryId,
    ) -> ports::Result<Option<TreatedWith>>;

    /// Whether something speaks against sending it now: a safety alert that
    /// blocks, a later refusal, or whatever else holds a fill.
    async fn is_stopped(&self, patient: PatientId, category: CategoryId) -> ports::Result<bool>;
}

/// Whether the patient has something to pay with.
#[async_trait]
pub trait PaymentMethods: Send + Sync {
    async fn has_default(&self, patient: PatientId) -> ports::Result<bool>;
}

/// A price of the catalogue as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceTerms {
    pub price: PriceId,
    pub plan: PlanId,
    pub category: CategoryId,
    /// The version of the plan's terms; a subscriber keeps the one bought.
    pub version: i32,
    pub plan_name: String,
    pub amount: Money,
    pub interval: BillingInterval,
    pub tier: Tier,
    /// What the plan unlocks.
    pub features: Vec<Feature>,
    /// The treatments that the plan pays for.
    pub treatments: Vec<CoveredTreatment>,
    /// Whether another period follows; what is paid upfront runs out.
    pub renews: bool,
    /// Whether new subscriptions may still buy it.
    pub on_sale: bool,
}

#[async_trait]
pub trait Prices: Send + Sync {
    async fn price(&self, price: PriceId) -> ports::Result<Option<PriceTerms>>;
}

#[async_trait]
pub trait PatientZones: Send + Sync {
    /// The patient's own time zone, or that of the state they live in; `None`
    /// while the profile names neither.
    async fn zone(&self, patient: PatientId) -> ports::Result<Option<Tz>>;
}

/// The other contexts, as far as starting a subscription needs them.
#[derive(Clone, Copy)]
pub struct Shop<'a> {
    pub approvals: &'a dyn Approvals,
    pub prices: &'a dyn Prices,
    pub zones: &'a dyn PatientZones,
    pub methods: &'a dyn PaymentMethods,
}

#[derive(Clone, Debug)]
pub struct StartSubscription {
    pub price: PriceId,
    /// The patient ticked the box beside the renewal terms.
    pub consent_accepted: bool,
    pub terms_version: String,
    /// The amount that the patient saw; another one means that the price
    /// changed in between and must be shown again.
    pub amount_shown: Money,
}

/// Starts a subscription for the patient who asks. It is pending until its
/// first invoice is paid. A repeated key gives the subscription of the first
/// request.
pub async fn start(
    env: &Env,
    store: &dyn SubscriptionsStore,
    shop: Shop<'_>,
    actor: &Actor,
    key: &IdempotencyKey,
    request: StartSubscription,
) -> Result<Subscription, SubscriptionError> {
    actor.require(Permission::SubscribeOwn)?;
    let patient = actor.as_patient().ok_or(SubscriptionError::NotAPatient)?;
    // The facts are read before the transaction and judged inside it: a
    // repeated request must be answered even if they changed since.
    let terms = shop.prices.price(request.price).await?;
    let (approved, supply, treated, stopped) = match &terms {
        Some(terms) => (
            shop.approvals.approved(patient, terms.category).await?,
            shop.approvals.supply(patient, terms.category).await?,
            shop.approvals.treated(patient, terms.category).await?,
            shop.approvals.is_stopped(patient, terms.category).await?,
        ),
        None => (None, Supply::NoPlan, None, false),
    };
    let can_pay = shop.methods.has_default(patient).await?;
    let zone = shop.zones.zone(patient).await?;

    let now = env.now();
    let id: SubscriptionId = env.fresh();
    let mut tx = store.begin(actor).await?;
    if let Some(first) = tx.claim(key, id.uuid()).await? {
        let subscription = tx
            .find(SubscriptionId(first))
            .await?
            .ok_or_else(|| PortError::bug("an idempotency key names a missing subscription"))?;
        tx.commit().await?;
        return Ok(subscription);
    }
    let terms = terms.filter(|terms| terms.on_sale).ok_or(SubscriptionError::PriceNotFound)?;
    let consent = consent(&request, &terms, actor, now)?;
    let assessment = approved.ok_or(SubscriptionError::NotApproved)?;
    let zone = zone.ok_or(SubscriptionError::NoTimeZone)?;
    if tx.live_in_category(patient, terms.category).await?.is_some() {
        return Err(SubscriptionError::AlreadySubscribed);
    }
    let treated = treated.ok_or(SubscriptionError::NotTreated)?;
    if let Some(misfit) = Misfit::of(&terms.treatments, &treated) {
        return Err(misfit.into());
    }
    match supply {
        Supply::NoPlan => return Err(SubscriptionError::NotTreated),
        Supply::NoFillLeft => return Err(SubscriptionError::NoFillLeft),
        Supply::Months(left) if !supply.covers(terms.interval) => {
            let asked = terms.interval.months();
            return Err(SubscriptionError::PeriodTooLong { asked, left });
        }
        Supply::Months(_) => {}
    }
    if stopped {
        return Err(SubscriptionError::TreatmentStopped);
    }
    if !can_pay && terms.amount.minor > 0 {
        return Err(SubscriptionError::NoPaymentMethod);
    }
    let purchase = Purchase { id, patient, assessment, terms, zone, consent };
    let (subscription, change) = Subscription::start(purchase, actor, now)?;
    let taken =
        |error: PortError| error.at(ONE_LIVE_PER_CATEGORY, SubscriptionError::AlreadySubscribed);
    tx.insert(&subscription).await.map_err(taken)?;
    tx.add_change(&subscription, &change).await?;
    tx.emit(Event::SubscriptionStarted {
        subscription: id,
        patient,
        category: subscription.category,
        plan: subscription.plan,
        price: subscription.price,
    });
    tx.audit(
        AuditEntry::new(AuditAction::Create, "subscription", id)
            .patient(patient)
            .detail("plan", subscription.plan.to_string())
            .detail("price", subscription.price.to_string())
            .detail("price_version", subscription.price_version)
            .detail("terms_version", subscription.consent.terms_version.clone()),
    );
    tx.commit().await?;
    Ok(subscription)
}

fn consent(
    request: &StartSubscription,
    terms: &PriceTerms,
    actor: &Actor,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Consent, SubscriptionError> {
    let mut errors = Vec::new();
    if !request.consent_accepted {
        errors.push(FieldError::new(
            "consent.accepted",
            "required",
            "The terms of automatic renewal must be accepted expressly.",
        ));
    }
    let version = TermsVersion::take("consent.terms_version", &request.terms_version)
        .map_err(|error| errors.push(error))
        .unwrap_or_default();
    if request.amount_shown != terms.amount {
        errors.push(FieldError::new(
            "consent.amount",
            "price_changed",
            "The price is not the one that was shown; show the current one and ask again.",
        ));
    }
    if !errors.is_empty() {
        return Err(SubscriptionError::ConsentMissing(errors));
    }
    Ok(Consent {
        terms_version: version,
        amount: terms.amount,
        interval: terms.interval,
        accepted_at: now,
        ip: actor.request.ip.map(|ip| ip.to_string()),
        user_agent: actor.request.user_agent.clone(),
    })
}
