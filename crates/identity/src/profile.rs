//! The demographic profile of a patient.

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use kernel::{
    Actor, Address, Age, FieldError, HumanName, PatientId, Permission, PhoneNumber, Seen, Sex,
    UsState,
};
use ports::{Aggregate, AuditAction, AuditEntry, Event, repository::lock_existing};

use crate::{IdentityError, Services, error::Result};

/// A social security number, which shows only its last four digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Ssn(String);

impl Ssn {
    /// The nine digits, for sealing and for those who must have them.
    pub fn digits(&self) -> &str {
        &self.0
    }

    pub fn masked(&self) -> String {
        format!("***-**-{}", &self.0[5..])
    }
}

impl fmt::Debug for Ssn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ssn(…)")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a social security number")]
pub struct InvalidSsn;

impl FromStr for Ssn {
    type Err = InvalidSsn;

    fn from_str(value: &str) -> Result<Self, InvalidSsn> {
        let digits: String = value.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
        if digits.len() != 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidSsn);
        }
        let (area, group, serial) = (&digits[..3], &digits[3..5], &digits[5..]);
        // These were never given out.
        if matches!(area, "000" | "666") || area >= "900" || group == "00" || serial == "0000" {
            return Err(InvalidSsn);
        }
        Ok(Self(digits))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientProfile {
    pub patient: PatientId,
    pub name: HumanName,
    pub birth_date: NaiveDate,
    pub sex: Sex,
    pub address: Address,
    pub phone: PhoneNumber,
    pub time_zone: Tz,
    pub ssn: Option<Ssn>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

impl Aggregate for PatientProfile {
    type Id = PatientId;
    const NAME: &'static str = "patient_profile";

    fn id(&self) -> PatientId {
        self.patient
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn set_version(&mut self, version: i64) {
        self.version = version;
    }

    fn patient(&self) -> Option<PatientId> {
        Some(self.patient)
    }
}

/// A profile as somebody filled it in; [`PatientProfile::fill`] says what is
/// wrong with it, field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileForm {
    pub given: String,
    pub family: String,
    pub birth_date: NaiveDate,
    pub sex: Sex,
    pub line1: String,
    pub line2: Option<String>,
    pub city: String,
    /// A postal code of a state, as in `MA`.
    pub state: String,
    pub postal_code: String,
    pub phone: String,
    /// An IANA name, as in `America/New_York`.
    pub time_zone: String,
    /// Left out, the number on file stays.
    pub ssn: Option<String>,
    /// The version that was read, where the change must not overwrite another.
    pub version: Option<i64>,
}

/// The oldest age that is believed; the longest life on record is 122 years.
const OLDEST_YEARS: u32 = 125;

impl PatientProfile {
    /// Takes the form over `current`, the profile so far.
    pub fn fill(
        current: Option<&Self>,
        patient: PatientId,
        form: ProfileForm,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let mut errors = Vec::new();
        let name = collect(&mut errors, HumanName::parse(&form.given, &form.family));
        let state = form.state.trim().parse::<UsState>().map_err(|_| {
            vec![FieldError::new("address.state", "invalid", "A postal code of a US state.")]
        });
        let state = collect(&mut errors, state);
        // A state that is wrong has been reported; the rest of the address is
        // still checked, under any state.
        let address = Address {
            line1: form.line1,
            line2: form.line2,
            city: form.city,
            state: state.unwrap_or(UsState::Al),
            postal_code: form.postal_code,
        };
        let lives_in = address.state;
        let address = collect(&mut errors, address.checked());
        let phone = form.phone.parse::<PhoneNumber>();
        let phone = collect(&mut errors, one(phone, "phone", "A telephone number in E.164 form."));
        let time_zone = form.time_zone.parse::<Tz>();
        let time_zone = collect(
            &mut errors,
            one(time_zone, "time_zone", "An IANA time zone, as in America/New_York."),
        );
        let ssn = match form.ssn.as_deref() {
            None => Ok(current.and_then(|current| current.ssn.clone())),
            Some(text) => {
                one(text.parse().map(Some), "ssn", "A social security number of nine digits.")
            }
        };
        let ssn = collect(&mut errors, ssn);
        // Whether a date lies in the future is decided where the person lives, by
        // the day that ages are counted on.
        let today = kernel::age::today(lives_in, now);
        collect(&mut errors, check_birth_date(form.birth_date, today));

        match (name, address, phone, time_zone, ssn) {
            (Some(name), Some(address), Some(phone), Some(time_zone), Some(ssn))
                if errors.is_empty() =>
            {
                Ok(Self {
                    patient,
                    name,
                    birth_date: form.birth_date,
                    sex: form.sex,
                    address,
                    phone,
                    time_zone,
                    ssn,
                    updated_at: now,
                    version: current.map_or(1, |current| current.version),
                })
            }
            _ => Err(IdentityError::Invalid(errors)),
        }
    }
}

fn check_birth_date(birth_date: NaiveDate, today: NaiveDate) -> Result<(), Vec<FieldError>> {
    let message = if birth_date > today {
        "A birth date does not lie in the future."
    } else if Age::on(birth_date, today).years > OLDEST_YEARS {
        "A birth date lies at most 125 years back."
    } else {
        return Ok(());
    };
    Err(vec![FieldError::new("birth_date", "out_of_range", message)])
}

fn one<T, E>(result: Result<T, E>, path: &str, message: &str) -> Result<T, Vec<FieldError>> {
    result.map_err(|_| vec![FieldError::new(path, "invalid", message)])
}

fn collect<T>(errors: &mut Vec<FieldError>, result: Result<T, Vec<FieldError>>) -> Option<T> {
    result.map_err(|found| errors.extend(found)).ok()
}

/// Reads one's own profile.
pub async fn read_own(services: &Services, actor: &Actor) -> Result<PatientProfile> {
    actor.require(Permission::ProfileOwn)?;
    let patient = actor.as_patient().ok_or(IdentityError::NotFound("profile"))?;
    let mut tx = services.store.begin(actor).await?;
    let profile: Option<PatientProfile> = tx.find(patient).await?;
    let profile = profile.ok_or(IdentityError::NotFound("profile"))?;
    tx.audit(AuditEntry::new(AuditAction::Read, "patient_profile", patient).patient(patient));
    tx.commit().await?;
    Ok(profile)
}

/// Fills in or changes one's own profile.
pub async fn write_own(
    services: &Services,
    actor: &Actor,
    form: ProfileForm,
) -> Result<PatientProfile> {
    actor.require(Permission::ProfileOwn)?;
    let patient = actor.as_patient().ok_or(IdentityError::NotFound("profile"))?;
    let mut tx = services.store.begin(actor).await?;
    let seen = form.version;
    let current =
        lock_existing::<PatientProfile>(tx.as_mut(), patient, &seen.map_or(Seen::Any, Seen::from))
            .await?;
    let Some(mut profile) = current else {
        if seen.is_some() {
            return Err(IdentityError::VersionChanged("profile"));
        }
        let profile = PatientProfile::fill(None, patient, form, services.now())?;
        tx.insert(&profile).await?;
        tx.emit(Event::PatientProfileChanged { patient });
        tx.commit().await?;
        return Ok(profile);
    };
    let filled = PatientProfile::fill(Some(&profile), patient, form, services.now())?;
    if (PatientProfile { updated_at: profile.updated_at, ..filled.clone() }) == *profile {
        return Ok(profile.into_inner());
    }
    profile.set(filled);
    tx.save(&mut profile).await?;
    tx.emit(Event::PatientProfileChanged { patient });
    tx.commit().await?;
    Ok(profile.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-03-10T03:00:00Z".parse().unwrap()
    }

    fn form() -> ProfileForm {
        ProfileForm {
            given: " Ada ".to_owned(),
            family: "Byron".to_owned(),
            birth_date: NaiveDate::from_ymd_opt(1990, 12, 10).unwrap(),
            sex: Sex::Female,
            line1: "1 Main Street".to_owned(),
            line2: Some("  ".to_owned()),
            city: "Boston".to_owned(),
            state: "ma".to_owned(),
            postal_code: "02139".to_owned(),
            phone: "(617) 555-0123".to_owned(),
            time_zone: "America/New_York".to_owned(),
            ssn: Some("123-45-6789".to_owned()),
            version: None,
        }
    }

    fn fill(form: ProfileForm) -> Result<PatientProfile> {
        let patient = PatientId::from_uuid(kernel::Uuid::from_u128(1));
        PatientProfile::fill(None, patient, form, now())
    }

    fn paths(form: ProfileForm) -> Vec<String> {
        match fill(form) {
            Err(IdentityError::Invalid(errors)) => errors.into_iter().map(|e| e.path).collect(),
            other => panic!("the form is refused: {other:?}"),
        }
    }

    #[test]
    fn a_good_form_is_normalised() {
        let profile = fill(form()).unwrap();
        assert_eq!(profile.name.given, "Ada");
        assert_eq!(profile.address.state, UsState::Ma);
        assert_eq!(profile.address.line2, None);
        assert_eq!(profile.phone.as_str(), "+16175550123");
        assert_eq!(profile.ssn.as_ref().unwrap().masked(), "***-**-6789");
        assert!(!format!("{profile:?}").contains("123456789"));
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let wrong = ProfileForm {
            family: String::new(),
            line1: String::new(),
            state: "XX".to_owned(),
            phone: "12".to_owned(),
            time_zone: "America/Atlantis".to_owned(),
            ssn: Some("000-12-3456".to_owned()),
            birth_date: NaiveDate::from_ymd_opt(2030, 1, 1).unwrap(),
            ..form()
        };
        assert_eq!(
            paths(wrong),
            [
                "name.family",
                "address.state",
                "address.line1",
                "phone",
                "time_zone",
                "ssn",
                "birth_date"
            ]
        );
    }

    #[test]
    fn a_birth_date_is_neither_in_the_future_nor_absurd() {
        let born = |year, month, day| ProfileForm {
            birth_date: NaiveDate::from_ymd_opt(year, month, day).unwrap(),
            ..form()
        };
        // It is still the ninth of March in New York.
        assert_eq!(paths(born(2026, 3, 10)), ["birth_date"]);
        assert!(fill(born(2026, 3, 9)).is_ok());
        // Whoever sets another zone has no other day.
        let elsewhere =
            ProfileForm { time_zone: "Pacific/Kiritimati".to_owned(), ..born(2026, 3, 10) };
        assert_eq!(paths(elsewhere), ["birth_date"]);
        assert_eq!(paths(born(1900, 3, 9)), ["birth_date"]);
        assert!(fill(born(1901, 3, 9)).is_ok());
    }

    #[test]
    fn a_form_without_the_number_keeps_the_one_on_file() {
        let first = fill(form()).unwrap();
        let second = PatientProfile::fill(
            Some(&first),
            first.patient,
            ProfileForm { ssn: None, ..form() },
            now(),
        )
        .unwrap();
        assert_eq!(second, first);
    }

    #[test]
    fn numbers_that_were_never_given_out_are_refused() {
        for bad in ["", "12345678", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000"] {
            assert!(bad.parse::<Ssn>().is_err(), "{bad}");
        }
    }
}
