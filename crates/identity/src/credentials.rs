//! Changing what one signs in with: the password, and the address.

use kernel::{AccountId, Actor, EmailAddress, RequestContext, Role, SessionId};
use ports::{AuditAction, AuditEntry, Event, repository::get};

use crate::{
    Account, IdentityError, IdentityTx, Services,
    account::{ChallengePurpose, EMAIL_KEY, LinkToken},
    directory::contact,
    error::Result,
    login::{count_failure, login_entry},
    password,
    second_factor::{changed, hold, own},
    session::RevocationReason,
    store::lock_account,
    voiding::{Cause, void},
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
    let network = actor.request.ip;
    let (account, throttle) = {
        let mut tx = services.store.begin(actor).await?;
        let account: Option<Account> = tx.find(id).await?;
        let account = account.filter(Account::is_active).ok_or(IdentityError::InvalidToken)?;
        let throttle = tx.throttles(&account.email, network).await?;
        (account, throttle)
    };
    if let Some(until) = throttle.locked_until(services.now()) {
        return Err(IdentityError::locked(until, services.now()));
    }
    if services.verify_password(given, account.password.as_ref()).await?.is_some() {
        return Ok(account);
    }
    let now = services.now();
    let mut tx = services.store.begin(actor).await?;
    let throttle = tx.lock_throttles(&account.email, network).await?;
    if let Some(until) = throttle.locked_until(now) {
        return Err(IdentityError::locked(until, now));
    }
    count_failure(tx.as_mut(), &account.email, network, throttle, now).await?;
    tx.audit(login_entry(Some(&account)).failed().detail("reason", "identity.wrong_credentials"));
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
    let name = contact(services, account.id).await?.name;
    let new = services.check_password("new_password", new, &account.email, name.as_ref()).await?;
    if services.passwords.verify(&new, account.password.as_ref()).await? {
        return Err(IdentityError::Invalid(vec![password::unchanged("new_password")]));
    }
    let hash = services.passwords.hash(&new).await?;
    let mut tx = services.store.begin(actor).await?;
    // The account as it is now.
    let mut held = hold(services, tx.as_mut(), actor).await?;
    if held.account.password != account.password {
        return Err(IdentityError::VersionChanged("account"));
    }
    held.account.password = Some(hash);
    let cause = Cause::PasswordChanged(held.session.id);
    let ended = void(services, tx.as_mut(), &mut held.account, cause).await?.sessions;
    tx.save(&mut held.account).await?;
    tx.audit(changed(account.id, "password_changed").detail("sessions_ended", ended.len()));
    tell(tx.as_mut(), &account, "password_changed");
    tx.commit().await?;
    services.forget_sessions(&ended).await;
    Ok(())
}

pub(crate) fn tell(tx: &mut dyn IdentityTx, account: &Account, change: &str) {
    let change = change.to_owned();
    tx.emit(Event::SignInChanged { account: account.id, change });
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
    services.check_reach("email", &email).await?;
    let mut tx = services.store.begin(actor).await?;
    let held = hold(services, tx.as_mut(), actor).await?;
    held.require()?;
    let mut account = held.account;
    let ids = services.env.ids.as_ref();
    let Some(asked) = account.request_email_change(email, ids, services.now()) else {
        return Ok(());
    };
    account.set(asked);
    tx.save(&mut account).await?;
    tx.audit(changed(account.id, "email_change_requested"));
    // Asked for whoever has the address, so that the time tells nothing; the
    // mail to somebody else's address is dropped when it is due.
    tx.emit(Event::EmailChangeRequested { account: account.id });
    tell(tx.as_mut(), &account, "email_change_requested");
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
    let mut account =
        lock_account(tx.as_mut(), link.account).await?.ok_or(IdentityError::InvalidLink)?;
    let old = account.email.clone();
    account.set(account.change_email(&link, services.sealer.as_ref(), services.now())?);
    if tx.account_by_email(&account.email).await?.is_some() {
        return Err(IdentityError::AccountExists);
    }
    let ended = void(services, tx.as_mut(), &mut account, Cause::EmailChanged).await?.sessions;
    // Somebody may register the address in this moment.
    let saved = tx.save(&mut account).await;
    saved.map_err(|error| error.at(EMAIL_KEY, IdentityError::AccountExists))?;
    tx.move_networks(&old, &account.email).await?;
    tx.audit(changed(account.id, "email_changed").detail("sessions_ended", ended.len()));
    tell(tx.as_mut(), &account, "email_changed");
    // The address that was left hears of it as well.
    tx.emit(Event::AddressLeft { account: account.id });
    tx.commit().await?;
    services.forget_sessions(&ended).await;
    Ok(())
}

/// The address that the account was last left from, for whoever tells it.
pub async fn previous_address(
    services: &Services,
    account: AccountId,
) -> Result<Option<EmailAddress>> {
    let mut tx = services.store.begin(&Actor::system("identity.previous_address")).await?;
    let account = get::<Account>(tx.as_mut(), account).await?;
    Ok(account.previous_email)
}

/// The address that waits to be proven and the secret of the link to it, for
/// whoever sends the mail; `None` for somebody else's address, whose owner
/// learns nothing.
pub async fn email_change_link_token(
    services: &Services,
    account: AccountId,
) -> Result<Option<(EmailAddress, String)>> {
    let mut tx = services.store.begin(&Actor::system("identity.link_token")).await?;
    let account = get::<Account>(tx.as_mut(), account).await?;
    if let Some(change) = &account.email_change
        && tx.account_by_email(&change.email).await?.is_some()
    {
        return Ok(None);
    }
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
    let account = lock_account(tx.as_mut(), id).await?;
    let mut account = account.ok_or_else(IdentityError::no::<Account>)?;
    let old = account.state_word();
    account.set(account.set_disabled(disabled, services.now()));
    let new = account.state_word();
    if old == new {
        return Ok(account.into_inner());
    }
    if disabled {
        let none = std::collections::BTreeSet::new();
        crate::staff::keep_somebody(tx.as_mut(), id, &account.roles, &none).await?;
    }
    let cause = if disabled { Cause::Disabled } else { Cause::Enabled };
    let ended = void(services, tx.as_mut(), &mut account, cause).await?.sessions;
    tx.save(&mut account).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "account_status", id)
            .detail("old", old)
            .detail("new", new)
            .detail("sessions_ended", ended.len()),
    );
    if account.roles.contains(&Role::Provider) {
        tx.emit(crate::provider::standing_changed(id.as_provider(), "account"));
    }
    if account.roles.contains(&Role::Patient) {
        tx.emit(Event::PatientStandingChanged { patient: id.as_patient() });
    }
    tx.commit().await?;
    services.forget_sessions(&ended).await;
    Ok(account.into_inner())
}
