//! Editing the permission matrix.

use std::collections::BTreeSet;

use kernel::{Actor, Permission, Role};
use ports::{AuditAction, AuditEntry};

use crate::{IdentityError, Matrix, Services, error::Result, permissions::RoleGrant};

/// The matrix as it is now.
pub async fn matrix(services: &Services, actor: &Actor) -> Result<Matrix> {
    actor.require(Permission::RoleAdminister)?;
    Ok(services.store.begin(actor).await?.matrix().await?)
}

/// Gives a role other permissions and other roles to inherit from. It counts
/// from the next request on, on every node.
pub async fn edit(
    services: &Services,
    actor: &Actor,
    role: Role,
    seen: i64,
    own: BTreeSet<Permission>,
    inherits: BTreeSet<Role>,
) -> Result<Matrix> {
    actor.require(Permission::RoleAdminister)?;
    let mut tx = services.store.begin(actor).await?;
    let matrix = tx.lock_matrix().await?;
    let old = matrix.grant(role);
    if old.version != seen {
        return Err(IdentityError::GrantChanged { role, grant: Box::new(old) });
    }
    let edited = matrix.edit(role, own, inherits)?;
    let new = edited.grant(role);
    if (&new.own, &new.inherits) == (&old.own, &old.inherits) {
        return Ok(matrix);
    }
    tx.save_grant(role, &new, services.now()).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "role", role)
            .detail("old", described(&old))
            .detail("new", described(&new)),
    );
    tx.commit().await?;
    services.forget_matrix();
    Ok(edited)
}

pub(crate) fn described(grant: &RoleGrant) -> serde_json::Value {
    serde_json::json!({ "permissions": grant.own, "inherits": grant.inherits })
}
