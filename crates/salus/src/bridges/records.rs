use std::sync::Arc;

use ::records::sources::{
    Clinician, ConsultationData, ConsultationSource, EncounterStatus, FileSource, HeldFile,
    PatientData, PatientSource, PrescriptionData, PrescriptionSource, RequestStatus, ResponseData,
    ResponseSource,
};
use async_trait::async_trait;
use care::{Consultation, ConsultationStatus};
use intake::{FormVersion, IntakeStore, Photo, PhotoVault};
use kernel::{
    Actor, Coding, ConsultationId, FormResponseId, PatientId, PhotoId, PrescriptionId, ProviderId,
    code::system,
};
use pharmacy::prescription::{PrescriptionReach, PrescriptionState};
use ports::{PortError, Result};

use super::{Bridges, absent_or, crossing};

impl Bridges {
    async fn clinician(&self, provider: ProviderId) -> Result<Clinician> {
        let profile = self
            .provider(provider)
            .await?
            .ok_or_else(|| PortError::bug(format!("the provider {provider} has no profile")))?;
        Ok(Clinician { id: provider, name: profile.name.to_string(), npi: Some(profile.npi) })
    }
}

#[async_trait]
impl PatientSource for Bridges {
    async fn patient(&self, id: PatientId) -> Result<Option<PatientData>> {
        let Some(profile) = self.profile("records.patient", id).await? else { return Ok(None) };
        let contact = identity::directory::contact(&self.identity, id.account())
            .await
            .map_err(|error| crossing("a contact", error))?;
        Ok(Some(PatientData {
            patient: id,
            source_version: profile.version,
            active: true,
            name: profile.name,
            sex: profile.sex,
            birth_date: profile.birth_date,
            address: Some(profile.address),
            phone: Some(profile.phone),
            email: Some(contact.email),
        }))
    }
}

#[async_trait]
impl ResponseSource for Bridges {
    async fn response(&self, id: FormResponseId) -> Result<Option<ResponseData>> {
        let actor = Actor::system("records.response");
        let found = intake::response(self.intake.as_ref(), self.panel.as_ref(), &actor, id).await;
        let Some(response) = absent_or("a form response", found)? else { return Ok(None) };
        let mut tx = self.intake.begin(&actor).await?;
        let version: Option<FormVersion> = tx.find(response.form_version).await?;
        let version = version
            .ok_or_else(|| PortError::bug(format!("the response {id} is bound to no version")))?;
        Ok(Some(ResponseData {
            patient: response.patient,
            // A submitted response never changes.
            source_version: 1,
            content: intake::fhir::questionnaire_response(&version, &response),
        }))
    }
}

/// The photos of responses, with where their bytes lie.
pub struct Files {
    pub intake: Arc<dyn IntakeStore>,
    pub vault: PhotoVault,
}

impl Files {
    async fn photo(&self, id: PhotoId) -> Result<Option<Photo>> {
        self.intake.begin(&Actor::system("records.file")).await?.find(id).await
    }
}

#[async_trait]
impl FileSource for Files {
    async fn file(&self, id: PhotoId) -> Result<Option<HeldFile>> {
        let Some(photo) = self.photo(id).await? else { return Ok(None) };
        Ok(photo.response.map(|response| HeldFile {
            id,
            response,
            content_type: photo.media_type.to_string(),
            created_at: photo.created_at,
        }))
    }

    async fn bytes(&self, id: PhotoId) -> Result<Vec<u8>> {
        let photo = self.photo(id).await?;
        let photo = photo.ok_or_else(|| PortError::bug(format!("the photo {id} is gone")))?;
        self.vault.get(&photo).await
    }
}

#[async_trait]
impl PrescriptionSource for Bridges {
    async fn prescription(&self, id: PrescriptionId) -> Result<Option<PrescriptionData>> {
        let mut tx = self.prescriptions.begin(&Actor::system("records.prescription")).await?;
        let Some(prescription) = tx.prescription(id, PrescriptionReach::Any).await? else {
            return Ok(None);
        };
        drop(tx);
        Ok(Some(PrescriptionData {
            prescription: id,
            patient: prescription.patient,
            source_version: prescription.version,
            status: match &prescription.state {
                PrescriptionState::Draft => RequestStatus::Draft,
                PrescriptionState::Blocked { .. } => RequestStatus::OnHold,
                PrescriptionState::Queued { .. }
                | PrescriptionState::Sent { .. }
                | PrescriptionState::Active { .. } => RequestStatus::Active,
                PrescriptionState::Completed { .. } => RequestStatus::Completed,
                PrescriptionState::Failed { .. } => RequestStatus::Stopped,
                PrescriptionState::Canceled { .. } => RequestStatus::Cancelled,
            },
            prescriber: self.clinician(prescription.provider).await?,
            drug: Coding::new(
                system::RXNORM,
                prescription.medication.rxnorm.as_str(),
                prescription.medication.display.as_str(),
            ),
            ndc: Some(prescription.medication.ndc),
            authored_on: prescription.created_at,
            directions: prescription.dosing.sig,
            quantity: prescription.dosing.quantity.units(),
            quantity_unit: prescription.dosing.unit.to_string(),
            days_supply: u32::from(prescription.dosing.days_supply),
            refills: u32::from(prescription.dosing.refills),
            reasons: vec![Coding::new(
                system::ICD10CM,
                prescription.diagnosis.code.as_str(),
                prescription.diagnosis.display,
            )],
        }))
    }
}

#[async_trait]
impl ConsultationSource for Bridges {
    async fn consultation(&self, id: ConsultationId) -> Result<Option<ConsultationData>> {
        let mut tx = self.care.begin(&Actor::system("records.consultation")).await?;
        let found: Option<Consultation> = tx.find(id).await?;
        let Some(consultation) = found else { return Ok(None) };
        drop(tx);
        let status = match consultation.status {
            ConsultationStatus::Scheduled => EncounterStatus::Planned,
            ConsultationStatus::InProgress => EncounterStatus::InProgress,
            ConsultationStatus::Completed => EncounterStatus::Finished,
            ConsultationStatus::Canceled => EncounterStatus::Cancelled,
        };
        Ok(Some(ConsultationData {
            consultation: id,
            patient: consultation.patient,
            source_version: consultation.version,
            status,
            clinician: self.clinician(consultation.provider).await?,
            start: consultation.began_at.unwrap_or_else(|| {
                // One that was closed before its slot began without then.
                consultation
                    .ended_at
                    .map_or(consultation.starts_at, |ended| ended.min(consultation.starts_at))
            }),
            end: consultation.ended_at,
            reasons: Vec::new(),
        }))
    }
}
