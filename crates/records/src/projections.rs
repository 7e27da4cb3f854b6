//! The record follows the other contexts: an event says that a thing changed,
//! and its current state becomes the next version of its resource.

use kernel::{Actor, ConsultationId, FormResponseId, PatientId, PrescriptionId};
use ports::{AuditAction, AuditEntry, Env};

use crate::{
    Draft, FhirMapper, Reach, RecordsError, RecordsStore, RecordsTx, ResourceType,
    sources::{ConsultationSource, PatientSource, PrescriptionSource, ResponseSource},
};

pub async fn on_patient_profile_changed(
    env: &Env,
    store: &dyn RecordsStore,
    mapper: &dyn FhirMapper,
    source: &dyn PatientSource,
    patient: PatientId,
) -> Result<(), RecordsError> {
    let draft = source
        .patient(patient)
        .await?
        .map(|data| {
            mapper.patient(&data).map(|content| Draft {
                kind: ResourceType::Patient,
                id: patient.uuid(),
                patient,
                source_version: data.source_version,
                content,
            })
        })
        .transpose()?;
    project(env, store, "records.patient", draft).await
}

pub async fn on_response_submitted(
    env: &Env,
    store: &dyn RecordsStore,
    source: &dyn ResponseSource,
    response: FormResponseId,
) -> Result<(), RecordsError> {
    let draft = source.response(response).await?.map(|data| Draft {
        kind: ResourceType::QuestionnaireResponse,
        id: response.uuid(),
        patient: data.patient,
        source_version: data.source_version,
        content: data.content,
    });
    project(env, store, "records.questionnaire_response", draft).await
}

pub async fn on_prescription_changed(
    env: &Env,
    store: &dyn RecordsStore,
    mapper: &dyn FhirMapper,
    source: &dyn PrescriptionSource,
    prescription: PrescriptionId,
) -> Result<(), RecordsError> {
    let draft = source
        .prescription(prescription)
        .await?
        .map(|data| {
            mapper.medication_request(&data).map(|content| Draft {
                kind: ResourceType::MedicationRequest,
                id: prescription.uuid(),
                patient: data.patient,
                source_version: data.source_version,
                content,
            })
        })
        .transpose()?;
    project(env, store, "records.medication_request", draft).await
}

pub async fn on_consultation_changed(
    env: &Env,
    store: &dyn RecordsStore,
    mapper: &dyn FhirMapper,
    source: &dyn ConsultationSource,
    consultation: ConsultationId,
) -> Result<(), RecordsError> {
    let draft = source
        .consultation(consultation)
        .await?
        .map(|data| {
            mapper.encounter(&data).map(|content| Draft {
                kind: ResourceType::Encounter,
                id: consultation.uuid(),
                patient: data.patient,
                source_version: data.source_version,
                content,
            })
        })
        .transpose()?;
    project(env, store, "records.encounter", draft).await
}

async fn project(
    env: &Env,
    store: &dyn RecordsStore,
    actor: &'static str,
    draft: Option<Draft>,
) -> Result<(), RecordsError> {
    let mut tx = store.begin(&Actor::system(actor)).await?;
    if let Some(draft) = draft {
        save(env, tx.as_mut(), draft).await?;
    }
    Ok(tx.commit().await?)
}

/// Saves the draft as the next version of its resource, if it says anything
/// new, and records that.
pub(crate) async fn save(
    env: &Env,
    tx: &mut dyn RecordsTx,
    draft: Draft,
) -> Result<(), RecordsError> {
    let current = tx.resource(draft.kind, draft.id, &Reach::Everyone).await?;
    let Some(next) = draft.after(current.as_ref(), env.now()) else { return Ok(()) };
    tx.save_resource(&next).await?;
    let action = if next.version == 1 { AuditAction::Create } else { AuditAction::Update };
    let entry = AuditEntry::new(action, next.kind.into(), next.id)
        .patient(next.patient)
        .detail("version", next.version);
    tx.audit(entry);
    Ok(())
}
