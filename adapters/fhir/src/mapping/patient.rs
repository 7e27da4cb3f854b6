use fhir_sdk::r4b::{
    codes::{AddressUse, AdministrativeGender, ContactPointSystem, NameUse},
    resources::Patient,
    types::{Address, ContactPoint, HumanName},
};
use kernel::Sex;
use records::{MappingError, sources::PatientData};

use super::parts::{date, identifier, unsayable, us_core};

pub(super) fn patient(data: &PatientData) -> Result<Patient, MappingError> {
    let name = HumanName::builder()
        .r#use(NameUse::Official)
        .family(data.name.family.clone())
        .given(vec![Some(data.name.given.clone())])
        .text(data.name.to_string())
        .build()
        .map_err(unsayable("a name"))?;
    let gender = match data.sex {
        Sex::Male => AdministrativeGender::Male,
        Sex::Female => AdministrativeGender::Female,
        Sex::Other => AdministrativeGender::Other,
        Sex::Unknown => AdministrativeGender::Unknown,
    };
    let mut patient = Patient::builder()
        .id(data.patient.to_string())
        .meta(us_core("patient")?)
        .identifier(vec![Some(identifier(data.patient.uuid())?)])
        .active(data.active)
        .name(vec![Some(name)])
        .gender(gender)
        .birth_date(date(data.birth_date)?);
    if let Some(address) = &data.address {
        patient = patient.address(vec![Some(home(address)?)]);
    }
    let mut telecom = Vec::new();
    if let Some(phone) = &data.phone {
        telecom.push(Some(contact(ContactPointSystem::Phone, phone.as_str())?));
    }
    if let Some(email) = &data.email {
        telecom.push(Some(contact(ContactPointSystem::Email, email.as_str())?));
    }
    patient.telecom(telecom).build().map_err(unsayable("a Patient"))
}

fn home(address: &kernel::Address) -> Result<Address, MappingError> {
    let lines = [Some(&address.line1), address.line2.as_ref()];
    Address::builder()
        .r#use(AddressUse::Home)
        .line(lines.into_iter().flatten().map(|line| Some(line.clone())).collect())
        .city(address.city.clone())
        .state(address.state.to_string())
        .postal_code(address.postal_code.clone())
        .country(kernel::Address::COUNTRY.to_owned())
        .build()
        .map_err(unsayable("an address"))
}

fn contact(system: ContactPointSystem, value: &str) -> Result<ContactPoint, MappingError> {
    ContactPoint::builder()
        .system(system)
        .value(value.to_owned())
        .build()
        .map_err(unsayable("a contact point"))
}
