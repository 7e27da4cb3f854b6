//! Publishing what care decides by: rules, protocols, dose limits, and what
//! the states allow. Publishing the same again changes nothing.

use kernel::{Actor, CategoryId, Permission, RxNorm, Seen, UsState};
use ports::{AuditAction, Env};

use crate::{
    CareError, CareStore, DoseLimit, Modality, Protocol, Rule, RuleSet, StatePolicy,
    eligibility::{RuleSetContent, Scope},
    rules,
    setting::{self, Setting},
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
    let number = tx.latest_rule_number(category, &scope).await? + 1;
    let mut set = RuleSet::draft(env.fresh(), (category, scope), number, content, env.now());
    let mut current = rules::lock_current(tx.as_mut(), current).await?;
    set.publish(current.as_deref_mut(), env.now())?;
    if let Some(retired) = &mut current {
        tx.save(retired).await?;
    }
    tx.insert(&set).await?;
    tx.audit(rules::entry(AuditAction::Create, &set).detail("published", true));
    tx.commit().await?;
    Ok(set)
}

/// The version that a setting is to replace; `None` where it says the same already.
async fn outdated<T: Setting>(
    store: &dyn CareStore,
    actor: &Actor,
    setting: &T,
) -> Result<Option<Seen>, CareError> {
    let mut tx = store.begin(actor).await?;
    let held = setting::versioned::<T>(tx.as_mut(), setting.key()).await?;
    let (held, version) = held.unzip();
    Ok((held.as_ref() != Some(setting)).then(|| Seen::from(version.unwrap_or(0))))
}

/// Puts a drug into the formulary, whatever it said of it before.
pub async fn set_dose_limit(
    store: &dyn CareStore,
    actor: &Actor,
    limit: &DoseLimit,
) -> Result<(), CareError> {
    if let Some(seen) = outdated(store, actor, limit).await? {
        setting::set_drug(store, actor, limit, &seen).await?;
    }
    Ok(())
}

/// Sets the default treatment of a category.
pub async fn set_protocol(
    store: &dyn CareStore,
    actor: &Actor,
    protocol: &Protocol,
) -> Result<(), CareError> {
    if let Some(seen) = outdated(store, actor, protocol).await? {
        setting::save_protocol(store, actor, protocol, &seen).await?;
    }
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
        let (policy, seen) = (StatePolicy { state, modality }, Seen::from(version.unwrap_or(0)));
        setting::set_state_policy(store, actor, &policy, &seen).await?;
    }
    Ok(())
}
