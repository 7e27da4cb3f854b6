//! One's own open sessions, and how to end them from elsewhere.

use kernel::{AccountId, Actor, SessionId};
use ports::{AuditAction, AuditEntry, repository::get};

use crate::{
    Account, IdentityError, Services, Session, credentials::end_sessions, error::Result,
    second_factor::own, session::RevocationReason,
};

/// A session as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSession {
    pub session: Session,
    /// It is the one that asks.
    pub current: bool,
}

/// The caller's sessions that are live, the last used first.
pub async fn list(services: &Services, actor: &Actor) -> Result<Vec<OpenSession>> {
    let (account, this) = own(actor)?;
    let mut tx = services.store.begin(actor).await?;
    let now = services.now();
    let mut sessions = tx.live_sessions(account).await?;
    sessions.retain(|session| session.is_live(now));
    sessions.sort_by_key(|session| std::cmp::Reverse(session.refreshed_at));
    let open = |session: Session| OpenSession { current: session.id == this, session };
    Ok(sessions.into_iter().map(open).collect())
}

/// Ends one of the caller's sessions. Somebody else's is not there, and asking
/// for it is kept.
pub async fn revoke(services: &Services, actor: &Actor, id: SessionId) -> Result<()> {
    let (account, _) = own(actor)?;
    let mut tx = services.store.begin(actor).await?;
    let entry = AuditEntry::new(AuditAction::Logout, "session", id);
    let Some(session) = tx.lock_session(id).await?.filter(|session| session.account == account)
    else {
        tx.audit(entry.denied());
        tx.commit().await?;
        return Err(IdentityError::NotFound("session"));
    };
    tx.save_session(&session.revoke(RevocationReason::Owner, services.now())).await?;
    tx.audit(entry.detail("account", account.to_string()));
    tx.commit().await?;
    services.forget_session(id).await;
    Ok(())
}

/// Ends all the caller's sessions but the one that asks; says how many.
pub async fn revoke_others(services: &Services, actor: &Actor) -> Result<usize> {
    let (id, this) = own(actor)?;
    let mut tx = services.store.begin(actor).await?;
    let account: Option<Account> = tx.find(id).await?;
    let account = account.ok_or(IdentityError::InvalidToken)?;
    let reason = RevocationReason::Owner;
    let ended = end_sessions(services, tx.as_mut(), &account, Some(this), reason).await?;
    let entry = AuditEntry::new(AuditAction::Logout, "account", id);
    tx.audit(entry.detail("sessions_ended", ended.len()));
    tx.commit().await?;
    services.forget_sessions(&ended).await;
    Ok(ended.len())
}

/// Ends every session of somebody else, as when a laptop is stolen.
pub async fn revoke_all_of(services: &Services, actor: &Actor, id: AccountId) -> Result<usize> {
    crate::staff::require_rank_over(services, actor, id).await?;
    let mut tx = services.store.begin(actor).await?;
    let account = get::<Account>(tx.as_mut(), id).await?;
    let reason = RevocationReason::Administrator;
    let ended = end_sessions(services, tx.as_mut(), &account, None, reason).await?;
    let entry = AuditEntry::new(AuditAction::Logout, "account", id);
    tx.audit(entry.detail("sessions_ended", ended.len()));
    tx.commit().await?;
    services.forget_sessions(&ended).await;
    Ok(ended.len())
}
