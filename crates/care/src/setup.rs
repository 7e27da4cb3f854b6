//! Publishing what care decides by: rules, protocols, dose limits, and what
//! the states allow. Publishing the same again changes nothing.

use kernel::{Actor, CategoryId, Permission, RxNorm, UsState};
use ports::{AuditAction, Env};

use crate::{
    CareError, CareStore, DoseLimit, Modality, Protocol, Rule, RuleSet, StatePolicy,
    eligibility::{RuleSetContent, Scope},
    rules, setting,
};

/// Publishes a version of a category's own rules, unless the one in force says
/// the same. It is how rules are sown; administrators draft and publish through
/// [`rules`], where they are held against the form as well.
pub async fn publish_rules(
    env: &Env,
    store: &dyn CareStore,
    actor: &Actor,
    category: CategoryId,
    rules: Vec<Rule>,
) -> Result<RuleSet, CareError> {
    actor.require(Permission::RuleAdminister)?;
    let scope = Scope::default();
    let mut tx = store.begin(actor).await?;
    let current = rules::in_force(tx.as_mut(), category, &scope).await?;
    if let Some(current) = current.as_ref().filter(|current| current.rules == rules) {
        return Ok(current.clone());
    }
    let content =
        RuleSetContent { rules, note: None, based_on: current.as_ref().map(|current| current.id) };
    let version = tx.latest_rule_version(category, &scope).await? + 1;
    let draft = RuleSet::draft(env.fresh(), (category, scope), version, content, env.now());
    let (published, retired) = draft.publish(1, current, env.now())?;
    if let Some(retired) = &retired {
        rules::save(tx.as_mut(), retired).await?;
    }
    tx.add_rule_set(&published).await?;
    tx.audit(rules::entry(AuditAction::Create, &published).detail("published", true));
    tx.commit().await?;
    Ok(published)
}

/// Puts a drug into the formulary, whatever it said of it before.
pub async fn set_dose_limit(
    store: &dyn CareStore,
    actor: &Actor,
    limit: &DoseLimit,
) -> Result<(), CareError> {
    let before = store.begin(actor).await?.formulary_drug(&limit.rxnorm).await?;
    if before.as_ref().is_some_and(|(before, _)| before == limit) {
        return Ok(());
    }
    setting::set_drug(store, actor, limit, before.map(|(_, version)| version)).await?;
    Ok(())
}

/// Sets the default treatment of a category.
pub async fn set_protocol(
    store: &dyn CareStore,
    actor: &Actor,
    protocol: &Protocol,
) -> Result<(), CareError> {
    let before = store.begin(actor).await?.category_protocol(protocol.category).await?;
    if before.as_ref().is_some_and(|(before, _)| before == protocol) {
        return Ok(());
    }
    setting::save_protocol(store, actor, protocol, before.map(|(_, version)| version)).await?;
    Ok(())
}

/// Puts a drug on a state's allowlist of automatic approvals.
pub async fn allow_auto_approval(
    store: &dyn CareStore,
    actor: &Actor,
    state: UsState,
    drug: &RxNorm,
) -> Result<(), CareError> {
    rules::set_auto_approval(store, actor, state, drug, true).await
}

/// Says how a state lets provider and patient establish their relation.
pub async fn set_modality(
    store: &dyn CareStore,
    actor: &Actor,
    state: UsState,
    modality: Modality,
) -> Result<(), CareError> {
    let (before, version) = setting::state_policy(store, actor, state).await?;
    if before.modality != modality {
        setting::set_state_policy(store, actor, &StatePolicy { state, modality }, version).await?;
    }
    Ok(())
}
