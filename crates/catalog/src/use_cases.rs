//! What can be done with the catalog. Reading it is open to everyone; changing
//! it takes `catalog.administer`.

use kernel::{
    Actor, CategoryId, CoveredTreatment, Feature, Money, Permission, PlanId, PriceId, Seen, Uuid,
};
use ports::{AuditAction, AuditEntry, Env, PortError};

use crate::{
    BillingInterval, CatalogError, CatalogStore, CatalogTx, Category, CategorySpec, Comparison,
    Plan, PlanFilter, PlanSpec, Price, PriceSpec, Revision, Tier,
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
    if is_visible(env, tx.as_mut(), &plan).await? {
        Ok(plan)
    } else {
        Err(CatalogError::PlanNotFound)
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
        treatments: plan.treatments,
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
    let (category, before) = match tx.category(id).await? {
        None => {
            let category = Category::create(id, spec)?;
            tx.insert_category(&category).await?;
            (category, None)
        }
        Some(current) => match current.revise(spec)? {
            None => return Ok(current),
            Some(category) => {
                tx.save_category(&category).await?;
                (category, Some(Revision::of_category(&current)))
            }
        },
    };
    record(tx.as_mut(), before, Revision::of_category(&category), None).await?;
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
    record(tx.as_mut(), None, Revision::of_category(&category), None).await?;
    tx.commit().await?;
    Ok(category)
}

/// `seen` is what the caller read. A category that is no longer active takes
/// no new patients and sells no plan; who is treated stays so.
pub async fn revise_category(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: CategoryId,
    seen: impl Into<Seen>,
    spec: CategorySpec,
) -> Result<Category, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let seen = seen.into();
    let mut tx = store.begin(actor).await?;
    let current = tx.category(id).await?.ok_or(CatalogError::CategoryNotFound)?;
    let before = Revision::of_category(&current);
    if !seen.admits(current.version) {
        return Err(lost_race(tx.as_mut(), &seen, &before).await?);
    }
    let Some(category) = current.revise(spec)? else { return Ok(current) };
    if let Err(error) = tx.save_category(&category).await {
        let error = slug_taken(error);
        if !is_conflict(&error) {
            return Err(error);
        }
        drop(tx);
        let mut tx = store.begin(actor).await?;
        let now = tx.category(id).await?.ok_or(CatalogError::CategoryNotFound)?;
        return Err(Revision::of_category(&now).lost_race(&seen, Some(&before)));
    }
    record(tx.as_mut(), Some(before), Revision::of_category(&category), None).await?;
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

/// Keeps and audits a version, with what was said before it.
pub(crate) async fn record(
    tx: &mut dyn CatalogTx,
    before: Option<Revision>,
    after: Revision,
    action: Option<AuditAction>,
) -> Result<(), CatalogError> {
    let made = if before.is_some() { AuditAction::Update } else { AuditAction::Create };
    let mut entry = AuditEntry::new(action.unwrap_or(made), after.kind.into(), after.entry)
        .detail("version", after.version);
    if let Some(before) = before {
        // One from before revisions were kept is not there yet.
        tx.keep_revision(&before).await?;
        entry = entry.detail("before", before.as_json());
    }
    tx.keep_revision(&after).await?;
    tx.audit(entry.detail("after", after.as_json()));
    Ok(())
}

/// What the caller is told who read another version than the current one.
pub(crate) async fn lost_race(
    tx: &mut dyn CatalogTx,
    seen: &Seen,
    now: &Revision,
) -> Result<CatalogError, CatalogError> {
    let read = match seen.newest() {
        Some(version) => tx.revision(now.kind, now.entry, version).await?,
        None => None,
    };
    Ok(now.lost_race(seen, read.as_ref()))
}

pub(crate) fn is_conflict(error: &CatalogError) -> bool {
    matches!(error, CatalogError::Port(PortError::Conflict(_)))
}

fn slug_taken(error: PortError) -> CatalogError {
    match error {
        PortError::Conflict(rule) if rule == CATEGORY_SLUG_KEY => CatalogError::SlugTaken,
        other => other.into(),
    }
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
        let plan = tx.plan(*id).await?.ok_or(CatalogError::PlanNotFound)?;
        if !all && !is_visible(env, tx.as_mut(), &plan).await? {
            return Err(CatalogError::PlanNotFound);
        }
        plans.push(plan);
    }
    Comparison::of(plans)
}

/// Whether everybody sees the plan now.
async fn is_visible(env: &Env, tx: &mut dyn CatalogTx, plan: &Plan) -> Result<bool, CatalogError> {
    let category = tx.category(plan.category).await?;
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
    insert_plan(store, actor, plan).await
}

/// Creates the plan under a known id unless it is there already. The ids of
/// its prices follow from the plan's id, so that a seed can name them. One that
/// was sown before plans named treatments, and that nobody has changed since,
/// becomes what the seed says now, at the prices that it has.
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
    if let Some(known) = tx.plan(id).await? {
        let names_news = known.treatments.is_empty() && !spec.treatments.is_empty();
        if known.version > 1 || !names_news {
            return Ok(known);
        }
        // What it costs stays: a price never changes.
        let kept = |price: &Price| PriceSpec { interval: price.interval, amount: price.amount };
        let prices = known.offered_prices().map(kept).collect();
        let plan = known.revise(PlanSpec { prices, ..spec }, named)?;
        tx.save_plan(&plan).await.map_err(name_taken)?;
        let (before, after) = (Revision::of_plan(&known), Revision::of_plan(&plan));
        record(tx.as_mut(), Some(before), after, None).await?;
        tx.commit().await?;
        return Ok(plan);
    }
    drop(tx);
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
    record(tx.as_mut(), None, Revision::of_plan(&plan), None).await?;
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
    let seen = seen.into();
    let (mut tx, current) = current_plan(store, actor, id, &seen).await?;
    let plan = current.revise(spec, |_| env.fresh())?;
    let before = Revision::of_plan(&current);
    if let Err(error) = tx.save_plan(&plan).await {
        drop(tx);
        return Err(plan_race(store, actor, &seen, before, name_taken(error)).await?);
    }
    record(tx.as_mut(), Some(before), Revision::of_plan(&plan), None).await?;
    tx.commit().await?;
    Ok(plan)
}

/// `seen` is what the caller read; deactivating what is inactive changes
/// nothing.
pub async fn deactivate_plan(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: PlanId,
    seen: impl Into<Seen>,
) -> Result<Plan, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let seen = seen.into();
    let (mut tx, current) = current_plan(store, actor, id, &seen).await?;
    let Some(plan) = current.deactivate() else { return Ok(current) };
    let before = Revision::of_plan(&current);
    if let Err(error) = tx.save_plan(&plan).await {
        drop(tx);
        return Err(plan_race(store, actor, &seen, before, error.into()).await?);
    }
    let (after, action) = (Revision::of_plan(&plan), Some(AuditAction::Delete));
    record(tx.as_mut(), Some(before), after, action).await?;
    tx.commit().await?;
    Ok(plan)
}

/// The plan as it is, if the caller has seen it so.
async fn current_plan(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: PlanId,
    seen: &Seen,
) -> Result<(Box<dyn CatalogTx>, Plan), CatalogError> {
    let mut tx = store.begin(actor).await?;
    let current = tx.plan(id).await?.ok_or(CatalogError::PlanNotFound)?;
    if !seen.admits(current.version) {
        return Err(lost_race(tx.as_mut(), seen, &Revision::of_plan(&current)).await?);
    }
    Ok((tx, current))
}

/// What became of a plan that another change reached first.
async fn plan_race(
    store: &dyn CatalogStore,
    actor: &Actor,
    seen: &Seen,
    before: Revision,
    error: CatalogError,
) -> Result<CatalogError, CatalogError> {
    if !is_conflict(&error) {
        return Ok(error);
    }
    let mut tx = store.begin(actor).await?;
    let now = tx.plan(PlanId(before.entry)).await?.ok_or(CatalogError::PlanNotFound)?;
    Ok(Revision::of_plan(&now).lost_race(seen, Some(&before)))
}

pub(crate) fn administers(actor: &Actor) -> bool {
    actor.may(Permission::CatalogAdminister)
}

fn name_taken(error: PortError) -> CatalogError {
    match error {
        PortError::Conflict(rule) if rule == PLAN_NAME_KEY => CatalogError::NameTaken,
        other => other.into(),
    }
}
