//! What can be done with the catalog. Reading it is open to everyone; changing
//! it takes `catalog.administer`.

use kernel::{Actor, CategoryId, Money, Permission, PlanId, PriceId, Uuid};
use ports::{AuditAction, AuditEntry, Env, PortError};
use serde_json::json;

use crate::{
    BillingInterval, CatalogError, CatalogStore, Category, CategorySpec, Comparison, Plan,
    PlanFilter, PlanSpec, PriceSpec, Tier,
};

/// The unique rule that keeps two plans of a category from having one name.
pub const PLAN_NAME_KEY: &str = "plan_name_key";

/// The rule that a slug names one category.
pub const CATEGORY_SLUG_KEY: &str = "category_slug_key";

pub async fn categories(
    store: &dyn CatalogStore,
    actor: &Actor,
) -> Result<Vec<Category>, CatalogError> {
    Ok(store.begin(actor).await?.categories(!administers(actor)).await?)
}

/// An inactive category exists for administrators only.
pub async fn category(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: CategoryId,
) -> Result<Category, CatalogError> {
    let found = store.begin(actor).await?.category(id).await?;
    found
        .filter(|category| category.active || administers(actor))
        .ok_or(CatalogError::CategoryNotFound)
}

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
    let plan = tx.plan(id).await?.ok_or(CatalogError::PlanNotFound)?;
    if administers(actor) {
        return Ok(plan);
    }
    let category = tx.category(plan.category).await?;
    let visible = plan.is_offered(env.now()) && category.is_some_and(|category| category.active);
    if visible { Ok(plan) } else { Err(CatalogError::PlanNotFound) }
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
    pub features: Vec<String>,
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
    let plan = tx.plan_of_price(id).await?.ok_or(CatalogError::PriceNotFound)?;
    let price = *plan.price(id).ok_or(CatalogError::PriceNotFound)?;
    let category = tx.category(plan.category).await?.ok_or(CatalogError::CategoryNotFound)?;
    Ok(PricedPlan {
        price: price.id,
        plan: plan.id,
        plan_version: plan.version,
        tier: plan.tier,
        offered: price.active && category.active && plan.is_offered(env.now()),
        plan_name: plan.name,
        features: plan.features,
        category: category.id,
        category_slug: category.slug,
        category_name: category.name,
        interval: price.interval,
        amount: price.amount,
    })
}

/// Creates the category, or revises it where it exists.
pub async fn save_category(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: CategoryId,
    spec: CategorySpec,
) -> Result<Category, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let mut tx = store.begin(actor).await?;
    let (category, action) = match tx.category(id).await? {
        None => {
            let category = Category::create(id, spec)?;
            tx.insert_category(&category).await?;
            (category, AuditAction::Create)
        }
        Some(current) => match current.revise(spec)? {
            None => return Ok(current),
            Some(category) => {
                tx.save_category(&category).await?;
                (category, AuditAction::Update)
            }
        },
    };
    tx.audit(category_entry(action, &category)).await?;
    tx.commit().await?;
    Ok(category)
}

/// Creates a category under a new id.
pub async fn create_category(
    env: &Env,
    store: &dyn CatalogStore,
    actor: &Actor,
    spec: CategorySpec,
) -> Result<Category, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let category = Category::create(env.fresh(), spec)?;
    let mut tx = store.begin(actor).await?;
    tx.insert_category(&category).await.map_err(slug_taken)?;
    tx.audit(category_entry(AuditAction::Create, &category)).await?;
    tx.commit().await?;
    Ok(category)
}

/// `seen` is the version that the caller read. A category that is no longer
/// active takes no new patients and sells no plan; who is treated stays so.
pub async fn revise_category(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: CategoryId,
    seen: i64,
    spec: CategorySpec,
) -> Result<Category, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let mut tx = store.begin(actor).await?;
    let current = tx.category(id).await?.ok_or(CatalogError::CategoryNotFound)?;
    if current.version != seen {
        return Err(CatalogError::changed(seen, current.version));
    }
    let Some(category) = current.revise(spec)? else { return Ok(current) };
    tx.save_category(&category).await.map_err(|error| match slug_taken(error) {
        CatalogError::Port(PortError::Conflict(_)) => CatalogError::changed(seen, seen + 1),
        other => other,
    })?;
    let before = serde_json::json!({
        "slug": current.slug, "name": current.name, "active": current.active,
        "required_modality": current.configuration.required_modality.to_string(),
        "minimum_age": current.configuration.minimum_age,
        "maximum_age": current.configuration.maximum_age,
    });
    tx.audit(category_entry(AuditAction::Update, &category).detail("before", before)).await?;
    tx.commit().await?;
    Ok(category)
}

/// Every category, offered or not.
pub async fn all_categories(
    store: &dyn CatalogStore,
    actor: &Actor,
) -> Result<Vec<Category>, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    Ok(store.begin(actor).await?.categories(false).await?)
}

fn category_entry(action: AuditAction, category: &Category) -> AuditEntry {
    AuditEntry::new(action, "category", category.id)
        .detail("slug", category.slug.as_str())
        .detail("name", category.name.as_str())
        .detail("active", category.active)
        .detail("required_modality", category.configuration.required_modality.to_string())
        .detail("minimum_age", category.configuration.minimum_age)
        .detail("maximum_age", category.configuration.maximum_age)
        .detail("version", category.version)
}

fn slug_taken(error: PortError) -> CatalogError {
    match error {
        PortError::Conflict(rule) if rule == CATEGORY_SLUG_KEY => CatalogError::SlugTaken,
        other => other.into(),
    }
}

/// Compares plans that are offered now, in the order of the ids.
pub async fn compare_plans(
    env: &Env,
    store: &dyn CatalogStore,
    actor: &Actor,
    ids: &[PlanId],
) -> Result<Comparison, CatalogError> {
    if ids.len() > Comparison::MOST {
        return Comparison::of(Vec::new());
    }
    let mut plans = Vec::with_capacity(ids.len());
    for id in ids {
        plans.push(plan(env, store, actor, *id).await?);
    }
    Comparison::of(plans)
}

pub async fn create_plan(
    env: &Env,
    store: &dyn CatalogStore,
    actor: &Actor,
    spec: PlanSpec,
) -> Result<Plan, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let plan = Plan::create(env.fresh(), spec, |_| env.fresh())?;
    insert_plan(store, actor, plan).await
}

/// Creates the plan under a known id unless it is there already. The ids of
/// its prices follow from the plan's id, so that a seed can name them.
pub async fn seed_plan(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: PlanId,
    spec: PlanSpec,
) -> Result<Plan, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    if let Some(plan) = store.begin(actor).await?.plan(id).await? {
        return Ok(plan);
    }
    let named = |price: &PriceSpec| {
        PriceId(Uuid::new_v5(&id.uuid(), price.interval.to_string().as_bytes()))
    };
    insert_plan(store, actor, Plan::create(id, spec, named)?).await
}

async fn insert_plan(
    store: &dyn CatalogStore,
    actor: &Actor,
    plan: Plan,
) -> Result<Plan, CatalogError> {
    let mut tx = store.begin(actor).await?;
    if tx.category(plan.category).await?.is_none() {
        return Err(CatalogError::CategoryNotFound);
    }
    tx.insert_plan(&plan).await.map_err(name_taken)?;
    tx.audit(plan_entry(AuditAction::Create, &plan)).await?;
    tx.commit().await?;
    Ok(plan)
}

/// `seen` is the version that the caller read.
pub async fn revise_plan(
    env: &Env,
    store: &dyn CatalogStore,
    actor: &Actor,
    id: PlanId,
    seen: i64,
    spec: PlanSpec,
) -> Result<Plan, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let mut tx = store.begin(actor).await?;
    let current = tx.plan(id).await?.ok_or(CatalogError::PlanNotFound)?;
    if current.version != seen {
        return Err(CatalogError::changed(seen, current.version));
    }
    let plan = current.revise(spec, |_| env.fresh())?;
    tx.save_plan(&plan).await.map_err(|error| match name_taken(error) {
        CatalogError::Port(PortError::Conflict(_)) => CatalogError::changed(seen, seen + 1),
        other => other,
    })?;
    let entry = plan_entry(AuditAction::Update, &plan).detail("before", prices_of(&current));
    tx.audit(entry).await?;
    tx.commit().await?;
    Ok(plan)
}

/// `seen` is the version that the caller read; deactivating what is inactive
/// changes nothing.
pub async fn deactivate_plan(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: PlanId,
    seen: i64,
) -> Result<Plan, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let mut tx = store.begin(actor).await?;
    let current = tx.plan(id).await?.ok_or(CatalogError::PlanNotFound)?;
    if current.version != seen {
        return Err(CatalogError::changed(seen, current.version));
    }
    let Some(plan) = current.deactivate() else { return Ok(current) };
    tx.save_plan(&plan).await.map_err(|error| match error {
        PortError::Conflict(_) => CatalogError::changed(seen, seen + 1),
        other => other.into(),
    })?;
    tx.audit(plan_entry(AuditAction::Delete, &plan)).await?;
    tx.commit().await?;
    Ok(plan)
}

fn administers(actor: &Actor) -> bool {
    actor.may(Permission::CatalogAdminister)
}

fn name_taken(error: PortError) -> CatalogError {
    match error {
        PortError::Conflict(rule) if rule == PLAN_NAME_KEY => CatalogError::NameTaken,
        other => other.into(),
    }
}

fn plan_entry(action: AuditAction, plan: &Plan) -> AuditEntry {
    AuditEntry::new(action, "plan", plan.id)
        .detail("category", plan.category.to_string())
        .detail("active", plan.active)
        .detail("version", plan.version)
        .detail("prices", prices_of(plan))
}

/// The offered prices by interval; they are configuration, so the audit log
/// holds the old and the new ones.
fn prices_of(plan: &Plan) -> serde_json::Value {
    plan.offered_prices()
        .map(|price| (price.interval.to_string(), json!(price.amount.to_string())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
