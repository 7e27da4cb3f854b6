//! What administrators do with feature flags. It takes `catalog.administer`.

use kernel::{Actor, FeatureFlagId, Permission, Seen};
use ports::{AuditAction, AuditEntry, Env, PortError};

use crate::{
    CatalogError, CatalogStore, CatalogTx, FeatureFlag, FlagSpec, Revision, Rollout,
    use_cases::{is_conflict, lost_race, record},
};

/// The rule that a key names one flag.
pub const FLAG_KEY: &str = "feature_flag_key";

/// Every flag, by key.
pub async fn all(
    store: &dyn CatalogStore,
    actor: &Actor,
) -> Result<Vec<FeatureFlag>, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    Ok(store.begin(actor).await?.flags().await?)
}

pub async fn one(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: FeatureFlagId,
) -> Result<FeatureFlag, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    store.begin(actor).await?.flag(id).await?.ok_or(CatalogError::FlagNotFound)
}

pub async fn create(
    env: &Env,
    store: &dyn CatalogStore,
    rollout: &Rollout,
    actor: &Actor,
    spec: FlagSpec,
) -> Result<FeatureFlag, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let flag = FeatureFlag::create(env.fresh(), spec)?;
    let mut tx = store.begin(actor).await?;
    tx.insert_flag(&flag).await.map_err(|error| match error {
        PortError::Conflict(rule) if rule == FLAG_KEY => CatalogError::KeyTaken,
        other => other.into(),
    })?;
    record(tx.as_mut(), None, Revision::of_flag(&flag), None).await?;
    tx.commit().await?;
    rollout.forget();
    Ok(flag)
}

/// `seen` is what the caller read.
pub async fn revise(
    store: &dyn CatalogStore,
    rollout: &Rollout,
    actor: &Actor,
    id: FeatureFlagId,
    seen: impl Into<Seen>,
    spec: FlagSpec,
) -> Result<FeatureFlag, CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let seen = seen.into();
    let (mut tx, current) = current(store, actor, id, &seen).await?;
    let Some(flag) = current.revise(spec)? else { return Ok(current) };
    let before = Revision::of_flag(&current);
    if let Err(error) = tx.save_flag(&flag).await {
        drop(tx);
        return Err(race(store, actor, &seen, before, error.into()).await?);
    }
    record(tx.as_mut(), Some(before), Revision::of_flag(&flag), None).await?;
    tx.commit().await?;
    rollout.forget();
    Ok(flag)
}

/// `seen` is what the caller read. What asks for the flag finds it off.
pub async fn delete(
    store: &dyn CatalogStore,
    rollout: &Rollout,
    actor: &Actor,
    id: FeatureFlagId,
    seen: impl Into<Seen>,
) -> Result<(), CatalogError> {
    actor.require(Permission::CatalogAdminister)?;
    let seen = seen.into();
    let (mut tx, current) = current(store, actor, id, &seen).await?;
    let before = Revision::of_flag(&current);
    if let Err(error) = tx.delete_flag(&current).await {
        drop(tx);
        return Err(race(store, actor, &seen, before, error.into()).await?);
    }
    tx.keep_revision(&before).await?;
    let entry = AuditEntry::new(AuditAction::Delete, before.kind.into(), before.entry)
        .detail("version", before.version)
        .detail("before", before.as_json());
    tx.audit(entry);
    tx.commit().await?;
    rollout.forget();
    Ok(())
}

/// The flag as it is, if the caller has seen it so.
async fn current(
    store: &dyn CatalogStore,
    actor: &Actor,
    id: FeatureFlagId,
    seen: &Seen,
) -> Result<(Box<dyn CatalogTx>, FeatureFlag), CatalogError> {
    let mut tx = store.begin(actor).await?;
    let current = tx.flag(id).await?.ok_or(CatalogError::FlagNotFound)?;
    if !seen.admits(current.version) {
        return Err(lost_race(tx.as_mut(), seen, &Revision::of_flag(&current)).await?);
    }
    Ok((tx, current))
}

/// What became of a flag that another change reached first.
async fn race(
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
    let now = tx.flag(before.entry.into()).await?.ok_or(CatalogError::FlagNotFound)?;
    Ok(Revision::of_flag(&now).lost_race(seen, Some(&before)))
}
