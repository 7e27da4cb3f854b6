//! Setting up, using and taking away second factors. Whatever changes them
//! asks for the password again, so that a session left open does not lose its
//! account, ends the account's other sessions, and is told to its owner.

use chrono::{DateTime, Utc};
use kernel::{AccountId, Actor, ActorKind, SessionId, Uuid};
use ports::{AuditAction, AuditEntry, Event, Locked};

use crate::{
    Account, IdentityError, IdentityTx, Services, Session, Standing,
    credentials::reauthenticate,
    error::Result,
    factor::{Proof, RECOVERY_CODES, RecoveryCode, Totp, TotpSetup},
    passkey::Passkey,
    session::{RevocationReason, SignInMethod},
    store::lock_account,
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
    pub totp_standing: Option<Standing>,
    pub passkeys: Vec<Passkey>,
    pub recovery_codes_left: u64,
}

pub async fn factors(services: &Services, actor: &Actor) -> Result<Factors> {
    let (account, session) = own(actor)?;
    let mut tx = services.store.begin(actor).await?;
    let grant = tx.session_grant(session).await?.ok_or(IdentityError::SessionEnded)?;
    let totp = tx.totp(account).await?.filter(|totp| totp.confirmed_at.is_some());
    Ok(Factors {
        required: services.policy.demands_second_factor(&grant.roles),
        method: grant.method,
        totp_since: totp.as_ref().and_then(|totp| totp.confirmed_at),
        totp_standing: totp.map(|totp| totp.standing),
        passkeys: tx.passkeys(account).await?,
        recovery_codes_left: tx.recovery_codes_left(account).await?,
    })
}

/// What a change of how an account signs in is decided with, held until the
/// transaction ends.
pub(crate) struct Held {
    pub account: Locked<Account>,
    /// The session that asks.
    pub session: Session,
    pub totp: Option<Totp>,
    pub passkeys: Vec<Passkey>,
}

/// Holds the account, its sessions and its factors, in this order wherever they
/// are changed. A session that has ended since the call came in changes nothing.
pub(crate) async fn hold(
    services: &Services,
    tx: &mut dyn IdentityTx,
    actor: &Actor,
) -> Result<Held> {
    let (id, this) = own(actor)?;
    let account = lock_account(tx, id).await?.filter(|account| account.is_active());
    let account = account.ok_or(IdentityError::InvalidToken)?;
    let sessions = tx.lock_live_sessions(id).await?;
    let session = sessions.into_iter().find(|session| session.id == this);
    let session = session.filter(|session| session.is_live(services.now()));
    let session = session.ok_or(IdentityError::SessionEnded)?;
    let totp = tx.lock_totp(id).await?;
    Ok(Held { account, session, totp, passkeys: tx.lock_passkeys(id).await? })
}

impl Held {
    fn active(&self) -> impl Iterator<Item = &Standing> {
        let totp = self.totp.iter().filter(|totp| totp.is_active()).map(|totp| &totp.standing);
        let passkeys = self.passkeys.iter().map(|passkey| &passkey.standing);
        totp.chain(passkeys.filter(|standing| standing.is_active()))
    }

    pub fn has_active(&self) -> bool {
        self.active().next().is_some()
    }

    /// Whether some factor of the account is proved to be the owner's.
    pub fn has_proved(&self) -> bool {
        self.active().any(Standing::is_proved)
    }

    /// Refuses a change by a session that has shown less than the account has.
    pub fn require(&self) -> Result<()> {
        let enough = if self.has_proved() {
            self.session.proved
        } else {
            !self.has_active() || self.session.method.has_second_factor()
        };
        if enough { Ok(()) } else { Err(IdentityError::ProvedFactorRequired) }
    }

    /// How a factor that this session adds begins, see [`crate::standing`].
    pub fn standing_of_new(&self, services: &Services) -> Standing {
        if self.has_proved() && self.session.proved {
            Standing::proved(services.now())
        } else {
            Standing::unproved(services.env.ids.as_ref(), services.now())
        }
    }
}

/// Whether the proof holds, and then whether the factor is proved to be the
/// owner's. What is good once is used up by it.
pub(crate) async fn prove(
    services: &Services,
    tx: &mut dyn IdentityTx,
    account: &Account,
    proof: Proof,
    state: Option<&str>,
) -> Result<Option<bool>> {
    let now = services.now();
    match proof {
        Proof::Totp(code) => {
            let totp = tx.lock_totp(account.id).await?;
            let active = totp.filter(Totp::is_active);
            let Some(taken) = active.and_then(|totp| totp.take(&code, now)) else {
                return Ok(None);
            };
            tx.save_totp(&taken).await?;
            Ok(Some(taken.standing.is_proved()))
        }
        Proof::RecoveryCode(code) => {
            let Some(code) = RecoveryCode::parse(&code) else { return Ok(None) };
            let digest = code.digest(account.id, services.sealer.as_ref())?;
            Ok(tx.use_recovery_code(account.id, &digest, now).await?)
        }
        Proof::Passkey(answer) => {
            let (Some(authenticators), Some(_)) = (&services.authenticators, state) else {
                return Ok(None);
            };
            let mut passkeys = tx.lock_passkeys(account.id).await?;
            passkeys.retain(|passkey| passkey.standing.is_active());
            let used = authenticators.finish_second_factor(state, passkeys, answer, now)?;
            let Some(used) = used else { return Ok(None) };
            tx.save_passkey(&used).await?;
            Ok(Some(used.standing.is_proved()))
        }
    }
}

/// Begins to set up an authenticator app; it counts once it is confirmed. One
/// that is suspended makes way.
pub async fn begin_totp(services: &Services, actor: &Actor, password: &str) -> Result<TotpSetup> {
    let account = reauthenticate(services, actor, "password", password).await?;
    let mut tx = services.store.begin(actor).await?;
    let held = hold(services, tx.as_mut(), actor).await?;
    held.require()?;
    if held.totp.as_ref().is_some_and(Totp::is_active) {
        return Err(IdentityError::TotpExists);
    }
    let totp = Totp::new(account.id, services.env.ids.as_ref(), services.now());
    let setup = totp.setup("Salus", &account.email)?;
    tx.save_totp(&totp).await?;
    tx.audit(changed(account.id, "totp_begun"));
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
    let held = hold(services, tx.as_mut(), actor).await?;
    held.require()?;
    let totp = held.totp.clone().ok_or(IdentityError::NoTotp)?;
    if totp.confirmed_at.is_some() {
        return Err(IdentityError::TotpExists);
    }
    let standing = held.standing_of_new(services);
    let Some(totp) = totp.confirm(code, services.now()) else {
        tx.audit(changed(account, "totp_added").failed());
        tx.commit().await?;
        return Err(IdentityError::field("code", "wrong", "The code is not the one of now."));
    };
    tx.save_totp(&Totp { standing, ..totp }).await?;
    let codes = first_codes(services, tx.as_mut(), &held).await?;
    ask_owner(tx.as_mut(), account, account.uuid(), &standing);
    let shown = (SignInMethod::Totp, standing.is_proved());
    settle(services, tx, actor, shown, "totp_added").await?;
    Ok(codes)
}

/// Has the link mailed that proves a new factor.
pub(crate) fn ask_owner(
    tx: &mut dyn IdentityTx,
    account: AccountId,
    factor: Uuid,
    standing: &Standing,
) {
    if standing.confirmation.is_some() {
        tx.emit(Event::FactorConfirmationRequested { account, factor });
    }
}

pub async fn remove_totp(services: &Services, actor: &Actor, password: &str) -> Result<()> {
    let account = reauthenticate(services, actor, "password", password).await?;
    let mut tx = services.store.begin(actor).await?;
    let held = hold(services, tx.as_mut(), actor).await?;
    held.require()?;
    let totp = held.totp.as_ref().ok_or(IdentityError::NotFound("authenticator app"))?;
    if totp.is_active() {
        let others = held.passkeys.iter().any(|passkey| passkey.standing.is_active());
        leave_enough(services, tx.as_mut(), &account, others).await?;
    }
    tx.remove_totp(account.id).await?;
    settle(services, tx, actor, (SignInMethod::Password, false), "totp_removed").await
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
    tx.replace_recovery_codes(account.id, &[], false).await?;
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
    let held = hold(services, tx.as_mut(), actor).await?;
    held.require()?;
    if !held.has_active() {
        return Err(IdentityError::NotFound("second factor"));
    }
    let codes = fresh_codes(services, tx.as_mut(), account.id, held.has_proved()).await?;
    tx.audit(changed(account.id, "recovery_codes_renewed"));
    tx.emit(Event::SignInChanged {
        account: account.id,
        change: "recovery_codes_renewed".to_owned(),
    });
    tx.commit().await?;
    Ok(codes)
}

pub(crate) async fn first_codes(
    services: &Services,
    tx: &mut dyn IdentityTx,
    held: &Held,
) -> Result<Vec<RecoveryCode>> {
    if tx.recovery_codes_left(held.account.id).await? > 0 {
        return Ok(Vec::new());
    }
    fresh_codes(services, tx, held.account.id, held.has_proved()).await
}

async fn fresh_codes(
    services: &Services,
    tx: &mut dyn IdentityTx,
    account: AccountId,
    proved: bool,
) -> Result<Vec<RecoveryCode>> {
    let fresh = || RecoveryCode::fresh(services.env.ids.as_ref());
    let codes: Vec<_> = std::iter::repeat_with(fresh).take(RECOVERY_CODES).collect();
    let digests: Vec<_> = codes
        .iter()
        .map(|code| code.digest(account, services.sealer.as_ref()))
        .collect::<ports::Result<_>>()?;
    tx.replace_recovery_codes(account, &digests, proved).await?;
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
    (method, proved): (SignInMethod, bool),
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
            let session = if keeps { session } else { session.strengthen(method, proved) };
            tx.save_session(&session).await?;
        } else {
            tx.save_session(&session.revoke(RevocationReason::FactorsChanged, now)).await?;
            ended.push(id);
        }
    }
    tx.remove_ceremonies_of(account).await?;
    tx.audit(changed(account, change).detail("sessions_ended", ended.len()));
    tx.emit(Event::SignInChanged { account, change: change.to_owned() });
    tx.commit().await?;
    services.forget_session(this).await;
    services.forget_sessions(&ended).await;
    Ok(())
}
