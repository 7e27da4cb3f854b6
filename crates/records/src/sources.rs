//! What the record takes from the other contexts. Bridges implement the
//! traits; each reads the current state of the thing, whichever event asked.
//! `source_version` grows with every change of it, so that a handler that was
//! overtaken by a later one writes nothing.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    Address, Coding, ConsultationId, EmailAddress, FormResponseId, HumanName, Ndc, Npi, PatientId,
    PhoneNumber, PhotoId, PrescriptionId, ProviderId, Sex,
};
use ports::Result;
use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub struct PatientData {
    pub patient: PatientId,
    pub source_version: i64,
    pub active: bool,
    pub name: HumanName,
    pub sex: Sex,
    pub birth_date: NaiveDate,
    pub address: Option<Address>,
    pub phone: Option<PhoneNumber>,
    pub email: Option<EmailAddress>,
}

#[async_trait]
pub trait PatientSource: Send + Sync {
    /// `None` while the profile has no name, sex and birth date.
    async fn patient(&self, id: PatientId) -> Result<Option<PatientData>>;
}

/// A submitted form. Intake writes its resource itself, so that it is the same
/// wherever it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseData {
    pub patient: PatientId,
    pub source_version: i64,
    /// The `QuestionnaireResponse`.
    pub content: Value,
}

#[async_trait]
pub trait ResponseSource: Send + Sync {
    async fn response(&self, id: FormResponseId) -> Result<Option<ResponseData>>;
}

/// A file that a response holds, as a photo.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldFile {
    pub id: PhotoId,
    pub response: FormResponseId,
    pub content_type: String,
    pub created_at: DateTime<Utc>,
}

#[async_trait]
pub trait FileSource: Send + Sync {
    /// `None` where no response holds it.
    async fn file(&self, id: PhotoId) -> Result<Option<HeldFile>>;

    /// The bytes of a file that is there.
    async fn bytes(&self, id: PhotoId) -> Result<Vec<u8>>;
}

/// The prescriber or the clinician of an encounter.
#[derive(Clone, Debug, PartialEq)]
pub struct Clinician {
    pub id: ProviderId,
    pub name: String,
    pub npi: Option<Npi>,
}

/// The states of FHIR's MedicationRequest that a prescription can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestStatus {
    Draft,
    OnHold,
    Active,
    Completed,
    Cancelled,
    Stopped,
    Unknown,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PrescriptionData {
    pub prescription: PrescriptionId,
    pub patient: PatientId,
    pub source_version: i64,
    pub status: RequestStatus,
    pub prescriber: Clinician,
    /// RxNorm.
    pub drug: Coding,
    pub ndc: Option<Ndc>,
    pub authored_on: DateTime<Utc>,
    /// The directions as the patient reads them.
    pub directions: String,
    pub quantity: u32,
    /// The word for one of the quantity, as in `tablet`.
    pub quantity_unit: String,
    pub days_supply: u32,
    /// Fills after the first.
    pub refills: u32,
    /// ICD-10-CM.
    pub reasons: Vec<Coding>,
}

#[async_trait]
pub trait PrescriptionSource: Send + Sync {
    async fn prescription(&self, id: PrescriptionId) -> Result<Option<PrescriptionData>>;
}

/// The states of FHIR's Encounter that a consultation can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncounterStatus {
    Planned,
    Arrived,
    InProgress,
    Finished,
    Cancelled,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ConsultationData {
    pub consultation: ConsultationId,
    pub patient: PatientId,
    pub source_version: i64,
    pub status: EncounterStatus,
    pub clinician: Clinician,
    /// When it began; as long as that is not known, when it was to.
    pub start: DateTime<Utc>,
    pub end: Option<DateTime<Utc>>,
    /// ICD-10-CM.
    pub reasons: Vec<Coding>,
}

#[async_trait]
pub trait ConsultationSource: Send + Sync {
    async fn consultation(&self, id: ConsultationId) -> Result<Option<ConsultationData>>;
}
