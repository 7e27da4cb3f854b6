//! Administering rules: drafting, validating, publishing and rolling back,
//! what a new version would change, and replaying what was decided.

mod allowlist;
mod replay;
mod simulate;
mod store;
mod summary;

use async_trait::async_trait;
use kernel::{Actor, CategoryId, FieldError, Page, Permission, RuleSetId, Seen};
use ports::{
    AuditAction, AuditEntry, Env, Locked,
    repository::{get, lock},
};

pub use self::{
    allowlist::{auto_approvals, set_auto_approval},
    replay::{Replay, ReplayedDecision, replay, replay_next},
    simulate::{Change, MOST_SIMULATED, Simulation, simulate},
    store::{RuleSetQuery, RuleTx},
    summary::{Criterion, Requirements, requirements},
};
use crate::{
    CareError, CareStore, CareTx,
    eligibility::{FormSchema, RuleSet, RuleSetContent, RuleSetStatus, Scope, misfits},
};

/// What the published form of a category gives to rules.
#[async_trait]
pub trait FormSchemas: Send + Sync {
    /// `None` where the category has no published form.
    async fn schema(&self, category: CategoryId) -> ports::Result<Option<FormSchema>>;
}

pub async fn list(
    store: &dyn CareStore,
    actor: &Actor,
    query: &RuleSetQuery,
) -> Result<Page<RuleSet>, CareError> {
    actor.require(Permission::RuleAdminister)?;
    Ok(store.begin(actor).await?.rule_sets(query).await?)
}

pub async fn one(
    store: &dyn CareStore,
    actor: &Actor,
    id: RuleSetId,
) -> Result<RuleSet, CareError> {
    actor.require(Permission::RuleAdminister)?;
    Ok(get(store.begin(actor).await?.as_mut(), id).await?)
}

/// A new draft of category and scope. Without a word of what it is based on it
/// knows the version in force now.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRuleSet {
    pub category: CategoryId,
    pub scope: Scope,
    pub content: RuleSetContent,
}

pub async fn draft(
    env: &Env,
    store: &dyn CareStore,
    forms: &dyn FormSchemas,
    actor: &Actor,
    new: NewRuleSet,
) -> Result<RuleSet, CareError> {
    actor.require(Permission::RuleAdminister)?;
    let NewRuleSet { category, scope, mut content } = new;
    if forms.schema(category).await?.is_none() {
        return Err(CareError::field(
            "category_id",
            "no_form",
            "The category has no published form that rules could read.",
        ));
    }
    let mut tx = store.begin(actor).await?;
    check_base(tx.as_mut(), category, content.based_on).await?;
    let current = in_force(tx.as_mut(), category, &scope).await?;
    content.based_on = content.based_on.or(current.map(|current| current.id));
    let number = tx.latest_rule_number(category, &scope).await? + 1;
    let set = RuleSet::draft(env.fresh(), (category, scope), number, content, env.now());
    tx.insert(&set).await?;
    tx.audit(entry(AuditAction::Create, &set));
    tx.commit().await?;
    Ok(set)
}

/// What a draft is said to be made from is a set of the same category.
async fn check_base(
    tx: &mut dyn CareTx,
    category: CategoryId,
    base: Option<RuleSetId>,
) -> Result<(), CareError> {
    let Some(base) = base else { return Ok(()) };
    match tx.find(base).await? {
        Some(RuleSet { category: of, .. }) if of == category => Ok(()),
        _ => {
            Err(CareError::field("based_on", "unknown", "The category has no rule set of this id."))
        }
    }
}

pub async fn revise(
    env: &Env,
    store: &dyn CareStore,
    actor: &Actor,
    id: RuleSetId,
    seen: &Seen,
    content: RuleSetContent,
) -> Result<RuleSet, CareError> {
    actor.require(Permission::RuleAdminister)?;
    let mut tx = store.begin(actor).await?;
    let mut set = lock::<RuleSet>(tx.as_mut(), id, seen).await?;
    check_base(tx.as_mut(), set.category, content.based_on).await?;
    let count = set.rules.len();
    let content = RuleSetContent { based_on: content.based_on.or(set.based_on), ..content };
    set.revise(content, env.now())?;
    tx.save(&mut set).await?;
    tx.audit(entry(AuditAction::Update, &set).detail("old_rules", count));
    tx.commit().await?;
    Ok(set.into_inner())
}

/// Everything for which the set could not be published now; it changes
/// nothing.
pub async fn validate(
    store: &dyn CareStore,
    forms: &dyn FormSchemas,
    actor: &Actor,
    id: RuleSetId,
) -> Result<Vec<FieldError>, CareError> {
    let set = one(store, actor, id).await?;
    faults(forms, &set).await
}

async fn faults(forms: &dyn FormSchemas, set: &RuleSet) -> Result<Vec<FieldError>, CareError> {
    let mut errors = RuleSet::faults(&set.rules);
    match forms.schema(set.category).await? {
        Some(schema) => errors.extend(misfits(&set.rules, &schema)),
        None => errors.push(FieldError::new(
            "category_id",
            "no_form",
            "The category has no published form that rules could read.",
        )),
    }
    Ok(errors)
}

/// Puts a version into force: a draft, or an older version once more, which
/// rolls back to it. It has to fit the form that is published now.
pub async fn publish(
    env: &Env,
    store: &dyn CareStore,
    forms: &dyn FormSchemas,
    actor: &Actor,
    id: RuleSetId,
    seen: &Seen,
) -> Result<RuleSet, CareError> {
    let errors = validate(store, forms, actor, id).await?;
    let mut tx = store.begin(actor).await?;
    let mut set = lock::<RuleSet>(tx.as_mut(), id, seen).await?;
    let rolls_back = set.status == RuleSetStatus::Retired;
    let current = in_force(tx.as_mut(), set.category, &set.scope).await?;
    let mut retired = lock_current(tx.as_mut(), current).await?;
    set.publish(retired.as_deref_mut(), env.now())?;
    if !errors.is_empty() {
        return Err(CareError::Invalid(errors));
    }
    if let Some(retired) = &mut retired {
        tx.save(retired).await?;
    }
    // Of two that are published at one moment the later one hears of the other.
    tx.save(&mut set)
        .await
        .map_err(|error| error.at("care_rule_sets_in_force", CareError::RulesChangedAtOnce))?;
    tx.audit(
        entry(AuditAction::Update, &set)
            .detail("published", true)
            .detail("rolls_back", rolls_back)
            .detail("old_version", retired.as_ref().map(|retired| retired.number))
            .detail("new_version", set.number),
    );
    tx.commit().await?;
    Ok(set.into_inner())
}

/// What the rules in force would miss in a form of this schema: paths are
/// `rules.<rule set id>.<rule>`. A form with any is not published.
pub async fn objections(
    store: &dyn CareStore,
    category: CategoryId,
    schema: &FormSchema,
) -> Result<Vec<FieldError>, CareError> {
    let mut tx = store.begin(&Actor::system("care.rules")).await?;
    let sets = tx.rule_sets_in_force(category).await?;
    let mut errors = Vec::new();
    for set in sets {
        for rule in &set.rules {
            let path = format!("rules.{}.{}", set.id, rule.id);
            errors.extend(misfits(std::slice::from_ref(rule), schema).into_iter().map(|misfit| {
                let message = format!(
                    "Version {} of the eligibility rules reads it otherwise: {}",
                    set.number, misfit.message
                );
                FieldError::new(path.clone(), misfit.code, message)
            }));
        }
    }
    Ok(errors)
}

pub(crate) async fn in_force(
    tx: &mut dyn CareTx,
    category: CategoryId,
    scope: &Scope,
) -> Result<Option<RuleSet>, CareError> {
    let sets = tx.rule_sets_in_force(category).await?;
    Ok(sets.into_iter().find(|set| set.scope == *scope))
}

/// The set in force, to be retired.
pub(crate) async fn lock_current(
    tx: &mut dyn CareTx,
    current: Option<RuleSet>,
) -> Result<Option<Locked<RuleSet>>, CareError> {
    match current {
        Some(current) => Ok(Some(lock(tx, current.id, &Seen::Any).await?)),
        None => Ok(None),
    }
}

pub(crate) fn entry(action: AuditAction, set: &RuleSet) -> AuditEntry {
    AuditEntry::new(action, "rule_set", set.id)
        .detail("category", set.category.to_string())
        .detail("state", set.scope.state.map(|state| state.to_string()))
        .detail("drug", set.scope.drug.as_ref().map(ToString::to_string))
        .detail("number", set.number)
        .detail("rules", set.rules.len())
}
