//! What can be done with plans. Reading those on offer is open to everyone; changing one
//! takes `catalog.administer`.

use kernel::{
    Actor, CategoryId, CoveredTreatment, Feature, Money, Permission, PlanId, PriceId, Seen, Uuid,
};
use ports::{AuditAction, AuditEntry, Env, PortError, repository::get, repository::lock};

use crate::{
    BillingInterval, CatalogError, CatalogStore, CatalogTx, Category, Comparison, Plan, PlanFilter,
    PlanSpec, Price, PriceSpec, Tier,
};

/// The unique rule that keeps two plans of a category from having one name.
pub const PLAN_NAME_KEY: &str = "plan_name_key";

/// The plans that a new subscriber can take now.
pub async fn plans(
    env: &Env,
    store: &dyn CatalogStore,
    actor: &Actor,
    category: Option<CategoryId>,
) -> Result<Vec<Plan>, CatalogError> {
    let filter = PlanFilter { category, offered_at: Some(env.now()) };
    Ok(store.begin(actor).await?.plans(filter).await?)
}

/// Every plan, whether it is offered or not.
pub async fn all_plans(
    store: &dyn CatalogStore,
    actor: &Actor,
    category: Option<CategoryId>,
) -> Result<Vec<Plan>, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    Ok(store.begin(actor).await?.plans(PlanFilter { category, offered_at: None }).await?)
}

/// One plan; one that is not offered now exists for administrators only.
pub async fn plan(
    env: &Env,
    store: &dyn CatalogStore,
    actor: &Actor,
    id: PlanId,
) -> Result<Plan, CatalogError> {
    let mut tx = store.begin(actor).await?;
    let plan = get::<Plan>(tx.as_mut(), id).await?;
    if actor.may(Permission::CatalogAdminister) || is_visible(env, tx.as_mut(), &plan).await? {
        Ok(plan)
    } else {
        Err(CatalogError::no::<Plan>())
    }
}

/// What the other contexts need to know of a price: billing and subscriptions
/// read it through a bridge, and keep what they read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricedPlan {
    pub price: PriceId,
    pub plan: PlanId,
    pub plan_name: String,
    pub plan_version: i64,
    pub tier: Tier,
    pub features: Vec<Feature>,
    /// The treatments that the plan pays for.
    pub treatments: Vec<CoveredTreatment>,
    pub category: CategoryId,
    pub category_slug: String,
    pub category_name: String,
    pub interval: BillingInterval,
    pub amount: Money,
    /// Whether a new subscriber can take it now. A subscription that has it
    /// keeps it when it no longer is.
    pub offered: bool,
}

pub async fn price(
    env: &Env,
    store: &dyn CatalogStore,
    actor: &Actor,
    id: PriceId,
) -> Result<PricedPlan, CatalogError> {
    let mut tx = store.begin(actor).await?;
    let not_found = || PortError::not_found("price");
    let plan = tx.plan_of_price(id).await?.ok_or_else(not_found)?;
    let price = *plan.price(id).ok_or_else(not_found)?;
    let category = get::<Category>(tx.as_mut(), plan.category).await?;
    Ok(PricedPlan {
        price: price.id,
        plan: plan.id,
        plan_version: plan.version,
        tier: plan.tier,
        offered: price.active && category.active && plan.is_offered(env.now()),
        plan_name: plan.name,
        features: plan.features,
        treatments: plan.treatments,
        category: category.id,
        category_slug: category.slug,
        category_name: category.name,
        interval: price.interval,
        amount: price.amount,
    })
}

/// Compares plans that are offered now, in the order of the ids; an
/// administrator may ask for `all`, offered or not.
pub async fn compare_plans(
    env: &Env,
    store: &dyn CatalogStore,
    actor: &Actor,
    ids: &[PlanId],
    all: bool,
) -> Result<Comparison, CatalogError> {
    if all {
        actor.require(Permission::CatalogAdminister)?;
    }
    if ids.len() > Comparison::MOST {
        return Comparison::of(Vec::new());
    }
    let mut tx = store.begin(actor).await?;
    let mut plans = Vec::with_capacity(ids.len());
    for id in ids {
        let plan = get::<Plan>(tx.as_mut(), *id).await?;
        if !all && !is_visible(env, tx.as_mut(), &plan).await? {
            return Err(CatalogError::no::<Plan>());
        }
        plans.push(plan);
    }
    Comparison::of(plans)
}

/// Whether everybody sees the plan now.
async fn is_visible(env: &Env, tx: &mut dyn CatalogTx, plan: &Plan) -> Result<bool, CatalogError> {
    let category: Option<Category> = tx.find(plan.category).await?;
    Ok(plan.is_offered(env.now()) && category.is_some_and(|category| category.active))
}

pub async fn create_plan(
    env: &Env,
    store: &dyn CatalogStore,
    actor: &Actor,
    spec: PlanSpec,
) -> Result<Plan, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let plan = Plan::create(env.fresh(), spec, |_| env.fresh())?;
    insert(store.begin(actor).await?, plan).await
}

/// Creates the plan under a known id unless it is there already. The ids of its prices
/// follow from the plan's id, so that a seed can name them. One that was sown before plans
/// named treatments, and that nobody has changed since, becomes what the seed says now, at
/// the prices that it has.
pub async fn seed_plan(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: PlanId,
    spec: PlanSpec,
) -> Result<Plan, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let named = |price: &PriceSpec| {
        PriceId(Uuid::new_v5(&id.uuid(), price.interval.to_string().as_bytes()))
    };
    let mut tx = store.begin(actor).await?;
    let found: Option<Plan> = tx.find(id).await?;
    let Some(known) = found else { return insert(tx, Plan::create(id, spec, named)?).await };
    let names_news = known.treatments.is_empty() && !spec.treatments.is_empty();
    if known.version > 1 || !names_news {
        return Ok(known);
    }
    // What it costs stays: a price never changes.
    let kept = |price: &Price| PriceSpec { interval: price.interval, amount: price.amount };
    let prices = known.offered_prices().map(kept).collect();
    let mut plan = lock::<Plan>(tx.as_mut(), id, &known.version.into()).await?;
    plan.revise(PlanSpec { prices, ..spec }, named)?;
    tx.save(&mut plan).await.map_err(name_taken)?;
    tx.commit().await?;
    Ok(plan.into_inner())
}

async fn insert(mut tx: Box<dyn CatalogTx>, plan: Plan) -> Result<Plan, CatalogError> {
    get::<Category>(tx.as_mut(), plan.category).await?;
    tx.insert(&plan).await.map_err(name_taken)?;
    tx.commit().await?;
    Ok(plan)
}

/// `seen` is what the caller read.
pub async fn revise_plan(
    env: &Env,
    store: &dyn CatalogStore,
    actor: &Actor,
    id: PlanId,
    seen: impl Into<Seen>,
    spec: PlanSpec,
) -> Result<Plan, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let mut tx = store.begin(actor).await?;
    let mut plan = lock::<Plan>(tx.as_mut(), id, &seen.into()).await?;
    plan.revise(spec, |_| env.fresh())?;
    tx.save(&mut plan).await.map_err(name_taken)?;
    tx.commit().await?;
    Ok(plan.into_inner())
}

/// Takes the plan off the market; whoever has it keeps it. `seen` is what the caller read;
/// deactivating what is inactive changes nothing.
pub async fn deactivate_plan(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: PlanId,
    seen: impl Into<Seen>,
) -> Result<Plan, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let mut tx = store.begin(actor).await?;
    let mut plan = lock::<Plan>(tx.as_mut(), id, &seen.into()).await?;
    if plan.active {
        plan.active = false;
        tx.save(&mut plan).await?;
        tx.audit(AuditEntry::new(AuditAction::Delete, "plan", id));
        tx.commit().await?;
    }
    Ok(plan.into_inner())
}

fn name_taken(error: PortError) -> CatalogError {
    error.at(PLAN_NAME_KEY, CatalogError::NameTaken)
}
