//! Specialities and working hours, and what administrators change of a
//! provider's profile.

use api::{Body, Caller, Problem, Tag, Text, Versioned, one_version, seen_version};
use chrono::Weekday;
use identity::{
    HoursForm, IdentityError, ProviderForm, Services, Shift, ShiftForm, WorkingHours, provider,
    working_hours::clock,
};
use kernel::text::{DeaNumber, NpiNumber, TimeZone};
use kernel::{Speciality, Uuid};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path},
    payload::Json,
    types::Example,
};

use super::people::{PersonName, ProviderView};

/// A speciality of the NUCC Health Care Provider Taxonomy.
#[derive(Clone, Debug, Object)]
pub struct SpecialityView {
    /// As in `207Q00000X`.
    #[oai(validator(max_length = 10))]
    code: String,
    /// The taxonomy's own name.
    display: String,
}

impl From<Speciality> for SpecialityView {
    fn from(speciality: Speciality) -> Self {
        Self { code: speciality.code().to_owned(), display: speciality.display().to_owned() }
    }
}

#[derive(Debug, Object)]
struct SpecialitiesView {
    /// In the order of the list.
    specialities: Vec<SpecialityView>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum WeekdayWord {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl From<WeekdayWord> for Weekday {
    fn from(word: WeekdayWord) -> Self {
        match word {
            WeekdayWord::Monday => Self::Mon,
            WeekdayWord::Tuesday => Self::Tue,
            WeekdayWord::Wednesday => Self::Wed,
            WeekdayWord::Thursday => Self::Thu,
            WeekdayWord::Friday => Self::Fri,
            WeekdayWord::Saturday => Self::Sat,
            WeekdayWord::Sunday => Self::Sun,
        }
    }
}

impl From<Weekday> for WeekdayWord {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Mon => Self::Monday,
            Weekday::Tue => Self::Tuesday,
            Weekday::Wed => Self::Wednesday,
            Weekday::Thu => Self::Thursday,
            Weekday::Fri => Self::Friday,
            Weekday::Sat => Self::Saturday,
            Weekday::Sun => Self::Sunday,
        }
    }
}

/// A stretch of work within a day.
#[derive(Clone, Debug, Object)]
pub struct ShiftBody {
    weekday: WeekdayWord,
    /// By the clock on the wall, as in `09:00`.
    #[oai(validator(max_length = 5))]
    from: String,
    /// As in `17:00`; `24:00` is the end of the day.
    #[oai(validator(max_length = 5))]
    until: String,
}

/// When a provider works.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct WorkingHoursBody {
    /// A name of the IANA database, as in `America/New_York`.
    time_zone: Text<TimeZone>,
    /// Shifts of a day do not overlap; work through midnight is two shifts.
    #[oai(validator(max_items = 42))]
    shifts: Vec<ShiftBody>,
}

impl Example for WorkingHoursBody {
    fn example() -> Self {
        let shift = |weekday, from: &str, until: &str| ShiftBody {
            weekday,
            from: from.to_owned(),
            until: until.to_owned(),
        };
        Self {
            time_zone: "America/New_York".into(),
            shifts: vec![
                shift(WeekdayWord::Monday, "09:00", "17:00"),
                shift(WeekdayWord::Thursday, "13:00", "20:30"),
            ],
        }
    }
}

impl From<WorkingHoursBody> for HoursForm {
    fn from(body: WorkingHoursBody) -> Self {
        let shift = |shift: ShiftBody| ShiftForm {
            day: shift.weekday.into(),
            from: shift.from,
            until: shift.until,
        };
        Self { zone: body.time_zone.into(), shifts: body.shifts.into_iter().map(shift).collect() }
    }
}

impl From<&WorkingHours> for WorkingHoursBody {
    fn from(hours: &WorkingHours) -> Self {
        let shift = |shift: &Shift| ShiftBody {
            weekday: shift.day.into(),
            from: clock(shift.from),
            until: clock(shift.until),
        };
        Self {
            time_zone: hours.zone().name().into(),
            shifts: hours.shifts().iter().map(shift).collect(),
        }
    }
}

#[derive(Debug, Object)]
#[oai(example)]
struct OwnHoursRequest {
    /// Without hours one may be given work at any time.
    working_hours: Option<WorkingHoursBody>,
}

impl Example for OwnHoursRequest {
    fn example() -> Self {
        Self { working_hours: Some(WorkingHoursBody::example()) }
    }
}

/// A provider's whole profile but for the licenses.
#[derive(Debug, Object)]
#[oai(example)]
struct ReviseProvider {
    name: PersonName,
    /// The National Provider Identifier: ten digits with a check digit.
    npi: Text<NpiNumber>,
    /// The DEA registration number, where there is one.
    dea: Option<Text<DeaNumber>>,
    /// Codes of the NUCC provider taxonomy.
    #[oai(validator(max_items = 20))]
    specialities: Vec<String>,
    /// Without hours the provider may be given work at any time.
    working_hours: Option<WorkingHoursBody>,
}

impl Example for ReviseProvider {
    fn example() -> Self {
        Self {
            name: PersonName { given: "Grace".into(), family: "Lindqvist".into() },
            npi: "1234567893".into(),
            dea: Some("AB1234563".into()),
            specialities: vec!["207Q00000X".to_owned()],
            working_hours: Some(WorkingHoursBody::example()),
        }
    }
}

pub struct ProvidersApi {
    pub services: Services,
}

#[OpenApi(tag = "Tag::Identity")]
impl ProvidersApi {
    /// List the specialities
    ///
    /// The codes of the NUCC provider taxonomy that profiles and categories can
    /// name.
    #[oai(path = "/api/providers/specialities", method = "get", operation_id = "listSpecialities")]
    async fn specialities(&self, _caller: Caller) -> Result<Json<SpecialitiesView>, Problem> {
        Ok(Json(SpecialitiesView { specialities: Speciality::all().map(Into::into).collect() }))
    }

    /// Say when one works
    ///
    /// Replaces the caller's working hours as a provider. Reviews can be given
    /// out by them.
    #[oai(
        path = "/api/providers/working-hours",
        method = "put",
        operation_id = "writeWorkingHours"
    )]
    async fn hours(
        &self,
        caller: Caller,
        body: Body<OwnHoursRequest>,
    ) -> Result<Json<ProviderView>, Problem> {
        let hours = body.0.working_hours.map(Into::into);
        let profile = provider::write_own_hours(&self.services, caller.actor(), hours).await?;
        Ok(Json(profile.into()))
    }

    /// Read a provider's profile
    ///
    /// Takes `account.administer`. `id` is the provider's account.
    #[oai(path = "/api/admin/providers/:id", method = "get", operation_id = "getProvider")]
    async fn one(
        &self,
        caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Versioned<ProviderView>, Problem> {
        let profile = provider::read(&self.services, caller.actor(), id.0.into()).await?;
        Ok(Versioned::at(profile.version, profile))
    }

    /// Change a provider's profile
    ///
    /// Takes `account.administer`. `If-Match` names the version that was read;
    /// when the profile has changed since, the answer is 412. The licenses are
    /// recorded by an operation of their own.
    #[oai(path = "/api/admin/providers/:id", method = "put", operation_id = "reviseProvider")]
    async fn revise(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: Header<String>,
        body: Body<ReviseProvider>,
    ) -> Result<Versioned<ProviderView>, Problem> {
        let provider = id.0.into();
        let current = async {
            let profile = provider::read(&self.services, caller.actor(), provider).await?;
            Ok::<_, IdentityError>(profile.version)
        };
        let place = (provider, one_version(seen_version(&if_match.0)?, current).await?);
        let form = ProviderForm {
            given: body.0.name.given.into(),
            family: body.0.name.family.into(),
            npi: body.0.npi.into(),
            dea: body.0.dea.map(Into::into),
            specialities: body.0.specialities,
        };
        let hours = body.0.working_hours.map(Into::into);
        let profile = provider::revise(&self.services, caller.actor(), place, form, hours).await?;
        Ok(Versioned::at(profile.version, profile))
    }
}
