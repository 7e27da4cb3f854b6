//! The allowlist of automatic approvals, by state and drug.

use kernel::{Actor, Permission, RxNorm, UsState};
use ports::{AuditAction, AuditEntry};

use crate::{CareError, CareStore};

pub async fn auto_approvals(
    store: &dyn CareStore,
    actor: &Actor,
) -> Result<Vec<(UsState, RxNorm)>, CareError> {
    actor.require(Permission::RuleAdminister)?;
    Ok(store.begin(actor).await?.auto_approvals().await?)
}

/// Says whether a drug may be approved automatically in a state. Saying it
/// again changes nothing.
pub async fn set_auto_approval(
    store: &dyn CareStore,
    actor: &Actor,
    state: UsState,
    drug: &RxNorm,
    allowed: bool,
) -> Result<(), CareError> {
    actor.require(Permission::RuleAdminister)?;
    let mut tx = store.begin(actor).await?;
    let before = tx.auto_approval(state, drug).await?;
    if before == allowed {
        return Ok(());
    }
    if allowed {
        tx.allow_auto_approval(state, drug).await?;
    } else {
        tx.forbid_auto_approval(state, drug).await?;
    }
    tx.audit(
        AuditEntry::new(AuditAction::Update, "auto_approval", format!("{state}/{drug}"))
            .detail("old", before)
            .detail("new", allowed),
    );
    tx.commit().await?;
    Ok(())
}
