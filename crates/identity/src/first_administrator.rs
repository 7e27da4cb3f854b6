//! The first administrator of an installation, whom nobody could invite: seated
//! from the host by whoever may run commands there.

use std::collections::BTreeSet;

use kernel::{AccountId, Actor, EmailAddress, HumanName, Permission, Role};
use ports::{AuditAction, AuditEntry, Event};

use crate::{
    Account, AccountState, IdentityError, IdentityTx, Matrix, Services,
    account::{ChallengePurpose, EMAIL_KEY},
    error::Result,
    store::lock_account,
};

/// Who is to be the first administrator, and how the link reaches them.
#[derive(Clone, Debug)]
pub struct FirstAdministrator {
    pub email: EmailAddress,
    pub name: HumanName,
    /// The link goes by mail; else it is returned.
    pub mail: bool,
}

/// The account, and the secret of its one-time link where it is not mailed.
pub struct Invited {
    pub account: AccountId,
    pub token: Option<String>,
}

/// The roles by which somebody administers an installation.
fn administering(matrix: &Matrix) -> Vec<Role> {
    let wanted = [Permission::AccountAdminister, Permission::RoleAdminister];
    let administers = |role: &Role| {
        let held = matrix.effective(*role);
        wanted.iter().any(|permission| held.contains(permission))
    };
    Role::ALL.iter().copied().filter(administers).collect()
}

/// Creates the first administrator with a link to choose a password, which
/// then asks for a second factor like that of all staff. It is refused while an
/// active administrator exists. Asked again before the link was followed, the
/// older links open nothing any more, so a mistyped address gets no key to the
/// installation.
pub async fn create(
    services: &Services,
    actor: &Actor,
    first: FirstAdministrator,
) -> Result<Invited> {
    if !actor.is_system() {
        return Err(kernel::actor::MissingPermission(Permission::SystemAdminister).into());
    }
    let mut tx = services.store.begin(actor).await?;
    // The matrix is held, so that two who ask at once are checked one after
    // the other.
    let roles = administering(&tx.lock_matrix().await?);
    if !tx.accounts_with_roles(&roles).await?.is_empty() {
        return Err(IdentityError::AdministratorExists);
    }
    let existing = match tx.account_by_email(&first.email).await? {
        Some(found) => lock_account(tx.as_mut(), found.id).await?,
        None => None,
    };
    void_invitations(tx.as_mut(), &roles, existing.as_ref().map(|account| account.id)).await?;
    let (env, now) = (&services.env, services.now());
    let roles = BTreeSet::from([Role::SuperAdmin]);
    let id = existing.as_ref().map_or_else(|| env.fresh(), |account| account.id);
    let invited =
        Account::invite(id, first.email, first.name, roles.clone(), env.ids.as_ref(), now)?;
    let account = match existing {
        // The same person again: whoever was invited and has not come yet.
        Some(mut old)
            if old.is_staff()
                && old.state == AccountState::Unverified
                && old.password.is_none() =>
        {
            let (created_at, version) = (old.created_at, old.version);
            old.set(Account { created_at, version, ..invited });
            tx.save(&mut old).await?;
            old.into_inner()
        }
        Some(_) => return Err(IdentityError::AccountExists),
        None => {
            let inserted = tx.insert(&invited).await;
            inserted.map_err(|error| error.at(EMAIL_KEY, IdentityError::AccountExists))?;
            invited
        }
    };
    tx.audit(
        AuditEntry::new(AuditAction::Create, "account", id)
            .detail("purpose", "first_administrator")
            .detail("new", roles.iter().map(ToString::to_string).collect::<Vec<_>>())
            .detail("link", if first.mail { "mailed" } else { "printed" }),
    );
    let token = if first.mail {
        tx.emit(Event::PasswordResetRequested { account: id, invited: true });
        None
    } else {
        account.link_token(ChallengePurpose::ResetPassword, services.sealer.as_ref(), now)?
    };
    tx.commit().await?;
    Ok(Invited { account: id, token })
}

/// Takes the links from those who were invited with such a role and have not
/// come yet.
async fn void_invitations(
    tx: &mut dyn IdentityTx,
    roles: &[Role],
    but: Option<AccountId>,
) -> Result<()> {
    for id in tx.unclaimed_accounts(roles).await? {
        if Some(id) == but {
            continue;
        }
        let Some(mut account) = lock_account(tx, id).await? else { continue };
        account.reset = None;
        tx.save(&mut account).await?;
        tx.audit(
            AuditEntry::new(AuditAction::Update, "account", id)
                .detail("change", "invitation_voided"),
        );
    }
    Ok(())
}
