//! Changing what one signs in with: the password, and the address.

use kernel::{AccountId, Actor, EmailAddress, RequestContext, Role, SessionId};
use ports::{AuditAction, AuditEntry, Event, PortError};

use crate::{
    Account, IdentityError, IdentityTx, Services, Throttle,
    account::{ChallengePurpose, LinkToken},
    error::Result,
    login::login_entry,
    password,
    second_factor::{changed, own},
    session::RevocationReason,
};

/// Asks whoever acts for the password again, before something is changed that
/// a thief of an open session would change. Wrong ones count as failed logins.
pub(crate) async fn reauthenticate(
    services: &Services,
    actor: &Actor,
    path: &str,
    given: &str,
) -> Result<Account> {
    let (id, _) = own(actor)?;
    let (account, throttle) = {
        let mut tx = services.store.begin(actor).await?;
        let account = tx.account(id).await?.filter(Account::is_active);
        let account = account.ok_or(IdentityError::InvalidToken)?;
        let throttle = tx.throttle(&account.email).await?;
        (account, throttle)
    };
    if let Some(until) = throttle.locked_until(services.now()) {
        return Err(IdentityError::LoginLocked { until });
    }
    let candidate = if given.len() <= 4 * password::MAX_LENGTH { given } else { "" };
    if services.passwords.verify(candidate, account.password.as_ref()).await? {
        return Ok(account);
    }
    let now = services.now();
    let mut tx = services.store.begin(actor).await?;
    let throttle = tx.lock_throttle(&account.email).await?;
    if let Some(until) = throttle.locked_until(now) {
        return Err(IdentityError::LoginLocked { until });
    }
    tx.save_throttle(&account.email, throttle.fail(now)).await?;
    tx.purge_throttles(Throttle::forgotten_before(now)).await?;
    tx.audit(login_entry(Some(&account)).failed().detail("reason", "identity.wrong_credentials"))
        .await?;
    tx.commit().await?;
    Err(IdentityError::field(path, "wrong", "This is not the password of the account."))
}

/// Sets another password and ends the account's other sessions.
pub async fn change_password(
    services: &Services,
    actor: &Actor,
    current: &str,
    new: &str,
) -> Result<()> {
    let account = reauthenticate(services, actor, "current_password", current).await?;
    services.check_password("new_password", new, &account.email).await?;
    let hash = services.passwords.hash(new).await?;
    let mut tx = services.store.begin(actor).await?;
    // The account as it is now; its version tells of a change meanwhile.
    let now_stored = tx.account(account.id).await?.ok_or(IdentityError::InvalidToken)?;
    if now_stored.password != account.password {
        return Err(IdentityError::VersionChanged("account"));
    }
    let changed_account = Account { password: Some(hash), reset: None, ..now_stored };
    tx.save_account(&changed_account).await?;
    let (_, this) = own(actor)?;
    let ended = end_sessions(
        services,
        tx.as_mut(),
        &account,
        Some(this),
        RevocationReason::PasswordChanged,
    )
    .await?;
    tx.audit(changed(account.id, "password_changed").detail("sessions_ended", ended.len())).await?;
    tell(tx.as_mut(), &account, "password_changed").await?;
    tx.commit().await?;
    services.forget_sessions(&ended).await;
    Ok(())
}

async fn tell(tx: &mut dyn IdentityTx, account: &Account, change: &str) -> Result<()> {
    let change = change.to_owned();
    tx.emit(Event::SignInChanged { account: account.id, change }).await?;
    Ok(())
}

/// Ends the sessions of an account but the one to keep, and what its logins
/// were waiting for.
pub(crate) async fn end_sessions(
    services: &Services,
    tx: &mut dyn IdentityTx,
    account: &Account,
    keep: Option<SessionId>,
    reason: RevocationReason,
) -> Result<Vec<SessionId>> {
    let now = services.now();
    let mut ended = Vec::new();
    for session in tx.lock_live_sessions(account.id).await? {
        if Some(session.id) != keep {
            ended.push(session.id);
            tx.save_session(&session.revoke(reason, now)).await?;
        }
    }
    tx.remove_ceremonies_of(account.id).await?;
    Ok(ended)
}

/// Asks to sign in with another address from now on. A link goes to the new
/// one, to prove it, and word of it to the old one. The answer does not tell
/// whether the new address has an account.
pub async fn request_email_change(
    services: &Services,
    actor: &Actor,
    email: &str,
    given: &str,
) -> Result<()> {
    let email: EmailAddress = email
        .parse()
        .map_err(|_| IdentityError::field("email", "invalid", "This is no e-mail address."))?;
    let account = reauthenticate(services, actor, "password", given).await?;
    if account.email == email {
        return Err(IdentityError::field(
            "email",
            "same",
            "This is the account's address already.",
        ));
    }
    let mut tx = services.store.begin(actor).await?;
    let account = tx.account(account.id).await?.ok_or(IdentityError::InvalidToken)?;
    let ids = services.env.ids.as_ref();
    let Some(account) = account.request_email_change(email, ids, services.now()) else {
        return Ok(());
    };
    tx.save_account(&account).await?;
    tx.audit(changed(account.id, "email_change_requested")).await?;
    // Somebody else's address gets no mail, and its owner learns nothing.
    let pending = account.email_change.as_ref().map(|change| change.email.clone());
    if let Some(pending) = pending
        && tx.account_by_email(&pending).await?.is_none()
    {
        tx.emit(Event::EmailChangeRequested { account: account.id }).await?;
    }
    tell(tx.as_mut(), &account, "email_change_requested").await?;
    tx.commit().await?;
    Ok(())
}

/// Takes the new address by the token of the link that was mailed to it, and
/// ends every session: one signs in with it from now on.
pub async fn confirm_email_change(
    services: &Services,
    request: RequestContext,
    token: &str,
) -> Result<()> {
    let link = LinkToken::parse(token)?;
    let actor = Actor::anonymous(request);
    let mut tx = services.store.begin(&actor).await?;
    let account = tx.account(link.account).await?.ok_or(IdentityError::InvalidLink)?;
    let old = account.email.clone();
    let account = account.change_email(&link, services.sealer.as_ref(), services.now())?;
    if tx.account_by_email(&account.email).await?.is_some() {
        return Err(IdentityError::AccountExists);
    }
    match tx.save_account(&account).await {
        // Somebody registered the address in this moment.
        Err(PortError::Conflict(what)) if what.contains("email") => {
            return Err(IdentityError::AccountExists);
        }
        // The link was followed twice at once.
        Err(PortError::Conflict(_)) => return Err(IdentityError::InvalidLink),
        other => other?,
    }
    tx.save_throttle(&old, Throttle::default()).await?;
    let reason = RevocationReason::EmailChanged;
    let ended = end_sessions(services, tx.as_mut(), &account, None, reason).await?;
    tx.audit(changed(account.id, "email_changed").detail("sessions_ended", ended.len())).await?;
    tell(tx.as_mut(), &account, "email_changed").await?;
    tx.commit().await?;
    services.forget_sessions(&ended).await;
    Ok(())
}

/// The address that waits to be proven and the secret of the link to it, for
/// whoever sends the mail.
pub async fn email_change_link_token(
    services: &Services,
    account: AccountId,
) -> Result<Option<(EmailAddress, String)>> {
    let mut tx = services.store.begin(&Actor::system("identity.link_token")).await?;
    let account = tx.account(account).await?.ok_or(IdentityError::NotFound("account"))?;
    let (purpose, sealer) = (ChallengePurpose::ChangeEmail, services.sealer.as_ref());
    let token = account.link_token(purpose, sealer, services.now())?;
    Ok(account.email_change.map(|change| change.email).zip(token))
}

/// Disables an account or lets it in again, by an administrator.
pub async fn set_disabled(
    services: &Services,
    actor: &Actor,
    id: AccountId,
    disabled: bool,
) -> Result<Account> {
    crate::staff::require_rank_over(services, actor, id).await?;
    if actor.account() == Some(id) {
        return Err(IdentityError::field("status", "own", "Nobody disables their own account."));
    }
    let mut tx = services.store.begin(actor).await?;
    let account = tx.account(id).await?.ok_or(IdentityError::NotFound("account"))?;
    let old = account.state_word();
    let account = account.set_disabled(disabled, services.now());
    let new = account.state_word();
    if old == new {
        return Ok(account);
    }
    if disabled {
        let none = std::collections::BTreeSet::new();
        crate::staff::keep_somebody(tx.as_mut(), id, &account.roles, &none).await?;
    }
    tx.save_account(&account).await?;
    let reason = RevocationReason::Administrator;
    let ended = end_sessions(services, tx.as_mut(), &account, None, reason).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "account_status", id)
            .detail("old", old)
            .detail("new", new)
            .detail("sessions_ended", ended.len()),
    )
    .await?;
    if account.roles.contains(&Role::Provider) {
        tx.emit(crate::provider::standing_changed(id.as_provider(), "account")).await?;
    }
    tx.commit().await?;
    services.forget_sessions(&ended).await;
    Ok(Account { version: account.version + 1, ..account })
}
