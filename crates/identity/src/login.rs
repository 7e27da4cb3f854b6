//! Logging in, staying in and getting out.

use chrono::{DateTime, Utc};
use kernel::{Actor, ActorKind, EmailAddress, RequestContext};
use ports::{AuditAction, AuditEntry};

use crate::{
    Account, IdentityError, IdentityTx, Services, Session, Throttle, TokenPair,
    error::Result,
    session::{RefreshToken, Refreshed, RevocationReason, TokenDigest},
    token::{Bearer, issue},
};

/// Opens a session for an address and its password.
///
/// The hash is computed outside of any transaction. Failures are counted under
/// a lock after it, so that parallel guesses cannot outrun the back-off, and a
/// right guess that arrives while the address is locked is refused as well.
pub async fn login(
    services: &Services,
    request: RequestContext,
    email: &str,
    password: &str,
) -> Result<TokenPair> {
    let email: EmailAddress = email
        .parse()
        .map_err(|_| IdentityError::field("email", "invalid", "This is no e-mail address."))?;
    let actor = Actor::anonymous(request);
    let (throttle, account) = {
        let mut tx = services.store.begin(&actor).await?;
        (tx.throttle(&email).await?, tx.account_by_email(&email).await?)
    };
    if let Some(until) = throttle.locked_until(services.now()) {
        return refuse_locked(services, &actor, account.as_ref(), until).await;
    }
    // An overlong password is nobody's, and is not worth the hashing.
    let candidate = if password.len() <= 4 * crate::password::MAX_LENGTH { password } else { "" };
    let hash = account.as_ref().and_then(|account| account.password.as_ref());
    let right = services.passwords.verify(candidate, hash).await?;

    let now = services.now();
    let mut tx = services.store.begin(&actor).await?;
    let throttle = tx.lock_throttle(&email).await?;
    if let Some(until) = throttle.locked_until(now) {
        drop(tx);
        return refuse_locked(services, &actor, account.as_ref(), until).await;
    }
    // The account as it is now: the password may have been reset meanwhile.
    let current = tx.account_by_email(&email).await?;
    let unchanged = |other: &Account| {
        account.as_ref().is_some_and(|account| account.password == other.password)
    };
    let Some(current) = current.filter(|current| right && unchanged(current)) else {
        tx.save_throttle(&email, throttle.fail(now)).await?;
        tx.purge_throttles(Throttle::forgotten_before(now)).await?;
        return refuse(tx, account.as_ref(), IdentityError::WrongCredentials).await;
    };
    if let Err(error) = current.admit() {
        return refuse(tx, Some(&current), error).await;
    }
    tx.save_throttle(&email, Throttle::default()).await?;
    let env = &services.env;
    let token = RefreshToken::from_secret(env.ids.secret());
    let limits = services.policy.session_limits(&current);
    let session = Session::start(env.fresh(), current.id, token.digest(), limits, now);
    tx.insert_session(&session).await?;
    tx.audit(login_entry(Some(&current)).detail("session", session.id.to_string())).await?;
    tx.commit().await?;
    tokens(services, &current, &session, token, now)
}

fn login_entry(account: Option<&Account>) -> AuditEntry {
    match account {
        Some(account) => {
            let entry = AuditEntry::new(AuditAction::Login, "account", account.id);
            if account.is_staff() { entry } else { entry.patient(account.id.as_patient()) }
        }
        // The address itself stays out of the log.
        None => AuditEntry::new(AuditAction::Login, "account", "unknown"),
    }
}

async fn refuse<T>(
    mut tx: Box<dyn IdentityTx>,
    account: Option<&Account>,
    error: IdentityError,
) -> Result<T> {
    let reason = kernel::DomainError::code(&error).to_owned();
    tx.audit(login_entry(account).failed().detail("reason", reason)).await?;
    tx.commit().await?;
    Err(error)
}

async fn refuse_locked<T>(
    services: &Services,
    actor: &Actor,
    account: Option<&Account>,
    until: DateTime<Utc>,
) -> Result<T> {
    let tx = services.store.begin(actor).await?;
    refuse(tx, account, IdentityError::LoginLocked { until }).await
}

/// Exchanges a refresh token for a new pair. A token that was used before ends
/// its whole family, see [`crate::session`].
pub async fn refresh(
    services: &Services,
    request: RequestContext,
    refresh_token: &str,
) -> Result<TokenPair> {
    let presented = TokenDigest::of(refresh_token);
    let actor = Actor::anonymous(request);
    let mut tx = services.store.begin(&actor).await?;
    let Some(session) = tx.lock_session_of(presented).await? else {
        let entry = AuditEntry::new(AuditAction::Login, "session", "unknown");
        tx.audit(entry.failed().detail("reason", "identity.invalid_refresh_token")).await?;
        tx.commit().await?;
        return Err(IdentityError::InvalidRefreshToken);
    };
    let id = session.id;
    let entry = AuditEntry::new(AuditAction::Login, "session", id)
        .detail("account", session.account.to_string());
    let account = tx.account(session.account).await?.filter(Account::is_active);
    let now = services.now();
    let token = RefreshToken::from_secret(services.env.ids.secret());
    let outcome = match &account {
        Some(account) => {
            let limits = services.policy.session_limits(account);
            session.refresh(presented, token.digest(), limits, now)
        }
        None => Refreshed::Ended,
    };
    match (outcome, account) {
        (Refreshed::Rotated(session), Some(account)) => {
            tx.save_session(&session).await?;
            tx.audit(entry.detail("refresh", session.generation)).await?;
            tx.commit().await?;
            // What authentication remembers of it ends at the old idle time.
            services.forget_session(id).await;
            tokens(services, &account, &session, token, now)
        }
        (Refreshed::Reused(session), _) => {
            tx.save_session(&session).await?;
            tx.audit(entry.failed().detail("reason", "identity.refresh_token_reused")).await?;
            tx.commit().await?;
            services.forget_session(id).await;
            Err(IdentityError::RefreshTokenReused)
        }
        (Refreshed::Ended | Refreshed::Rotated(_), _) => {
            tx.audit(entry.failed().detail("reason", "identity.session_ended")).await?;
            tx.commit().await?;
            Err(IdentityError::SessionEnded)
        }
    }
}

/// Ends the session that the actor came with; its access token dies with it.
pub async fn logout(services: &Services, actor: &Actor) -> Result<()> {
    let ActorKind::Account { session, account, .. } = &actor.kind else {
        return Err(IdentityError::InvalidToken);
    };
    let mut tx = services.store.begin(actor).await?;
    let ended = tx.lock_session(*session).await?.ok_or(IdentityError::SessionEnded)?;
    tx.save_session(&ended.revoke(RevocationReason::Logout, services.now())).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Logout, "session", session)
            .detail("account", account.to_string()),
    )
    .await?;
    tx.commit().await?;
    services.forget_session(*session).await;
    Ok(())
}

fn tokens(
    services: &Services,
    account: &Account,
    session: &Session,
    refresh_token: RefreshToken,
    now: DateTime<Utc>,
) -> Result<TokenPair> {
    let roles: Vec<_> = account.roles.iter().copied().collect();
    let bearer = Bearer::Account { account: account.id, session: session.id, roles: roles.clone() };
    let jti = services.env.ids.uuid();
    let (access_token, expires_at) =
        issue(services.keys.as_ref(), &services.policy, bearer, jti, now)?;
    Ok(TokenPair {
        access_token,
        expires_at,
        refresh_token: refresh_token.into_text(),
        refresh_expires_at: session.idle_until,
        account: account.id,
        session: session.id,
        roles,
    })
}
