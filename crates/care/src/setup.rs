//! Publishing what care decides by: rules, protocols, dose limits, and what
//! the states allow. Publishing the same again changes nothing.

use kernel::{Actor, CategoryId, Permission, RxNorm, UsState};
use ports::{AuditAction, AuditEntry, Env};

use crate::{
    CareError, CareStore, DoseLimit, Modality, Protocol, Rule, RuleSet,
    eligibility::{RuleSetContent, Scope},
    rules,
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
    tx.audit(rules::entry(AuditAction::Create, &published).detail("published", true)).await?;
    tx.commit().await?;
    Ok(published)
}

/// Sets the largest dose of a drug.
pub async fn set_dose_limit(
    store: &dyn CareStore,
    actor: &Actor,
    limit: &DoseLimit,
) -> Result<(), CareError> {
    actor.require(Permission::RuleAdminister)?;
    let sound = |value: f64| value.is_finite() && value > 0.0;
    if !sound(limit.max_single) || !sound(limit.max_daily) {
        return Err(CareError::field("max_daily", "out_of_range", "More than nothing."));
    }
    let mut tx = store.begin(actor).await?;
    let before = tx.dose_limit(&limit.rxnorm).await?;
    if before.as_ref() == Some(limit) {
        return Ok(());
    }
    tx.save_dose_limit(limit).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "dose_limit", &limit.rxnorm)
            .detail("old_max_daily", before.map(|before| before.max_daily))
            .detail("new_max_daily", limit.max_daily)
            .detail("unit", limit.unit.clone()),
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Sets the default treatment of a category; it must pass the dose guard.
pub async fn set_protocol(
    store: &dyn CareStore,
    actor: &Actor,
    protocol: &Protocol,
) -> Result<(), CareError> {
    actor.require(Permission::RuleAdminister)?;
    let mut tx = store.begin(actor).await?;
    let limit = tx.dose_limit(&protocol.treatment.medication.rxnorm).await?;
    protocol.treatment.validate(limit.as_ref(), "treatment")?;
    if tx.protocol(protocol.category).await?.as_ref() == Some(protocol) {
        return Ok(());
    }
    tx.save_protocol(protocol).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "protocol", protocol.category)
            .detail("rxnorm", protocol.treatment.medication.rxnorm.to_string()),
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Puts a drug on a state's allowlist of automatic approvals.
pub async fn allow_auto_approval(
    store: &dyn CareStore,
    actor: &Actor,
    state: UsState,
    drug: &RxNorm,
) -> Result<(), CareError> {
    actor.require(Permission::RuleAdminister)?;
    let mut tx = store.begin(actor).await?;
    if tx.auto_approval(state, drug).await? {
        return Ok(());
    }
    tx.allow_auto_approval(state, drug).await?;
    tx.audit(AuditEntry::new(AuditAction::Create, "auto_approval", format!("{state}/{drug}")))
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Says how a state lets provider and patient establish their relation.
pub async fn set_modality(
    store: &dyn CareStore,
    actor: &Actor,
    state: UsState,
    modality: Modality,
) -> Result<(), CareError> {
    actor.require(Permission::RuleAdminister)?;
    let mut tx = store.begin(actor).await?;
    let before = tx.modality(state).await?;
    if before == modality {
        return Ok(());
    }
    tx.set_modality(state, modality).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "state_modality", state)
            .detail("old", before.to_string())
            .detail("new", modality.to_string()),
    )
    .await?;
    tx.commit().await?;
    Ok(())
}
