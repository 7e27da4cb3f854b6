use std::{collections::BTreeMap, sync::Arc};

use ::records::{
    resource::file_link,
    sources::{
        AnswerValue, Clinician, ConsultationData, ConsultationSource, EncounterStatus, FileSource,
        HeldFile, PatientData, PatientSource, PrescriptionData, PrescriptionSource, RequestStatus,
        ResponseData, ResponseItem, ResponseSource,
    },
};
use async_trait::async_trait;
use care::{ConsultationStatus, Reach};
use intake::{Answer, Answers, IntakeStore, Item, Photo, PhotoVault, Score};
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
        let version = tx
            .version(response.form_version)
            .await?
            .ok_or_else(|| PortError::bug(format!("the response {id} is bound to no version")))?;
        let items = version
            .definition
            .items
            .iter()
            .flat_map(|item| answered(item, &response.answers, &response.scores, &response.photos))
            .collect();
        Ok(Some(ResponseData {
            response: id,
            patient: response.patient,
            // A submitted response never changes.
            source_version: 1,
            questionnaire: format!("urn:uuid:{}", response.form_version),
            submitted_at: response.submitted_at,
            items,
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
        self.intake.begin(&Actor::system("records.file")).await?.photo(id).await
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

/// The item as it was answered, with those below it; `None` where nothing was.
fn answered(
    item: &Item,
    answers: &Answers,
    scores: &BTreeMap<String, Score>,
    photos: &[Photo],
) -> Vec<ResponseItem> {
    let said = |answers, items| ResponseItem {
        link_id: item.link_id.clone(),
        text: Some(item.text.clone()),
        answers,
        items,
    };
    if let Some(Answer::Rows(rows)) = answers.get(&item.link_id) {
        let none = BTreeMap::new();
        return rows
            .iter()
            .map(|row| {
                let items = item.row().iter().flat_map(|inner| answered(inner, row, &none, photos));
                said(Vec::new(), items.collect())
            })
            .collect();
    }
    let items: Vec<ResponseItem> =
        item.children().iter().flat_map(|inner| answered(inner, answers, scores, photos)).collect();
    let mut given: Vec<AnswerValue> =
        answers.get(&item.link_id).map(|answer| values(item, answer, photos)).unwrap_or_default();
    if let Some(score) = scores.get(&item.link_id) {
        given.push(AnswerValue::Decimal(score.value));
    }
    if given.is_empty() && items.is_empty() { Vec::new() } else { vec![said(given, items)] }
}

fn values(item: &Item, answer: &Answer, photos: &[Photo]) -> Vec<AnswerValue> {
    let choice = |code: &str| {
        let display = item
            .options()
            .iter()
            .find(|option| option.code == code)
            .map_or(code, |option| option.display.as_str());
        AnswerValue::Coding(Coding::new(format!("urn:salus:form:{}", item.link_id), code, display))
    };
    match answer {
        Answer::Text(text) => vec![AnswerValue::Text(text.clone())],
        Answer::Texts(texts) => texts.iter().cloned().map(AnswerValue::Text).collect(),
        Answer::Number(quantity) => vec![match &quantity.unit {
            Some(unit) => AnswerValue::Quantity { value: quantity.value, unit: unit.clone() },
            None => AnswerValue::Decimal(quantity.value),
        }],
        Answer::Date(date) => vec![AnswerValue::Date(*date)],
        Answer::Choice(code) => vec![choice(code)],
        Answer::Choices(codes) => codes.iter().map(|code| choice(code)).collect(),
        Answer::Boolean(value) => vec![AnswerValue::Boolean(*value)],
        Answer::Photos(ids) => photos
            .iter()
            .filter(|photo| ids.contains(&photo.id))
            .map(|photo| AnswerValue::Attachment {
                url: file_link(photo.id),
                content_type: photo.media_type.to_string(),
                size: photo.size,
            })
            .collect(),
        Answer::Rows(_) => Vec::new(),
        Answer::Scale(value) => {
            vec![
                i32::try_from(*value)
                    .map_or(AnswerValue::Decimal(*value as f64), AnswerValue::Integer),
            ]
        }
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
        let Some(consultation) = tx.consultation(id, &Reach::All).await? else { return Ok(None) };
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
