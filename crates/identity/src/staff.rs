//! Accounts of the staff: who invites them, and who may give which role.

use std::collections::BTreeSet;

use kernel::{AccountId, Actor, EmailAddress, FieldError, HumanName, Permission, Role};
use ports::{AuditAction, AuditEntry, Event, repository::get};

use crate::{
    Account, AccountState, IdentityError, IdentityTx, License, ProviderForm, ProviderProfile,
    Services, account::EMAIL_KEY, error::Result, provider, store::lock_account,
};

/// A member of the staff as an administrator describes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaffForm {
    pub email: String,
    pub given: String,
    pub family: String,
    pub roles: BTreeSet<Role>,
}

/// Roles that are worth as much as the matrix itself.
const HIGH_ROLES: [Role; 2] = [Role::Admin, Role::SuperAdmin];

/// Whoever gives or takes a high role must be able to edit the matrix, or an
/// administrator could make themselves more than one.
fn require_rank(actor: &Actor, roles: &BTreeSet<Role>) -> Result<()> {
    actor.require(Permission::AccountAdminister)?;
    if roles.iter().any(|role| HIGH_ROLES.contains(role)) {
        actor.require(Permission::RoleAdminister)?;
    }
    Ok(())
}

/// Whether the actor may shut somebody's account or end their sessions.
pub(crate) async fn require_rank_over(
    services: &Services,
    actor: &Actor,
    id: AccountId,
) -> Result<()> {
    actor.require(Permission::AccountAdminister)?;
    let mut tx = services.store.begin(actor).await?;
    let account = get::<Account>(tx.as_mut(), id).await?;
    let ranked = require_rank(actor, &account.roles);
    if ranked.is_err() {
        let entry = AuditEntry::new(AuditAction::Update, "account", id);
        tx.audit(entry.denied());
        tx.commit().await?;
    }
    ranked
}

/// Creates an account and invites its person by mail to choose a password.
pub async fn create_account(
    services: &Services,
    actor: &Actor,
    form: StaffForm,
) -> Result<Account> {
    require_rank(actor, &form.roles)?;
    let env = &services.env;
    let (email, name) = parse(&form)?;
    services.check_reach("email", &email).await?;
    let account =
        Account::invite(env.fresh(), email, name, form.roles, env.ids.as_ref(), services.now())?;
    insert(services, actor, &account, true).await?;
    Ok(account)
}

fn parse(form: &StaffForm) -> Result<(EmailAddress, HumanName)> {
    let mut errors = Vec::new();
    let email = form.email.parse().ok();
    if email.is_none() {
        errors.push(FieldError::new("email", "invalid", "This is no e-mail address."));
    }
    let name = HumanName::parse(&form.given, &form.family).map_err(|e| errors.extend(e)).ok();
    email.zip(name).ok_or(IdentityError::Invalid(errors))
}

async fn insert(services: &Services, actor: &Actor, account: &Account, invite: bool) -> Result<()> {
    let mut tx = services.store.begin(actor).await?;
    if tx.account_by_email(&account.email).await?.is_some() {
        return Err(IdentityError::AccountExists);
    }
    let inserted = tx.insert(account).await;
    inserted.map_err(|error| error.at(EMAIL_KEY, IdentityError::AccountExists))?;
    tx.audit(
        AuditEntry::new(AuditAction::Create, "account", account.id)
            .detail("old", words(&BTreeSet::new()))
            .detail("new", words(&account.roles)),
    );
    if invite {
        tx.emit(Event::PasswordResetRequested { account: account.id, invited: true });
    }
    tx.commit().await?;
    Ok(())
}

fn words(roles: &BTreeSet<Role>) -> Vec<String> {
    roles.iter().map(ToString::to_string).collect()
}

/// Gives a member of the staff other roles; they count from the next call on.
pub async fn change_roles(
    services: &Services,
    actor: &Actor,
    id: AccountId,
    roles: BTreeSet<Role>,
) -> Result<Account> {
    actor.require(Permission::AccountAdminister)?;
    let mut tx = services.store.begin(actor).await?;
    let account = lock_account(tx.as_mut(), id).await?;
    let mut account = account.ok_or_else(IdentityError::no::<Account>)?;
    let touched = account.roles.union(&roles).copied().collect();
    if let Err(error) = require_rank(actor, &touched) {
        tx.audit(
            AuditEntry::new(AuditAction::Update, "account_roles", id)
                .denied()
                .detail("old", words(&account.roles))
                .detail("new", words(&roles)),
        );
        tx.commit().await?;
        return Err(error);
    }
    let (changed, change) = account.change_roles(roles)?;
    if change.old == change.new {
        return Ok(account.into_inner());
    }
    account.set(changed);
    keep_somebody(tx.as_mut(), id, &change.old, &change.new).await?;
    tx.save(&mut account).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "account_roles", id)
            .detail("old", words(&change.old))
            .detail("new", words(&change.new)),
    );
    if change.old.contains(&Role::Provider) != change.new.contains(&Role::Provider) {
        tx.emit(provider::standing_changed(id.as_provider(), "roles"));
    }
    tx.commit().await?;
    services.forget_all_sessions();
    Ok(account.into_inner())
}

/// Refuses to take the matrix from the last who may edit it: nobody could ever
/// give a high role again. The roles are held, so that two of the last do not
/// take it from each other at once.
pub(crate) async fn keep_somebody(
    tx: &mut dyn IdentityTx,
    id: AccountId,
    old: &BTreeSet<Role>,
    new: &BTreeSet<Role>,
) -> Result<()> {
    let matrix = tx.lock_matrix().await?;
    let edits =
        |roles: &BTreeSet<Role>| matrix.permissions_of(roles).contains(&Permission::RoleAdminister);
    if !edits(old) || edits(new) {
        return Ok(());
    }
    let holders: Vec<Role> =
        Role::ALL.iter().copied().filter(|role| edits(&BTreeSet::from([*role]))).collect();
    let others = tx.accounts_with_roles(&holders).await?;
    if others.iter().any(|other| *other != id) { Ok(()) } else { Err(IdentityError::LastKeeper) }
}

/// A member of the staff who is there from the start: demo data, or the first
/// administrator of an installation, who nobody could invite.
#[derive(Clone, Debug)]
pub struct FirstStaff {
    pub id: AccountId,
    pub form: StaffForm,
    pub password: String,
    pub provider: Option<FirstProvider>,
}

/// What makes such a member a provider.
#[derive(Clone, Debug)]
pub struct FirstProvider {
    pub npi: String,
    pub dea: Option<String>,
    pub specialities: Vec<String>,
    pub licenses: Vec<License>,
}

/// Seats a member of the staff; does nothing for what is there already. Only
/// Salus itself may do this.
pub async fn seat(services: &Services, actor: &Actor, staff: FirstStaff) -> Result<()> {
    if !actor.is_system() {
        actor.require(Permission::RoleAdminister)?;
    }
    let FirstStaff { id, form, password, provider } = staff;
    let account: Option<Account> = services.store.begin(actor).await?.find(id).await?;
    if account.is_none() {
        let (email, name) = parse(&form)?;
        let password = services.check_password("password", &password, &email, Some(&name)).await?;
        let hash = services.passwords.hash(&password).await?;
        let (now, ids) = (services.now(), services.env.ids.as_ref());
        let invited = Account::invite(id, email, name, form.roles.clone(), ids, now)?;
        let state = AccountState::Active { verified_at: now };
        let account = Account { password: Some(hash), state, reset: None, ..invited };
        insert(services, actor, &account, false).await?;
    }
    let Some(first) = provider else { return Ok(()) };
    let current: Option<ProviderProfile> =
        services.store.begin(actor).await?.find(id.as_provider()).await?;
    if current.is_none() {
        let profile = ProviderForm {
            given: form.given,
            family: form.family,
            npi: first.npi,
            dea: first.dea,
            specialities: first.specialities,
        };
        provider::save(services, actor, id.as_provider(), profile).await?;
    }
    if current.is_none_or(|profile| profile.licenses.is_empty()) {
        provider::set_licenses(services, actor, id.as_provider(), first.licenses).await?;
    }
    Ok(())
}
