//! Logging in, staying in and getting out.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use kernel::{AccountId, Actor, ActorKind, EmailAddress, RequestContext, Uuid};
use ports::{AuditAction, AuditEntry, Locked};
use serde_json::Value;

use crate::{
    Account, IdentityError, IdentityTx, Services, Session, Throttle, Throttles, TokenPair,
    error::Result,
    factor::{Ceremony, CeremonyKind, Proof},
    second_factor,
    services::Verified,
    session::{Device, RefreshToken, Refreshed, RevocationReason, SignInMethod, TokenDigest},
    store::lock_account,
    throttle::networks_forgotten_before,
    token::{Bearer, issue},
};

/// What a right password opens.
pub enum Login {
    Open(TokenPair),
    SecondFactor(PendingLogin),
}

/// A login whose password was right and that awaits the second factor.
pub struct PendingLogin {
    /// Names the login when the factor comes.
    pub token: String,
    pub expires_at: DateTime<Utc>,
    /// The app shows codes for this account.
    pub totp: bool,
    /// WebAuthn's options, where the account has passkeys.
    pub passkey: Option<Value>,
}

/// Checks an address and its password, and opens a session unless the account
/// has a second factor, which is awaited then.
///
/// The hash is computed outside of any transaction. Failures are counted under
/// a lock after it, so that parallel guesses cannot outrun the back-off, and a
/// right guess that arrives while the address is locked is refused as well.
pub async fn login(
    services: &Services,
    request: RequestContext,
    email: &str,
    password: &str,
) -> Result<Login> {
    let email: EmailAddress = email
        .parse()
        .map_err(|_| IdentityError::field("email", "invalid", "This is no e-mail address."))?;
    let device = Device::of(&request);
    let actor = Actor::anonymous(request);
    let (throttle, account) = {
        let mut tx = services.store.begin(&actor).await?;
        (tx.throttles(&email, device.ip).await?, tx.account_by_email(&email).await?)
    };
    if let Some(until) = throttle.locked_until(services.now()) {
        return refuse_locked(services, &actor, account.as_ref(), until).await;
    }
    let hash = account.as_ref().and_then(|account| account.password.as_ref());
    let right = services.verify_password(password, hash).await?;
    let renewed = match right {
        Some(Verified::Outdated) => {
            Some(services.passwords.hash(&crate::password::normalize(password)).await?)
        }
        _ => None,
    };

    let now = services.now();
    let mut tx = services.store.begin(&actor).await?;
    // Held, so that a reset ends this session or this login sees the reset. An
    // address that nobody has takes as long.
    let id = account.as_ref().map_or_else(|| AccountId(Uuid::nil()), |account| account.id);
    let held = lock_account(tx.as_mut(), id).await?;
    let throttle = tx.lock_throttles(&email, device.ip).await?;
    if let Some(until) = throttle.locked_until(now) {
        drop(tx);
        return refuse_locked(services, &actor, account.as_ref(), until).await;
    }
    // The account as it is now: the password may have been reset meanwhile.
    let unchanged = |held: &Locked<Account>| {
        account.as_ref().is_some_and(|account| account.password == held.password)
    };
    let current = held.filter(|held| held.email == email);
    let Some(mut current) = current.filter(|current| right.is_some() && unchanged(current)) else {
        count_failure(tx.as_mut(), &email, device.ip, throttle, now).await?;
        return refuse(tx, account.as_ref(), IdentityError::WrongCredentials).await;
    };
    if let Err(error) = current.admit() {
        return refuse(tx, Some(&current), error).await;
    }
    if let Some(hash) = renewed {
        current.password = Some(hash);
        tx.save(&mut current).await?;
    }
    if let Some(pending) = await_factor(services, tx.as_mut(), &current).await? {
        tx.audit(login_entry(Some(&current)).detail("awaits", "second_factor"));
        tx.commit().await?;
        return Ok(Login::SecondFactor(pending));
    }
    open(services, tx, &current, (SignInMethod::Password, false), device).await.map(Login::Open)
}

/// Begins to wait for the second factor, where the account has one. Failures
/// so far stay counted, so that knowing a password buys no fresh guesses.
async fn await_factor(
    services: &Services,
    tx: &mut dyn IdentityTx,
    account: &Account,
) -> Result<Option<PendingLogin>> {
    let totp = tx.totp(account.id).await?.is_some_and(|totp| totp.is_active());
    let mut passkeys = tx.passkeys(account.id).await?;
    passkeys.retain(|passkey| passkey.standing.is_active());
    if !totp && passkeys.is_empty() {
        return Ok(None);
    }
    let challenged = match &services.authenticators {
        Some(authenticators) if !passkeys.is_empty() => {
            Some(authenticators.begin_second_factor(&passkeys)?)
        }
        _ => None,
    };
    let (passkey, state) =
        challenged.map(|challenged| (challenged.options, challenged.state)).unzip();
    let (kind, ids) = (CeremonyKind::Login, services.env.ids.as_ref());
    let (ceremony, token) = Ceremony::begin(kind, Some(account.id), state, ids, services.now());
    tx.insert_ceremony(&ceremony).await?;
    tx.purge_ceremonies(services.now()).await?;
    Ok(Some(PendingLogin { token, expires_at: ceremony.expires_at, totp, passkey }))
}

/// Completes a login by its second factor.
pub async fn complete(
    services: &Services,
    request: RequestContext,
    token: &str,
    proof: Proof,
) -> Result<TokenPair> {
    let device = Device::of(&request);
    let actor = Actor::anonymous(request);
    let now = services.now();
    let mut tx = services.store.begin(&actor).await?;
    let digest = TokenDigest::of(token);
    let id = tx.ceremony_account(digest).await?.ok_or(IdentityError::InvalidCeremony)?;
    let account = lock_account(tx.as_mut(), id).await?.filter(|account| account.is_active());
    let account = account.ok_or(IdentityError::InvalidCeremony)?;
    let ceremony = tx.lock_ceremony(digest).await?.ok_or(IdentityError::InvalidCeremony)?;
    ceremony.check(CeremonyKind::Login, now)?;
    let throttle = tx.lock_throttles(&account.email, device.ip).await?;
    if let Some(until) = throttle.locked_until(now) {
        let locked = IdentityError::locked(until, now);
        return refuse(tx, Some(&account), locked).await;
    }
    let method = proof.method();
    let state = ceremony.state.as_deref();
    let shown = second_factor::prove(services, tx.as_mut(), &account, proof, state).await?;
    let Some(proved) = shown else {
        count_failure(tx.as_mut(), &account.email, device.ip, throttle, now).await?;
        tx.save_ceremony(&ceremony.fail()).await?;
        return refuse(tx, Some(&account), IdentityError::WrongSecondFactor).await;
    };
    tx.remove_ceremony(ceremony.id).await?;
    open(services, tx, &account, (method, proved), device).await
}

/// Opens a session for somebody who has shown all that it takes, and whether
/// that was a proved factor. The account is held.
pub(crate) async fn open(
    services: &Services,
    mut tx: Box<dyn IdentityTx>,
    account: &Account,
    (method, proved): (SignInMethod, bool),
    device: Device,
) -> Result<TokenPair> {
    let (env, now) = (&services.env, services.now());
    tx.know_network(&account.email, device.ip, now).await?;
    let token = RefreshToken::from_secret(env.ids.secret());
    let limits = services.policy.session_limits(account);
    let signed_in = (method, device);
    let session = Session::start(env.fresh(), account.id, signed_in, token.digest(), limits, now)
        .strengthen(method, proved);
    tx.insert_session(&session).await?;
    tx.audit(
        login_entry(Some(account))
            .detail("session", session.id.to_string())
            .detail("method", method.to_string()),
    );
    tx.commit().await?;
    tokens(services, account, &session, token, now)
}

pub(crate) fn login_entry(account: Option<&Account>) -> AuditEntry {
    match account {
        Some(account) => {
            let entry = AuditEntry::new(AuditAction::Login, "account", account.id);
            if account.is_staff() { entry } else { entry.patient(account.id.as_patient()) }
        }
        // The address itself stays out of the log.
        None => AuditEntry::new(AuditAction::Login, "account", "unknown"),
    }
}

pub(crate) async fn refuse<T>(
    mut tx: Box<dyn IdentityTx>,
    account: Option<&Account>,
    error: IdentityError,
) -> Result<T> {
    let reason = kernel::DomainError::code(&error).to_owned();
    tx.audit(login_entry(account).failed().detail("reason", reason));
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
    refuse(tx, account, IdentityError::locked(until, services.now())).await
}

/// Counts a wrong password or a wrong factor, and forgets what no longer counts.
pub(crate) async fn count_failure(
    tx: &mut dyn IdentityTx,
    email: &EmailAddress,
    network: Option<IpAddr>,
    throttles: Throttles,
    now: DateTime<Utc>,
) -> Result<()> {
    tx.save_throttles(email, network, throttles.fail(now)).await?;
    tx.purge_throttles(Throttle::forgotten_before(now)).await?;
    tx.purge_networks(networks_forgotten_before(now)).await?;
    Ok(())
}

/// Exchanges a refresh token for a new pair. A token that was used before ends
/// its whole family, see [`crate::session`].
pub async fn refresh(
    services: &Services,
    request: RequestContext,
    refresh_token: &str,
) -> Result<TokenPair> {
    let presented = TokenDigest::of(refresh_token);
    let device = Device::of(&request);
    let actor = Actor::anonymous(request);
    let mut tx = services.store.begin(&actor).await?;
    let Some(session) = tx.lock_session_of(presented).await? else {
        let entry = AuditEntry::new(AuditAction::Login, "session", "unknown");
        tx.audit(entry.failed().detail("reason", "identity.invalid_refresh_token"));
        tx.commit().await?;
        return Err(IdentityError::InvalidRefreshToken);
    };
    let id = session.id;
    let entry = AuditEntry::new(AuditAction::Login, "session", id)
        .detail("account", session.account.to_string());
    let account: Option<Account> = tx.find(session.account).await?;
    let account = account.filter(Account::is_active);
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
            let session = Session { device, ..session };
            tx.save_session(&session).await?;
            tx.audit(entry.detail("refresh", session.generation));
            tx.commit().await?;
            // What authentication remembers of it ends at the old idle time.
            services.forget_session(id).await;
            tokens(services, &account, &session, token, now)
        }
        (Refreshed::Reused(session), _) => {
            tx.save_session(&session).await?;
            tx.audit(entry.failed().detail("reason", "identity.refresh_token_reused"));
            tx.commit().await?;
            services.forget_session(id).await;
            Err(IdentityError::RefreshTokenReused)
        }
        (Refreshed::Ended | Refreshed::Rotated(_), _) => {
            tx.audit(entry.failed().detail("reason", "identity.session_ended"));
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
    );
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
