//! Specialities and working hours, and what administrators change of a
//! provider's profile.

use api::{Answer, Body, Caller, Example, IfMatch, Mirror, Result, Tag, Text, Versioned};
use chrono::Weekday;
use identity::{
    HoursForm, Services, Shift, ShiftForm, WorkingHours, provider, working_hours::clock,
};
use kernel::{ProviderId, Speciality, text::TimeZone};
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json};

use super::people::{ProviderProfileRequest, ProviderView};

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
        use WeekdayWord::*;
        let week = [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday];
        week[day.num_days_from_monday() as usize]
    }
}

/// A stretch of work within a day.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = Shift, into = ShiftForm)]
pub struct ShiftBody {
    #[mirror(day)]
    weekday: WeekdayWord,
    /// By the clock on the wall, as in `09:00`.
    #[oai(validator(max_length = 5))]
    #[mirror(|shift| clock(shift.from))]
    from: String,
    /// As in `17:00`; `24:00` is the end of the day.
    #[oai(validator(max_length = 5))]
    #[mirror(|shift| clock(shift.until))]
    until: String,
}

/// When a provider works.
#[derive(Clone, Debug, Object, Mirror)]
#[oai(example)]
#[mirror(into = HoursForm)]
pub struct WorkingHoursBody {
    /// A name of the IANA database, as in `America/New_York`.
    #[mirror(zone)]
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

impl From<WorkingHours> for WorkingHoursBody {
    fn from(hours: WorkingHours) -> Self {
        let time_zone = hours.zone().name().into();
        Self { time_zone, shifts: hours.shifts().iter().copied().map(Into::into).collect() }
    }
}

#[derive(Debug, Object)]
#[oai(example)]
struct OwnHoursRequest {
    /// Without hours one may be given work at any time.
    working_hours: Option<WorkingHoursBody>,
}

api::example!(OwnHoursRequest { working_hours: Some(WorkingHoursBody::example()) });

/// A provider's whole profile but for the licenses.
#[derive(Debug, Object)]
#[oai(example)]
struct ReviseProvider {
    #[oai(flatten)]
    profile: ProviderProfileRequest,
    /// Without hours the provider may be given work at any time.
    working_hours: Option<WorkingHoursBody>,
}

api::example!(ReviseProvider {
    profile: ProviderProfileRequest::example(),
    working_hours: Some(WorkingHoursBody::example()),
});

pub struct ProvidersApi(pub Services);

#[OpenApi(tag = "Tag::Identity")]
impl ProvidersApi {
    /// List the specialities
    ///
    /// The codes of the NUCC provider taxonomy that profiles and categories may
    /// use.
    #[oai(path = "/api/providers/specialities", method = "get", operation_id = "listSpecialities")]
    async fn specialities(&self, _caller: Caller) -> Answer<SpecialitiesView> {
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
    async fn hours(&self, caller: Caller, body: Body<OwnHoursRequest>) -> Answer<ProviderView> {
        let hours = body.0.working_hours.map(Into::into);
        Ok(Json(provider::write_own_hours(&self.0, caller.actor(), hours).await?.into()))
    }

    /// Read a provider's profile
    ///
    /// Takes `account.administer`. `id` is the provider's account.
    #[oai(path = "/api/admin/providers/:id", method = "get", operation_id = "getProvider")]
    async fn one(&self, caller: Caller, id: Path<ProviderId>) -> Result<Versioned<ProviderView>> {
        Ok(Versioned::of(provider::read(&self.0, caller.actor(), id.0).await?))
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
        id: Path<ProviderId>,
        #[oai(name = "If-Match")] seen: IfMatch,
        body: Body<ReviseProvider>,
    ) -> Result<Versioned<ProviderView>> {
        let (form, hours) = (body.0.profile.into(), body.0.working_hours.map(Into::into));
        let place = (id.0, seen.0);
        Ok(Versioned::of(provider::revise(&self.0, caller.actor(), place, form, hours).await?))
    }
}
