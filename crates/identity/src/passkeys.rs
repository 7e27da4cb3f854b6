//! Registering passkeys and signing in with them.

use kernel::{Actor, PasskeyId, RequestContext, TextKind as _, text::PasskeyName};
use ports::PortError;
use serde_json::Value;

use crate::{
    IdentityError, Services, TokenPair,
    credentials::reauthenticate,
    error::Result,
    factor::{Ceremony, CeremonyKind, RecoveryCode, Totp},
    login::{login_entry, open, refuse},
    passkey::{Authenticators, Passkey},
    second_factor::{ask_owner, changed, first_codes, hold, leave_enough, settle},
    session::{Device, SignInMethod, TokenDigest},
    store::lock_account,
};

/// How many authenticators one account may have.
const MAX_PASSKEYS: usize = 20;

/// A challenge for an authenticator, and the token that its answer comes with.
pub struct Begun {
    pub token: String,
    pub expires_at: chrono::DateTime<chrono::Utc>,
    /// WebAuthn's options, for `navigator.credentials`.
    pub options: Value,
}

fn authenticators(services: &Services) -> Result<&Authenticators> {
    services.authenticators.as_deref().ok_or(IdentityError::PasskeysUnavailable)
}

/// Begins to register an authenticator with the caller's account.
pub async fn begin_registration(
    services: &Services,
    actor: &Actor,
    password: &str,
) -> Result<Begun> {
    let authenticators = authenticators(services)?;
    let account = reauthenticate(services, actor, "password", password).await?;
    let mut tx = services.store.begin(actor).await?;
    let held = hold(services, tx.as_mut(), actor).await?;
    held.require()?;
    let existing = held.passkeys;
    if existing.len() >= MAX_PASSKEYS {
        let message = "An account has at most twenty passkeys; remove one first.";
        return Err(IdentityError::field("", "too_many", message));
    }
    let challenged = authenticators.begin_registration(&account, &existing)?;
    let (ceremony, token) = Ceremony::begin(
        CeremonyKind::PasskeyRegistration,
        Some(account.id),
        Some(challenged.state),
        services.env.ids.as_ref(),
        services.now(),
    );
    tx.insert_ceremony(&ceremony).await?;
    tx.audit(changed(account.id, "passkey_begun"));
    tx.commit().await?;
    Ok(Begun { token, expires_at: ceremony.expires_at, options: challenged.options })
}

/// Keeps the authenticator that answered. The first factor of an account comes
/// with recovery codes, which are shown this once.
pub async fn finish_registration(
    services: &Services,
    actor: &Actor,
    token: &str,
    name: &str,
    credential: Value,
) -> Result<(Passkey, Vec<RecoveryCode>)> {
    let authenticators = authenticators(services)?;
    let name = PasskeyName::take("name", name)?;
    let mut tx = services.store.begin(actor).await?;
    let held = hold(services, tx.as_mut(), actor).await?;
    held.require()?;
    let account = held.account.id;
    let ceremony = tx.lock_ceremony(TokenDigest::of(token)).await?;
    let ceremony = ceremony.filter(|ceremony| ceremony.account == Some(account));
    let ceremony = ceremony.ok_or(IdentityError::InvalidCeremony)?;
    ceremony.check(CeremonyKind::PasskeyRegistration, services.now())?;
    let credential = authenticators.finish_registration(ceremony.state.as_deref(), credential)?;
    let passkey = Passkey {
        id: services.env.fresh(),
        account,
        name,
        credential,
        created_at: services.now(),
        last_used_at: None,
        standing: held.standing_of_new(services),
    };
    match tx.insert_passkey(&passkey).await {
        Err(PortError::Conflict(_)) => return Err(IdentityError::PasskeyExists),
        other => other?,
    }
    let codes = first_codes(services, tx.as_mut(), &held).await?;
    ask_owner(tx.as_mut(), account, passkey.id.uuid(), &passkey.standing);
    let shown = (SignInMethod::Passkey, passkey.standing.is_proved());
    settle(services, tx, actor, shown, "passkey_added").await?;
    Ok((passkey, codes))
}

pub async fn remove(
    services: &Services,
    actor: &Actor,
    id: PasskeyId,
    password: &str,
) -> Result<()> {
    let account = reauthenticate(services, actor, "password", password).await?;
    let mut tx = services.store.begin(actor).await?;
    let held = hold(services, tx.as_mut(), actor).await?;
    held.require()?;
    let removed = held.passkeys.iter().find(|passkey| passkey.id == id);
    let removed = removed.ok_or(IdentityError::NotFound("passkey"))?;
    if removed.standing.is_active() {
        let active = |passkey: &&Passkey| passkey.id != id && passkey.standing.is_active();
        let others = held.totp.as_ref().is_some_and(Totp::is_active)
            || held.passkeys.iter().any(|passkey| active(&passkey));
        leave_enough(services, tx.as_mut(), &account, others).await?;
    }
    tx.remove_passkey(account.id, id).await?;
    settle(services, tx, actor, (SignInMethod::Password, false), "passkey_removed").await
}

/// Begins a login by passkey alone. It names no account, so that it tells
/// nothing about any: the device knows whose keys it holds.
pub async fn begin_login(services: &Services, request: RequestContext) -> Result<Begun> {
    let challenged = authenticators(services)?.begin_login()?;
    let (kind, ids) = (CeremonyKind::PasskeyLogin, services.env.ids.as_ref());
    let (ceremony, token) =
        Ceremony::begin(kind, None, Some(challenged.state), ids, services.now());
    let mut tx = services.store.begin(&Actor::anonymous(request)).await?;
    tx.insert_ceremony(&ceremony).await?;
    tx.purge_ceremonies(services.now()).await?;
    tx.audit(login_entry(None).detail("awaits", "passkey"));
    tx.commit().await?;
    Ok(Begun { token, expires_at: ceremony.expires_at, options: challenged.options })
}

/// Opens a session for whoever's passkey answered.
pub async fn finish_login(
    services: &Services,
    request: RequestContext,
    token: &str,
    credential: Value,
) -> Result<TokenPair> {
    let authenticators = authenticators(services)?;
    let claimed = authenticators.claimed(credential)?;
    let device = Device::of(&request);
    let actor = Actor::anonymous(request);
    let mut tx = services.store.begin(&actor).await?;
    let account =
        lock_account(tx.as_mut(), claimed.account).await?.filter(|account| account.is_active());
    let ceremony = tx.lock_ceremony(TokenDigest::of(token)).await?;
    let ceremony = ceremony.ok_or(IdentityError::InvalidCeremony)?;
    ceremony.check(CeremonyKind::PasskeyLogin, services.now())?;
    // A challenge is answered once, rightly or wrongly.
    tx.remove_ceremony(ceremony.id).await?;
    let passkeys = tx.lock_passkeys(claimed.account).await?;
    let passkey =
        passkeys.into_iter().find(|passkey| passkey.credential_id() == claimed.credential);
    let (Some(account), Some(passkey)) = (account, passkey) else {
        return refuse(tx, None, IdentityError::WrongCredentials).await;
    };
    let (state, now) = (ceremony.state.as_deref(), services.now());
    match authenticators.finish_login(state, passkey, &claimed, now)? {
        Some(used) if !used.standing.is_active() => {
            refuse(tx, Some(&account), IdentityError::FactorSuspended).await
        }
        Some(used) => {
            tx.save_passkey(&used).await?;
            let shown = (SignInMethod::Passkey, used.standing.is_proved());
            open(services, tx, &account, shown, device).await
        }
        None => refuse(tx, Some(&account), IdentityError::WrongCredentials).await,
    }
}
