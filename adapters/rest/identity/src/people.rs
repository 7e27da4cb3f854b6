use api::{Answer, Body, Caller, Mirror, Tag, Text};
use chrono::{DateTime, NaiveDate, Utc};
use identity::{
    PatientProfile, ProfileForm, ProviderForm, ProviderProfile, Services, profile, provider,
};
use kernel::{
    Address, HumanName, PatientId, ProviderId, Sex, text,
    text::{
        AddressLine, AddressLine2, City, DeaNumber, NpiNumber, Phone, StateCode, TimeZone, ZipCode,
    },
};
use poem_openapi::{Object, OpenApi, payload::Json};

use super::{
    providers::{SpecialityView, WorkingHoursBody},
    staff::LicenseView,
};

/// A person's name.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = HumanName)]
pub struct PersonName {
    pub given: Text<text::PersonName>,
    pub family: Text<text::PersonName>,
}

/// A postal address in the United States.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = Address)]
struct PostalAddress {
    line1: Text<AddressLine>,
    line2: Option<Text<AddressLine2>>,
    city: Text<City>,
    /// The postal code of the state, as in `MA`.
    #[mirror(|address| address.state.to_string().into())]
    state: Text<StateCode>,
    /// Five digits, or nine with a dash.
    postal_code: Text<ZipCode>,
}

#[derive(Debug, Object)]
#[oai(example)]
struct ProfileRequest {
    name: PersonName,
    birth_date: NaiveDate,
    sex: Sex,
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

api::example!(ProfileRequest {
    name: PersonName { given: "Ada".into(), family: "Byron".into() },
    birth_date: NaiveDate::from_ymd_opt(1990, 12, 10).unwrap_or_default(),
    sex: Sex::Female,
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
});

impl From<ProfileRequest> for ProfileForm {
    fn from(request: ProfileRequest) -> Self {
        Self {
            given: request.name.given.into(),
            family: request.name.family.into(),
            birth_date: request.birth_date,
            sex: request.sex,
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
#[derive(Debug, Object, Mirror)]
#[mirror(from = PatientProfile)]
struct ProfileView {
    patient_id: PatientId,
    name: PersonName,
    birth_date: NaiveDate,
    sex: Sex,
    address: PostalAddress,
    phone: String,
    #[mirror(|profile| profile.time_zone.name().to_owned())]
    time_zone: String,
    /// The social security number with all but its last four digits masked.
    #[mirror(|profile| profile.ssn.as_ref().map(|ssn| ssn.masked()))]
    ssn_masked: Option<String>,
    updated_at: DateTime<Utc>,
    version: i64,
}

#[derive(Debug, Object)]
#[oai(example)]
pub struct ProviderProfileRequest {
    name: PersonName,
    /// The National Provider Identifier: ten digits with a check digit.
    npi: Text<NpiNumber>,
    /// The DEA registration number, where there is one.
    dea: Option<Text<DeaNumber>>,
    /// Codes of the NUCC provider taxonomy, as `listSpecialities` has them.
    #[oai(validator(max_items = 20))]
    specialities: Vec<String>,
}

api::example!(ProviderProfileRequest {
    name: PersonName { given: "Grace".into(), family: "Lindqvist".into() },
    npi: "1234567893".into(),
    dea: Some("AB1234563".into()),
    specialities: vec!["207Q00000X".into()],
});

impl From<ProviderProfileRequest> for ProviderForm {
    fn from(request: ProviderProfileRequest) -> Self {
        Self {
            given: request.name.given.into(),
            family: request.name.family.into(),
            npi: request.npi.into(),
            dea: request.dea.map(Into::into),
            specialities: request.specialities,
        }
    }
}

/// A provider's profile with the licenses on file.
#[derive(Debug, Object, Mirror)]
#[mirror(from = ProviderProfile)]
pub struct ProviderView {
    provider_id: ProviderId,
    name: PersonName,
    npi: String,
    dea: Option<String>,
    specialities: Vec<SpecialityView>,
    licenses: Vec<LicenseView>,
    /// When the provider works; absent where they have not said.
    #[mirror(hours)]
    working_hours: Option<WorkingHoursBody>,
    updated_at: DateTime<Utc>,
    version: i64,
}

pub struct ProfileApi(pub Services);

#[OpenApi(tag = "Tag::Identity")]
impl ProfileApi {
    /// Read one's own profile
    ///
    /// The caller's profile as a patient. It does not exist before it has been
    /// filled in.
    #[oai(path = "/api/profile", method = "get", operation_id = "readProfile")]
    async fn read(&self, caller: Caller) -> Answer<ProfileView> {
        Ok(Json(profile::read_own(&self.0, caller.actor()).await?.into()))
    }

    /// Fill in or change one's own profile
    ///
    /// Replaces the caller's profile as a patient. Everything wrong with it is
    /// named at once.
    #[oai(path = "/api/profile", method = "put", operation_id = "writeProfile")]
    async fn write(&self, caller: Caller, body: Body<ProfileRequest>) -> Answer<ProfileView> {
        Ok(Json(profile::write_own(&self.0, caller.actor(), body.0.into()).await?.into()))
    }

    /// Read one's own profile as a provider
    ///
    /// With the licenses that the staff has verified.
    #[oai(path = "/api/providers/profile", method = "get", operation_id = "readProviderProfile")]
    async fn read_provider(&self, caller: Caller) -> Answer<ProviderView> {
        Ok(Json(provider::read_own(&self.0, caller.actor()).await?.into()))
    }

    /// Fill in or change one's own profile as a provider
    ///
    /// The licenses are not part of it: the staff verifies and records them.
    #[oai(path = "/api/providers/profile", method = "put", operation_id = "writeProviderProfile")]
    async fn write_provider(
        &self,
        caller: Caller,
        body: Body<ProviderProfileRequest>,
    ) -> Answer<ProviderView> {
        Ok(Json(provider::write_own(&self.0, caller.actor(), body.0.into()).await?.into()))
    }
}
