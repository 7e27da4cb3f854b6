//! Who people are, for the other contexts: read models that bridges ask.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use kernel::{
    AccountId, Actor, ActorKind, EmailAddress, HumanName, PatientId, Permission, PhoneNumber,
    ProviderId, Role, UsState,
};
use ports::{AuditAction, AuditEntry, Panel, repository::get};

use crate::{
    Account, License, PatientProfile, ProviderProfile, Services, error::Result, scope::Interaction,
};

/// A provider who may treat in a state, and the license that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LicensedProvider {
    pub provider: ProviderId,
    pub name: HumanName,
    pub license: License,
}

/// What tells one patient from another in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientName {
    pub patient: PatientId,
    pub name: HumanName,
    pub birth_date: NaiveDate,
}

/// How an account is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub account: AccountId,
    pub email: EmailAddress,
    pub email_verified: bool,
    /// From the profile, or a member of the staff's own.
    pub name: Option<HumanName>,
    pub phone: Option<PhoneNumber>,
    pub time_zone: Option<Tz>,
    pub is_patient: bool,
}

/// The providers whose license in the state is in force at that time. It says
/// nothing about patients, so every actor may ask.
pub async fn providers_licensed_in(
    services: &Services,
    actor: &Actor,
    state: UsState,
    at: DateTime<Utc>,
) -> Result<Vec<LicensedProvider>> {
    let mut tx = services.store.begin(actor).await?;
    Ok(tx.providers_licensed_in(state, at).await?)
}

/// The same providers with their whole profiles.
pub async fn colleagues_licensed_in(
    services: &Services,
    actor: &Actor,
    state: UsState,
    at: DateTime<Utc>,
) -> Result<Vec<ProviderProfile>> {
    let mut tx = services.store.begin(actor).await?;
    let licensed = tx.providers_licensed_in(state, at).await?;
    let ids: Vec<ProviderId> = licensed.into_iter().map(|found| found.provider).collect();
    Ok(tx.providers(&ids).await?)
}

/// A provider's public profile with the licenses.
pub async fn provider(
    services: &Services,
    actor: &Actor,
    provider: ProviderId,
) -> Result<Option<ProviderProfile>> {
    let mut tx = services.store.begin(actor).await?;
    Ok(tx.find(provider).await?)
}

/// Who a patient is. The patient asks for oneself, a provider for the patients
/// of the panel, others by permission or scope, Salus for everyone; to anybody
/// else the patient does not exist, and the attempt is audited.
pub async fn demographics(
    services: &Services,
    panel: &dyn Panel,
    actor: &Actor,
    patient: PatientId,
) -> Result<Option<PatientProfile>> {
    let reaches = reaches(panel, actor, patient).await?;
    let mut tx = services.store.begin(actor).await?;
    let profile = if reaches { tx.find(patient).await? } else { None };
    let entry = AuditEntry::new(AuditAction::Read, "patient_profile", patient).patient(patient);
    let entry = if reaches { entry } else { entry.denied() };
    tx.audit(entry);
    tx.commit().await?;
    Ok(profile)
}

/// The names of the patients that have a profile. Who is shown them, and that
/// they were, is for the list to say that shows them.
pub async fn names(
    services: &Services,
    actor: &Actor,
    patients: &[PatientId],
) -> Result<Vec<PatientName>> {
    let mut tx = services.store.begin(actor).await?;
    Ok(tx.names(patients).await?)
}

/// Where the patients are that have a profile, for Salus itself.
pub async fn patient_states(
    services: &Services,
    patients: &[PatientId],
) -> Result<Vec<(PatientId, UsState)>> {
    let mut tx = services.store.begin(&Actor::system("identity.directory")).await?;
    Ok(tx.states(patients).await?)
}

async fn reaches(panel: &dyn Panel, actor: &Actor, patient: PatientId) -> Result<bool> {
    if actor.is_patient(patient) || actor.may(Permission::PatientReadAny) {
        return Ok(true);
    }
    if let ActorKind::Client { scopes, .. } = &actor.kind {
        return Ok(crate::scope::allows(scopes.iter(), "Patient", Interaction::Read));
    }
    match actor.as_provider() {
        Some(provider) if actor.may(Permission::PatientRead) => {
            Ok(panel.opens_chart(provider, patient).await?)
        }
        _ => Ok(false),
    }
}

/// The active accounts whose roles hold a permission, in a stable order.
pub async fn accounts_that_may(
    services: &Services,
    permission: Permission,
) -> Result<Vec<AccountId>> {
    let mut tx = services.store.begin(&Actor::system("identity.directory")).await?;
    let matrix = tx.matrix().await?;
    let holds = |role: &Role| matrix.effective(*role).contains(&permission);
    let roles: Vec<Role> = Role::ALL.iter().copied().filter(holds).collect();
    Ok(tx.accounts_with_roles(&roles).await?)
}

/// Whether this is a provider who works here now: the account is active and
/// has the role.
pub async fn practises(services: &Services, provider: ProviderId) -> Result<bool> {
    let mut tx = services.store.begin(&Actor::system("identity.directory")).await?;
    let account: Option<Account> = tx.find(provider.account()).await?;
    Ok(account.is_some_and(|found| found.is_active() && found.roles.contains(&Role::Provider)))
}

/// Whether this is the active account of somebody who works in pharmacies.
pub async fn dispenses(services: &Services, account: AccountId) -> Result<bool> {
    let mut tx = services.store.begin(&Actor::system("identity.directory")).await?;
    let account: Option<Account> = tx.find(account).await?;
    Ok(account.is_some_and(|found| found.is_active() && found.roles.contains(&Role::Pharmacist)))
}

/// Whether this is a patient whose account is active.
pub async fn is_active_patient(services: &Services, patient: PatientId) -> Result<bool> {
    let mut tx = services.store.begin(&Actor::system("identity.directory")).await?;
    let account: Option<Account> = tx.find(patient.account()).await?;
    Ok(account.is_some_and(|found| found.is_active() && found.roles.contains(&Role::Patient)))
}

/// How to reach an account, for those who send mails and notifications.
pub async fn contact(services: &Services, account: AccountId) -> Result<Contact> {
    let actor = Actor::system("identity.contact");
    let mut tx = services.store.begin(&actor).await?;
    let found = get::<Account>(tx.as_mut(), account).await?;
    let profile: Option<PatientProfile> = tx.find(account.as_patient()).await?;
    if profile.is_some() {
        let patient = account.as_patient();
        let entry = AuditEntry::new(AuditAction::Read, "patient_profile", patient);
        tx.audit(entry.patient(patient));
        tx.commit().await?;
    }
    let email_verified = found.is_active();
    Ok(Contact {
        account,
        email_verified,
        is_patient: found.roles.contains(&Role::Patient),
        email: found.email,
        name: profile.as_ref().map(|profile| profile.name.clone()).or(found.name),
        phone: profile.as_ref().map(|profile| profile.phone.clone()),
        time_zone: profile.map(|profile| profile.time_zone),
    })
}
