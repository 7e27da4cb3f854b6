use api::{Body, Caller, Problem, Tag, Text};
use chrono::{DateTime, NaiveDate, Utc};
use identity::{
    PatientProfile, ProfileForm, ProviderForm, ProviderProfile, Services, profile, provider,
};
use kernel::{
    Sex, text,
    text::{
        AddressLine, AddressLine2, City, DeaNumber, NpiNumber, Phone, StateCode, TimeZone, ZipCode,
    },
};
use poem_openapi::{Enum, Object, OpenApi, payload::Json};

use super::{
    providers::{SpecialityView, WorkingHoursBody},
    staff::LicenseView,
};

/// A person's name.
#[derive(Clone, Debug, Object)]
pub struct PersonName {
    pub given: Text<text::PersonName>,
    pub family: Text<text::PersonName>,
}

/// A postal address in the United States.
#[derive(Clone, Debug, Object)]
struct PostalAddress {
    line1: Text<AddressLine>,
    line2: Option<Text<AddressLine2>>,
    city: Text<City>,
    /// The postal code of the state, as in `MA`.
    state: Text<StateCode>,
    /// Five digits, or nine with a dash.
    postal_code: Text<ZipCode>,
}

/// The sex that dosing and eligibility ask for, as FHIR's administrative gender.
#[derive(Clone, Copy, Debug, Enum)]
#[oai(rename_all = "snake_case")]
enum AdministrativeSex {
    Male,
    Female,
    Other,
    Unknown,
}

impl From<Sex> for AdministrativeSex {
    fn from(sex: Sex) -> Self {
        match sex {
            Sex::Male => Self::Male,
            Sex::Female => Self::Female,
            Sex::Other => Self::Other,
            Sex::Unknown => Self::Unknown,
        }
    }
}

impl From<AdministrativeSex> for Sex {
    fn from(sex: AdministrativeSex) -> Self {
        match sex {
            AdministrativeSex::Male => Self::Male,
            AdministrativeSex::Female => Self::Female,
            AdministrativeSex::Other => Self::Other,
            AdministrativeSex::Unknown => Self::Unknown,
        }
    }
}

#[derive(Debug, Object)]
#[oai(example)]
struct ProfileRequest {
    name: PersonName,
    birth_date: NaiveDate,
    sex: AdministrativeSex,
    address: PostalAddress,
    /// In E.164 form; an American number may leave out its country code.
    phone: Text<Phone>,
    /// An IANA time zone; billing periods and reminders go by it.
    time_zone: Text<TimeZone>,
    /// A social security number. Left out, the one on file stays.
    #[oai(validator(max_length = 11))]
    ssn: Option<String>,
    /// The version that was read; the change is refused when it is no longer
    /// the current one.
    version: Option<i64>,
}

impl poem_openapi::types::Example for ProfileRequest {
    fn example() -> Self {
        Self {
            name: PersonName { given: "Ada".into(), family: "Byron".into() },
            birth_date: NaiveDate::from_ymd_opt(1990, 12, 10).unwrap_or_default(),
            sex: AdministrativeSex::Female,
            address: PostalAddress {
                line1: "1 Main Street".into(),
                line2: None,
                city: "Cambridge".into(),
                state: "MA".into(),
                postal_code: "02139".into(),
            },
            phone: "+16175550123".into(),
            time_zone: "America/New_York".into(),
            ssn: None,
            version: None,
        }
    }
}

impl From<ProfileRequest> for ProfileForm {
    fn from(request: ProfileRequest) -> Self {
        Self {
            given: request.name.given.into(),
            family: request.name.family.into(),
            birth_date: request.birth_date,
            sex: request.sex.into(),
            line1: request.address.line1.into(),
            line2: request.address.line2.map(Into::into),
            city: request.address.city.into(),
            state: request.address.state.into(),
            postal_code: request.address.postal_code.into(),
            phone: request.phone.into(),
            time_zone: request.time_zone.into(),
            ssn: request.ssn,
            version: request.version,
        }
    }
}

/// A patient's profile.
#[derive(Debug, Object)]
struct ProfileView {
    patient_id: kernel::Uuid,
    name: PersonName,
    birth_date: NaiveDate,
    sex: AdministrativeSex,
    address: PostalAddress,
    phone: String,
    time_zone: String,
    /// The social security number with all but its last four digits masked.
    ssn_masked: Option<String>,
    updated_at: DateTime<Utc>,
    version: i64,
}

impl From<PatientProfile> for ProfileView {
    fn from(profile: PatientProfile) -> Self {
        Self {
            patient_id: profile.patient.uuid(),
            name: PersonName {
                given: profile.name.given.into(),
                family: profile.name.family.into(),
            },
            birth_date: profile.birth_date,
            sex: profile.sex.into(),
            address: PostalAddress {
                line1: profile.address.line1.into(),
                line2: profile.address.line2.map(Into::into),
                city: profile.address.city.into(),
                state: profile.address.state.to_string().into(),
                postal_code: profile.address.postal_code.into(),
            },
            phone: profile.phone.to_string(),
            time_zone: profile.time_zone.name().to_owned(),
            ssn_masked: profile.ssn.map(|ssn| ssn.masked()),
            updated_at: profile.updated_at,
            version: profile.version,
        }
    }
}

#[derive(Debug, Object)]
#[oai(example)]
struct ProviderProfileRequest {
    name: PersonName,
    /// The National Provider Identifier: ten digits with a check digit.
    npi: Text<NpiNumber>,
    /// The DEA registration number, where there is one.
    dea: Option<Text<DeaNumber>>,
    /// Codes of the NUCC provider taxonomy, as `listSpecialities` has them.
    #[oai(validator(max_items = 20))]
    specialities: Vec<String>,
}

impl poem_openapi::types::Example for ProviderProfileRequest {
    fn example() -> Self {
        Self {
            name: PersonName { given: "Grace".into(), family: "Lindqvist".into() },
            npi: "1234567893".into(),
            dea: Some("AB1234563".into()),
            specialities: vec!["207Q00000X".into()],
        }
    }
}

/// A provider's profile with the licenses on file.
#[derive(Debug, Object)]
pub struct ProviderView {
    provider_id: kernel::Uuid,
    name: PersonName,
    npi: String,
    dea: Option<String>,
    specialities: Vec<SpecialityView>,
    licenses: Vec<LicenseView>,
    /// When the provider works; absent where they have not said.
    working_hours: Option<WorkingHoursBody>,
    updated_at: DateTime<Utc>,
    version: i64,
}

impl From<ProviderProfile> for ProviderView {
    fn from(profile: ProviderProfile) -> Self {
        Self {
            provider_id: profile.provider.uuid(),
            name: PersonName {
                given: profile.name.given.into(),
                family: profile.name.family.into(),
            },
            npi: profile.npi.to_string(),
            dea: profile.dea.map(|dea| dea.to_string()),
            working_hours: profile.hours.as_ref().map(Into::into),
            specialities: profile.specialities.into_iter().map(Into::into).collect(),
            licenses: profile.licenses.into_iter().map(LicenseView::from).collect(),
            updated_at: profile.updated_at,
            version: profile.version,
        }
    }
}

pub struct ProfileApi {
    pub services: Services,
}

#[OpenApi(tag = "Tag::Identity")]
impl ProfileApi {
    /// Read one's own profile
    ///
    /// The caller's profile as a patient. It does not exist before it has been
    /// filled in.
    #[oai(path = "/api/profile", method = "get", operation_id = "readProfile")]
    async fn read_profile(&self, caller: Caller) -> Result<Json<ProfileView>, Problem> {
        let profile = profile::read_own(&self.services, caller.actor()).await?;
        Ok(Json(profile.into()))
    }

    /// Fill in or change one's own profile
    ///
    /// Replaces the caller's profile as a patient. Everything wrong with it is
    /// named at once.
    #[oai(path = "/api/profile", method = "put", operation_id = "writeProfile")]
    async fn write_profile(
        &self,
        caller: Caller,
        body: Body<ProfileRequest>,
    ) -> Result<Json<ProfileView>, Problem> {
        let profile = profile::write_own(&self.services, caller.actor(), body.0.into()).await?;
        Ok(Json(profile.into()))
    }

    /// Read one's own profile as a provider
    ///
    /// With the licenses that the staff has verified.
    #[oai(path = "/api/providers/profile", method = "get", operation_id = "readProviderProfile")]
    async fn read_provider(&self, caller: Caller) -> Result<Json<ProviderView>, Problem> {
        let profile = provider::read_own(&self.services, caller.actor()).await?;
        Ok(Json(profile.into()))
    }

    /// Fill in or change one's own profile as a provider
    ///
    /// The licenses are not part of it: the staff verifies and records them.
    #[oai(path = "/api/providers/profile", method = "put", operation_id = "writeProviderProfile")]
    async fn write_provider(
        &self,
        caller: Caller,
        body: Body<ProviderProfileRequest>,
    ) -> Result<Json<ProviderView>, Problem> {
        let form = ProviderForm {
            given: body.0.name.given.into(),
            family: body.0.name.family.into(),
            npi: body.0.npi.into(),
            dea: body.0.dea.map(Into::into),
            specialities: body.0.specialities,
        };
        let profile = provider::write_own(&self.services, caller.actor(), form).await?;
        Ok(Json(profile.into()))
    }
}
