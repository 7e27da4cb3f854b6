//! What administrators do with feature flags. It takes `catalog.administer`.

use kernel::{Actor, FeatureFlagId, Permission, Seen};
use ports::{Env, repository::get, repository::lock};

use crate::{CatalogError, CatalogStore, FeatureFlag, FlagSpec, Rollout};

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
    Ok(get(store.begin(actor).await?.as_mut(), id).await?)
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
    tx.insert(&flag).await.map_err(|error| error.at(FLAG_KEY, CatalogError::KeyTaken))?;
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
    let mut tx = store.begin(actor).await?;
    let mut flag = lock::<FeatureFlag>(tx.as_mut(), id, &seen.into()).await?;
    flag.revise(spec)?;
    tx.save(&mut flag).await?;
    tx.commit().await?;
    rollout.forget();
    Ok(flag.into_inner())
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
    let mut tx = store.begin(actor).await?;
    let flag = lock::<FeatureFlag>(tx.as_mut(), id, &seen.into()).await?;
    tx.delete(flag).await?;
    tx.commit().await?;
    rollout.forget();
    Ok(())
}
