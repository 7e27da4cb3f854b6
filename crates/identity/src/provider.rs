//! The profile of a provider and the licenses, which say where the provider
//! may treat.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    Actor, Dea, FieldError, HumanName, Npi, PatientId, Permission, ProviderId, Role, Seen,
    Speciality, UsState, Word,
};
use ports::{
    Aggregate, AuditAction, AuditEntry, Event, Locked, PortError,
    repository::lock_existing,
    repository::{get, lock},
};
use serde_json::json;

use crate::{
    Account, IdentityError, IdentityTx, Services,
    error::Result,
    working_hours::{HoursForm, Shift, WorkingHours, clock},
};

/// What the board of a state says of a license. Expiry follows from the date and
/// is not a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum LicenseStatus {
    Active,
    Suspended,
    Revoked,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    pub state: UsState,
    pub number: String,
    /// The last day on which it is in force, in the state's own zone.
    pub expires_on: NaiveDate,
    pub status: LicenseStatus,
}

impl License {
    pub fn in_force(&self, at: DateTime<Utc>) -> bool {
        self.status == LicenseStatus::Active && self.state.has_not_passed(self.expires_on, at)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderProfile {
    pub provider: ProviderId,
    pub name: HumanName,
    pub npi: Npi,
    pub dea: Option<Dea>,
    pub specialities: BTreeSet<Speciality>,
    /// At most one of each state.
    pub licenses: Vec<License>,
    /// When the provider works; `None` where they have not said.
    pub hours: Option<WorkingHours>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

impl Aggregate for ProviderProfile {
    type Id = ProviderId;
    const NAME: &'static str = "provider_profile";

    fn id(&self) -> ProviderId {
        self.provider
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn set_version(&mut self, version: i64) {
        self.version = version;
    }

    fn patient(&self) -> Option<PatientId> {
        None
    }
}

/// The rule that an NPI is of one provider.
const NPI_KEY: &str = "identity_providers_npi_unique";

impl ProviderProfile {
    /// The license that lets the provider treat in that state at that time.
    pub fn license_in_force(&self, state: UsState, at: DateTime<Utc>) -> Option<&License> {
        self.licenses.iter().find(|license| license.state == state && license.in_force(at))
    }

    /// Where the provider may treat at that time.
    fn states_in_force(&self, at: DateTime<Utc>) -> BTreeSet<UsState> {
        let held = self.licenses.iter().filter(|license| license.in_force(at));
        held.map(|license| license.state).collect()
    }

    /// Holds to what the licenses were verified for: whose they are is not
    /// changed by the provider alone.
    fn check_own_change(&self, changed: &Self) -> Result<()> {
        if self.licenses.is_empty() {
            return Ok(());
        }
        let verified = |path: &str| {
            let message = "The licenses were verified for this; ask the administration.";
            FieldError::new(path, "verified", message)
        };
        let errors: Vec<FieldError> = [
            ("name", self.name != changed.name),
            ("npi", self.npi != changed.npi),
            ("dea", self.dea != changed.dea),
        ]
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(path, _)| verified(path))
        .collect();
        if errors.is_empty() { Ok(()) } else { Err(IdentityError::Invalid(errors)) }
    }

    fn fill(
        current: Option<&Self>,
        provider: ProviderId,
        form: ProviderForm,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let mut errors = Vec::new();
        let name =
            HumanName::parse(&form.given, &form.family).map_err(|found| errors.extend(found)).ok();
        let npi = form.npi.parse::<Npi>().ok();
        if npi.is_none() {
            errors.push(FieldError::new("npi", "invalid", "An NPI with a valid check digit."));
        }
        let dea = match form.dea.as_deref().map(str::parse::<Dea>) {
            None => None,
            Some(Ok(dea)) => Some(dea),
            Some(Err(_)) => {
                let message = "A DEA number with a valid check digit.";
                errors.push(FieldError::new("dea", "invalid", message));
                None
            }
        };
        let mut specialities = BTreeSet::new();
        for (index, code) in form.specialities.iter().enumerate() {
            match code.trim().parse::<Speciality>() {
                Ok(speciality) => drop(specialities.insert(speciality)),
                Err(_) => errors.push(FieldError::new(
                    format!("specialities[{index}]"),
                    "unknown",
                    "A code of the NUCC provider taxonomy that is on the list of specialities.",
                )),
            }
        }
        match (name, npi) {
            (Some(name), Some(npi)) if errors.is_empty() => {
                let (licenses, hours, version) =
                    current.cloned().map_or((Vec::new(), None, 1), |current| {
                        (current.licenses, current.hours, current.version)
                    });
                Ok(Self {
                    provider,
                    name,
                    npi,
                    dea,
                    specialities,
                    licenses,
                    hours,
                    updated_at: now,
                    version,
                })
            }
            _ => Err(IdentityError::Invalid(errors)),
        }
    }

    /// Replaces the licenses by those that the staff has checked.
    pub fn with_licenses(&self, licenses: Vec<License>, now: DateTime<Utc>) -> Result<Self> {
        let mut errors = Vec::new();
        let mut states = BTreeSet::new();
        for (index, license) in licenses.iter().enumerate() {
            if !states.insert(license.state) {
                errors.push(FieldError::new(
                    format!("licenses[{index}].state"),
                    "duplicate",
                    "There is one license for each state.",
                ));
            }
            let number = license.number.trim();
            let printable = number.chars().all(|c| c.is_ascii_alphanumeric() || "-. /".contains(c));
            if number.is_empty() || number.len() > 40 || !printable {
                errors.push(FieldError::new(
                    format!("licenses[{index}].number"),
                    "invalid",
                    "A license number has 1 to 40 letters, digits and dashes.",
                ));
            }
        }
        if !errors.is_empty() {
            return Err(IdentityError::Invalid(errors));
        }
        let licenses = licenses
            .into_iter()
            .map(|license| License { number: license.number.trim().to_owned(), ..license })
            .collect();
        Ok(Self { licenses, updated_at: now, ..self.clone() })
    }
}

/// A profile as a provider filled it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderForm {
    pub given: String,
    pub family: String,
    pub npi: String,
    pub dea: Option<String>,
    /// Codes of the NUCC provider taxonomy.
    pub specialities: Vec<String>,
}

/// Reads one's own profile as a provider.
pub async fn read_own(services: &Services, actor: &Actor) -> Result<ProviderProfile> {
    actor.require(Permission::ProfileOwn)?;
    let provider = actor.as_provider().ok_or(IdentityError::NotFound("provider profile"))?;
    Ok(get(services.store.begin(actor).await?.as_mut(), provider).await?)
}

/// Fills in or changes one's own profile; the licenses are not one's own to
/// change.
pub async fn write_own(
    services: &Services,
    actor: &Actor,
    form: ProviderForm,
) -> Result<ProviderProfile> {
    actor.require(Permission::ProfileOwn)?;
    let provider = actor.as_provider().ok_or(IdentityError::NotFound("provider profile"))?;
    fill(services, actor, provider, form, true).await
}

pub(crate) async fn save(
    services: &Services,
    actor: &Actor,
    provider: ProviderId,
    form: ProviderForm,
) -> Result<ProviderProfile> {
    fill(services, actor, provider, form, false).await
}

async fn fill(
    services: &Services,
    actor: &Actor,
    provider: ProviderId,
    form: ProviderForm,
    own: bool,
) -> Result<ProviderProfile> {
    let mut tx = services.store.begin(actor).await?;
    let Some(mut profile) =
        lock_existing::<ProviderProfile>(tx.as_mut(), provider, &Seen::Any).await?
    else {
        let profile = ProviderProfile::fill(None, provider, form, services.now())?;
        tx.insert(&profile).await.map_err(npi_taken)?;
        tx.audit(entry(AuditAction::Create, None, &profile));
        tx.commit().await?;
        return Ok(profile);
    };
    let filled = ProviderProfile::fill(Some(&profile), provider, form, services.now())?;
    if own {
        profile.check_own_change(&filled)?;
    }
    profile.set(filled);
    keep(tx, profile).await
}

/// Saves a profile, and tells the audit log what it was before. What stands in
/// it is public registry data or a matter of the practice, and no PHI.
async fn keep(
    mut tx: Box<dyn IdentityTx>,
    mut profile: Locked<ProviderProfile>,
) -> Result<ProviderProfile> {
    tx.audit(entry(AuditAction::Update, Some(profile.stored()), &profile));
    tx.save(&mut profile).await.map_err(npi_taken)?;
    tx.commit().await?;
    Ok(profile.into_inner())
}

fn entry(action: AuditAction, old: Option<&ProviderProfile>, new: &ProviderProfile) -> AuditEntry {
    AuditEntry::new(action, ProviderProfile::NAME, new.provider)
        .detail("old", old.map(told))
        .detail("new", told(new))
}

fn npi_taken(error: PortError) -> IdentityError {
    error.at(NPI_KEY, IdentityError::field("npi", "taken", "Another provider has this NPI."))
}

fn told(profile: &ProviderProfile) -> serde_json::Value {
    let shift =
        |shift: &Shift| format!("{} {}-{}", shift.day, clock(shift.from), clock(shift.until));
    let hours = profile.hours.as_ref().map(|hours| {
        let shifts: Vec<String> = hours.shifts().iter().map(shift).collect();
        json!({ "time_zone": hours.zone().name(), "shifts": shifts })
    });
    json!({
        "given": profile.name.given,
        "family": profile.name.family,
        "npi": profile.npi,
        "dea": profile.dea,
        "specialities": profile.specialities,
        "working_hours": hours,
    })
}

/// Says when one works oneself; `None` takes the hours back.
pub async fn write_own_hours(
    services: &Services,
    actor: &Actor,
    hours: Option<HoursForm>,
) -> Result<ProviderProfile> {
    actor.require(Permission::ProfileOwn)?;
    let provider = actor.as_provider().ok_or(IdentityError::NotFound("provider profile"))?;
    let hours = hours.as_ref().map(WorkingHours::parse).transpose()?;
    let mut tx = services.store.begin(actor).await?;
    let mut profile = lock::<ProviderProfile>(tx.as_mut(), provider, &Seen::Any).await?;
    (profile.hours, profile.updated_at) = (hours, services.now());
    keep(tx, profile).await
}

/// Reads the profile of any provider, as an administrator.
pub async fn read(
    services: &Services,
    actor: &Actor,
    provider: ProviderId,
) -> Result<ProviderProfile> {
    actor.require(Permission::AccountAdminister)?;
    Ok(get(services.store.begin(actor).await?.as_mut(), provider).await?)
}

/// Changes the profile of any provider with the hours, as an administrator.
/// `seen` is the version that was read.
pub async fn revise(
    services: &Services,
    actor: &Actor,
    (provider, seen): (ProviderId, Seen),
    form: ProviderForm,
    hours: Option<HoursForm>,
) -> Result<ProviderProfile> {
    actor.require(Permission::AccountAdminister)?;
    let mut tx = services.store.begin(actor).await?;
    let mut profile = lock::<ProviderProfile>(tx.as_mut(), provider, &seen).await?;
    let filled = ProviderProfile::fill(Some(&profile), provider, form, services.now());
    let hours = hours.as_ref().map(WorkingHours::parse).transpose();
    match (filled, hours) {
        (Ok(filled), Ok(hours)) => {
            profile.set(ProviderProfile { hours, ..filled });
            keep(tx, profile).await
        }
        // What is wrong is named at once, wherever it stands.
        (Err(IdentityError::Invalid(mut errors)), Err(IdentityError::Invalid(others))) => {
            errors.extend(others);
            Err(IdentityError::Invalid(errors))
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// Records the licenses of a provider, as the staff has verified them.
pub async fn set_licenses(
    services: &Services,
    actor: &Actor,
    provider: ProviderId,
    licenses: Vec<License>,
) -> Result<ProviderProfile> {
    actor.require(Permission::AccountAdminister)?;
    let mut tx = services.store.begin(actor).await?;
    let account: Option<Account> = tx.find(provider.account()).await?;
    if !account.is_some_and(|account| account.roles.contains(&Role::Provider)) {
        return Err(IdentityError::no::<ProviderProfile>());
    }
    let profile = lock_existing::<ProviderProfile>(tx.as_mut(), provider, &Seen::Any).await?;
    let mut profile = profile.ok_or_else(|| {
        IdentityError::field(
            "licenses",
            "no_profile",
            "The provider has to fill in the profile with the NPI before.",
        )
    })?;
    profile.set(profile.with_licenses(licenses, services.now())?);
    tx.audit(
        AuditEntry::new(AuditAction::Update, "provider_licenses", provider)
            .detail("old", license_list(profile.stored()))
            .detail("new", license_list(&profile)),
    );
    let now = services.now();
    if profile.stored().states_in_force(now) != profile.states_in_force(now) {
        tx.emit(standing_changed(provider, "licenses"));
    }
    tx.save(&mut profile).await?;
    tx.commit().await?;
    Ok(profile.into_inner())
}

/// Where a provider may practise has changed, for whatever reason.
pub(crate) fn standing_changed(provider: ProviderId, reason: &str) -> Event {
    Event::ProviderStandingChanged { provider, reason: reason.to_owned() }
}

fn license_list(profile: &ProviderProfile) -> serde_json::Value {
    let entry = |license: &License| {
        json!({
            "state": license.state,
            "number": license.number,
            "expires_on": license.expires_on,
            "status": license.status.to_string(),
        })
    };
    profile.licenses.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn license(state: UsState, expires: &str) -> License {
        License {
            state,
            number: "MD-12345".to_owned(),
            expires_on: expires.parse().unwrap(),
            status: LicenseStatus::Active,
        }
    }

    fn form() -> ProviderForm {
        ProviderForm {
            given: "Grace".to_owned(),
            family: "Lindqvist".to_owned(),
            npi: "1234567893".to_owned(),
            dea: Some("AB1234563".to_owned()),
            specialities: vec!["207Q00000X".to_owned()],
        }
    }

    fn now() -> DateTime<Utc> {
        "2026-03-10T12:00:00Z".parse().unwrap()
    }

    fn profile() -> ProviderProfile {
        let provider = ProviderId::from_uuid(kernel::Uuid::from_u128(1));
        ProviderProfile::fill(None, provider, form(), now()).unwrap()
    }

    #[test]
    fn what_a_license_was_verified_for_is_not_changed_by_its_holder() {
        let verified =
            ProviderProfile { licenses: vec![license(UsState::Ca, "2027-03-10")], ..profile() };
        let changed = |form: ProviderForm| {
            ProviderProfile::fill(Some(&verified), verified.provider, form, now()).unwrap()
        };
        let skills = ProviderForm { specialities: vec!["207N00000X".to_owned()], ..form() };
        assert!(verified.check_own_change(&changed(skills)).is_ok());
        let other = ProviderForm {
            family: "Holm".to_owned(),
            npi: "1245319599".to_owned(),
            dea: None,
            ..form()
        };
        let Err(IdentityError::Invalid(errors)) =
            verified.check_own_change(&changed(other.clone()))
        else {
            panic!("accepted");
        };
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, ["name", "npi", "dea"]);
        assert!(profile().check_own_change(&changed(other)).is_ok(), "nothing is verified yet");
    }

    #[test]
    fn a_license_is_in_force_through_its_last_local_day() {
        let license = license(UsState::Ca, "2026-03-10");
        // Seven hours behind UTC since daylight time began on the eighth.
        assert!(license.in_force("2026-03-11T06:59:59Z".parse().unwrap()));
        assert!(!license.in_force("2026-03-11T07:00:00Z".parse().unwrap()));
        let suspended = License { status: LicenseStatus::Suspended, ..license };
        assert!(!suspended.in_force("2026-03-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn only_the_license_of_the_state_counts() {
        let licenses = vec![license(UsState::Ma, "2027-01-31"), license(UsState::Ny, "2026-01-31")];
        let profile = profile().with_licenses(licenses, now()).unwrap();
        assert!(profile.license_in_force(UsState::Ma, now()).is_some());
        assert!(profile.license_in_force(UsState::Ny, now()).is_none(), "it has expired");
        assert!(profile.license_in_force(UsState::Tx, now()).is_none());
    }

    #[test]
    fn two_licenses_of_one_state_and_odd_numbers_are_refused_by_index() {
        let mut odd = license(UsState::Ma, "2027-01-31");
        odd.number = "<script>".to_owned();
        let licenses = vec![license(UsState::Ma, "2027-01-31"), odd];
        let Err(IdentityError::Invalid(errors)) = profile().with_licenses(licenses, now()) else {
            panic!("the licenses are refused");
        };
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, ["licenses[1].state", "licenses[1].number"]);
    }

    #[test]
    fn identifiers_need_their_check_digits() {
        let wrong = ProviderForm {
            npi: "1234567890".to_owned(),
            dea: Some("AB1234567".to_owned()),
            specialities: vec!["207Q00000X".to_owned(), "Family medicine".to_owned()],
            ..form()
        };
        let provider = ProviderId::from_uuid(kernel::Uuid::from_u128(1));
        let Err(IdentityError::Invalid(errors)) =
            ProviderProfile::fill(None, provider, wrong, now())
        else {
            panic!("the form is refused");
        };
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, ["npi", "dea", "specialities[1]"]);
    }
}
