//! Setting up, using and taking away second factors. Whatever changes them
//! asks for the password again, so that a session left open does not lose its
//! account, ends the account's other sessions, and is told to its owner.

use chrono::{DateTime, Utc};
use kernel::{AccountId, Actor, ActorKind, SessionId};
use ports::{AuditAction, AuditEntry, Event};

use crate::{
    Account, IdentityError, IdentityTx, Services,
    credentials::reauthenticate,
    error::Result,
    factor::{Proof, RECOVERY_CODES, RecoveryCode, Totp, TotpSetup},
    passkey::Passkey,
    session::{RevocationReason, SignInMethod},
};

/// Who acts on one's own account, and in which session.
pub(crate) fn own(actor: &Actor) -> Result<(AccountId, SessionId)> {
    match actor.kind {
        ActorKind::Account { account, session, .. } => Ok((account, session)),
        _ => Err(IdentityError::InvalidToken),
    }
}

/// What an account signs in with besides its password.
#[derive(Clone, Debug)]
pub struct Factors {
    /// The account's roles ask for one.
    pub required: bool,
    /// How this session was signed in.
    pub method: SignInMethod,
    pub totp_since: Option<DateTime<Utc>>,
    pub passkeys: Vec<Passkey>,
    pub recovery_codes_left: u64,
}

pub async fn factors(services: &Services, actor: &Actor) -> Result<Factors> {
    let (account, session) = own(actor)?;
    let mut tx = services.store.begin(actor).await?;
    let grant = tx.session_grant(session).await?.ok_or(IdentityError::SessionEnded)?;
    Ok(Factors {
        required: services.policy.demands_second_factor(&grant.roles),
        method: grant.method,
        totp_since: tx.totp(account).await?.and_then(|totp| totp.confirmed_at),
        passkeys: tx.passkeys(account).await?,
        recovery_codes_left: tx.recovery_codes_left(account).await?,
    })
}

/// Whether the proof holds. What is good once is used up by it.
pub(crate) async fn prove(
    services: &Services,
    tx: &mut dyn IdentityTx,
    account: &Account,
    proof: Proof,
    state: Option<&str>,
) -> Result<bool> {
    let now = services.now();
    match proof {
        Proof::Totp(code) => {
            let totp = tx.lock_totp(account.id).await?;
            let confirmed = totp.filter(|totp| totp.confirmed_at.is_some());
            let Some(taken) = confirmed.and_then(|totp| totp.take(&code, now)) else {
                return Ok(false);
            };
            tx.save_totp(&taken).await?;
            Ok(true)
        }
        Proof::RecoveryCode(code) => {
            let Some(code) = RecoveryCode::parse(&code) else { return Ok(false) };
            let digest = code.digest(account.id, services.sealer.as_ref())?;
            Ok(tx.use_recovery_code(account.id, &digest, now).await?)
        }
        Proof::Passkey(answer) => {
            let (Some(authenticators), Some(_)) = (&services.authenticators, state) else {
                return Ok(false);
            };
            let passkeys = tx.lock_passkeys(account.id).await?;
            let used = authenticators.finish_second_factor(state, passkeys, answer, now)?;
            let Some(used) = used else { return Ok(false) };
            tx.save_passkey(&used).await?;
            Ok(true)
        }
    }
}

/// Begins to set up an authenticator app; it counts once it is confirmed.
pub async fn begin_totp(services: &Services, actor: &Actor, password: &str) -> Result<TotpSetup> {
    let account = reauthenticate(services, actor, "password", password).await?;
    let mut tx = services.store.begin(actor).await?;
    if tx.lock_totp(account.id).await?.is_some_and(|totp| totp.confirmed_at.is_some()) {
        return Err(IdentityError::TotpExists);
    }
    let totp = Totp::new(account.id, services.env.ids.as_ref(), services.now());
    let setup = totp.setup("Salus", &account.email)?;
    tx.save_totp(&totp).await?;
    tx.audit(changed(account.id, "totp_begun")).await?;
    tx.commit().await?;
    Ok(setup)
}

/// Turns the app on by its first right code. The first factor of an account
/// comes with recovery codes, which are shown this once.
pub async fn confirm_totp(
    services: &Services,
    actor: &Actor,
    code: &str,
) -> Result<Vec<RecoveryCode>> {
    let (account, _) = own(actor)?;
    let mut tx = services.store.begin(actor).await?;
    let totp = tx.lock_totp(account).await?.ok_or(IdentityError::NoTotp)?;
    if totp.confirmed_at.is_some() {
        return Err(IdentityError::TotpExists);
    }
    let Some(totp) = totp.confirm(code, services.now()) else {
        tx.audit(changed(account, "totp_added").failed()).await?;
        tx.commit().await?;
        return Err(IdentityError::field("code", "wrong", "The code is not the one of now."));
    };
    tx.save_totp(&totp).await?;
    let codes = first_codes(services, tx.as_mut(), account).await?;
    settle(services, tx, actor, SignInMethod::Totp, "totp_added").await?;
    Ok(codes)
}

pub async fn remove_totp(services: &Services, actor: &Actor, password: &str) -> Result<()> {
    let account = reauthenticate(services, actor, "password", password).await?;
    let mut tx = services.store.begin(actor).await?;
    let totp =
        tx.lock_totp(account.id).await?.ok_or(IdentityError::NotFound("authenticator app"))?;
    if totp.confirmed_at.is_some() {
        let others = !tx.lock_passkeys(account.id).await?.is_empty();
        leave_enough(services, tx.as_mut(), &account, others).await?;
    }
    tx.remove_totp(account.id).await?;
    settle(services, tx, actor, SignInMethod::Password, "totp_removed").await
}

/// Refuses to take the last factor from whoever needs one; else takes the
/// recovery codes along with the last, because they stand in for nothing then.
pub(crate) async fn leave_enough(
    services: &Services,
    tx: &mut dyn IdentityTx,
    account: &Account,
    others: bool,
) -> Result<()> {
    if others {
        return Ok(());
    }
    if services.policy.demands_second_factor(&account.roles) {
        return Err(IdentityError::LastFactor);
    }
    tx.replace_recovery_codes(account.id, &[]).await?;
    Ok(())
}

/// Ten new recovery codes in place of the old ones.
pub async fn renew_recovery_codes(
    services: &Services,
    actor: &Actor,
    password: &str,
) -> Result<Vec<RecoveryCode>> {
    let account = reauthenticate(services, actor, "password", password).await?;
    let mut tx = services.store.begin(actor).await?;
    let totp = tx.lock_totp(account.id).await?.is_some_and(|totp| totp.confirmed_at.is_some());
    if !totp && tx.passkeys(account.id).await?.is_empty() {
        return Err(IdentityError::NotFound("second factor"));
    }
    let codes = fresh_codes(services, tx.as_mut(), account.id).await?;
    tx.audit(changed(account.id, "recovery_codes_renewed")).await?;
    tx.emit(Event::SignInChanged {
        account: account.id,
        change: "recovery_codes_renewed".to_owned(),
    })
    .await?;
    tx.commit().await?;
    Ok(codes)
}

pub(crate) async fn first_codes(
    services: &Services,
    tx: &mut dyn IdentityTx,
    account: AccountId,
) -> Result<Vec<RecoveryCode>> {
    if tx.recovery_codes_left(account).await? > 0 {
        return Ok(Vec::new());
    }
    fresh_codes(services, tx, account).await
}

async fn fresh_codes(
    services: &Services,
    tx: &mut dyn IdentityTx,
    account: AccountId,
) -> Result<Vec<RecoveryCode>> {
    let fresh = || RecoveryCode::fresh(services.env.ids.as_ref());
    let codes: Vec<_> = std::iter::repeat_with(fresh).take(RECOVERY_CODES).collect();
    let digests: Vec<_> = codes
        .iter()
        .map(|code| code.digest(account, services.sealer.as_ref()))
        .collect::<ports::Result<_>>()?;
    tx.replace_recovery_codes(account, &digests).await?;
    Ok(codes)
}

pub(crate) fn changed(account: AccountId, change: &str) -> AuditEntry {
    AuditEntry::new(AuditAction::Update, "account", account).detail("change", change)
}

/// Ends a change of the factors: this session has shown the new one, or fell
/// back to the password with the last; all others sign in again.
pub(crate) async fn settle(
    services: &Services,
    mut tx: Box<dyn IdentityTx>,
    actor: &Actor,
    method: SignInMethod,
    change: &str,
) -> Result<()> {
    let (account, this) = own(actor)?;
    let now = services.now();
    let mut ended = Vec::new();
    for session in tx.lock_live_sessions(account).await? {
        let id = session.id;
        if id == this {
            // Taking one factor away does not unprove the other.
            let keeps = !method.has_second_factor() && session.method.has_second_factor();
            let session = if keeps { session } else { session.strengthen(method) };
            tx.save_session(&session).await?;
        } else {
            tx.save_session(&session.revoke(RevocationReason::FactorsChanged, now)).await?;
            ended.push(id);
        }
    }
    tx.remove_ceremonies_of(account).await?;
    tx.audit(changed(account, change).detail("sessions_ended", ended.len())).await?;
    tx.emit(Event::SignInChanged { account, change: change.to_owned() }).await?;
    tx.commit().await?;
    services.forget_session(this).await;
    services.forget_sessions(&ended).await;
    Ok(())
}
