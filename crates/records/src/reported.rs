//! The patient reports, and the record follows in the same transaction:
//! allergies become AllergyIntolerance and medications MedicationStatement
//! resources.

use kernel::{Actor, PatientId, Permission, Uuid, actor::MissingPermission};
use ports::{AuditAction, AuditEntry, Env, Event};

use crate::{
    Allergy, AllergyInput, Claim, ClinicalProfile, ClinicalSummary, Draft, FhirMapper, Medication,
    MedicationInput, RecordsError, RecordsStore, RecordsTx, Reported, ResourceType,
    mapper::Standing, projections::save,
};

/// The patient's own allergies.
pub async fn allergies(
    store: &dyn RecordsStore,
    actor: &Actor,
) -> Result<Reported<Allergy>, RecordsError> {
    Ok(own_profile(store, actor, "allergies").await?.allergies)
}

/// The patient's own medications.
pub async fn medications(
    store: &dyn RecordsStore,
    actor: &Actor,
) -> Result<Reported<Medication>, RecordsError> {
    Ok(own_profile(store, actor, "medications").await?.medications)
}

/// Replaces the patient's own allergies.
pub async fn report_allergies(
    env: &Env,
    store: &dyn RecordsStore,
    mapper: &dyn FhirMapper,
    actor: &Actor,
    claim: Claim<AllergyInput>,
) -> Result<Reported<Allergy>, RecordsError> {
    let patient = own(actor)?;
    let inputs = claim.into_items().map_err(RecordsError::Invalid)?;
    let mut tx = store.begin(actor).await?;
    let before = load(tx.as_mut(), patient).await?;
    let after = before
        .clone()
        .with_allergies(inputs, || env.ids.uuid(), env.now())
        .map_err(RecordsError::Invalid)?;
    tx.save_clinical_profile(&after).await?;
    for draft in allergy_drafts(env, mapper, &before, &after)? {
        save(env, tx.as_mut(), draft).await?;
    }
    finish(tx, patient, "allergies", after.version).await?;
    Ok(after.allergies)
}

/// Replaces the patient's own medications.
pub async fn report_medications(
    env: &Env,
    store: &dyn RecordsStore,
    mapper: &dyn FhirMapper,
    actor: &Actor,
    claim: Claim<MedicationInput>,
) -> Result<Reported<Medication>, RecordsError> {
    let patient = own(actor)?;
    let inputs = claim.into_items().map_err(RecordsError::Invalid)?;
    let mut tx = store.begin(actor).await?;
    let before = load(tx.as_mut(), patient).await?;
    let after = before
        .clone()
        .with_medications(inputs, || env.ids.uuid(), env.now())
        .map_err(RecordsError::Invalid)?;
    tx.save_clinical_profile(&after).await?;
    for draft in medication_drafts(mapper, &before, &after)? {
        save(env, tx.as_mut(), draft).await?;
    }
    finish(tx, patient, "medications", after.version).await?;
    Ok(after.medications)
}

/// What safety checks need, for Salus itself to read.
pub async fn clinical_summary(
    store: &dyn RecordsStore,
    actor: &Actor,
    patient: PatientId,
) -> Result<ClinicalSummary, RecordsError> {
    if !actor.is_patient(patient) {
        actor.require(Permission::PatientReadAny)?;
    }
    let mut tx = store.begin(actor).await?;
    let profile = load(tx.as_mut(), patient).await?;
    tx.audit(AuditEntry::new(AuditAction::Read, "clinical_summary", patient).patient(patient));
    tx.commit().await?;
    Ok(ClinicalSummary {
        patient,
        allergies: profile.allergies,
        active_medications: profile.medications,
    })
}

fn own(actor: &Actor) -> Result<PatientId, RecordsError> {
    actor.require(Permission::ProfileOwn)?;
    Ok(actor.as_patient().ok_or(MissingPermission(Permission::ProfileOwn))?)
}

async fn own_profile(
    store: &dyn RecordsStore,
    actor: &Actor,
    what: &'static str,
) -> Result<ClinicalProfile, RecordsError> {
    let patient = own(actor)?;
    let mut tx = store.begin(actor).await?;
    let profile = load(tx.as_mut(), patient).await?;
    tx.audit(AuditEntry::new(AuditAction::Read, what, patient).patient(patient));
    tx.commit().await?;
    Ok(profile)
}

async fn load(tx: &mut dyn RecordsTx, patient: PatientId) -> Result<ClinicalProfile, RecordsError> {
    let profile = tx.clinical_profile(patient).await?;
    Ok(profile.unwrap_or_else(|| ClinicalProfile::new(patient)))
}

async fn finish(
    mut tx: Box<dyn RecordsTx>,
    patient: PatientId,
    what: &'static str,
    version: i64,
) -> Result<(), RecordsError> {
    let entry = AuditEntry::new(AuditAction::Update, what, patient).patient(patient);
    tx.audit(entry.detail("version", version));
    tx.emit(Event::ClinicalRecordChanged { patient });
    Ok(tx.commit().await?)
}

/// The resource of "no known allergy", one for each patient.
fn no_known_allergy_id(patient: PatientId) -> Uuid {
    Uuid::new_v5(&patient.uuid(), b"no-known-allergy")
}

fn allergy_drafts(
    env: &Env,
    mapper: &dyn FhirMapper,
    before: &ClinicalProfile,
    after: &ClinicalProfile,
) -> Result<Vec<Draft>, RecordsError> {
    let patient = after.patient;
    let draft = |id, content| Draft {
        kind: ResourceType::AllergyIntolerance,
        id,
        patient,
        source_version: after.version,
        content,
    };
    let mut drafts = Vec::new();
    for allergy in after.allergies.items() {
        drafts.push(draft(allergy.id, mapper.allergy(patient, allergy, Standing::Current)?));
    }
    for allergy in before.allergies.items() {
        if !after.allergies.items().iter().any(|kept| kept.id == allergy.id) {
            drafts.push(draft(allergy.id, mapper.allergy(patient, allergy, Standing::Withdrawn)?));
        }
    }
    let none_known = |profile: &ClinicalProfile| profile.allergies == Reported::NoneKnown;
    let standing = match (none_known(before), none_known(after)) {
        (false, true) => Some(Standing::Current),
        (true, false) => Some(Standing::Withdrawn),
        _ => None,
    };
    if let Some(standing) = standing {
        let id = no_known_allergy_id(patient);
        drafts.push(draft(id, mapper.no_known_allergy(patient, id, env.now(), standing)?));
    }
    Ok(drafts)
}

fn medication_drafts(
    mapper: &dyn FhirMapper,
    before: &ClinicalProfile,
    after: &ClinicalProfile,
) -> Result<Vec<Draft>, RecordsError> {
    let patient = after.patient;
    let kept = after.medications.items().iter().map(|kept| (kept, Standing::Current));
    let dropped = before
        .medications
        .items()
        .iter()
        .filter(|old| !after.medications.items().iter().any(|kept| kept.id == old.id))
        .map(|old| (old, Standing::Withdrawn));
    kept.chain(dropped)
        .map(|(medication, standing)| {
            Ok(Draft {
                kind: ResourceType::MedicationStatement,
                id: medication.id,
                patient,
                source_version: after.version,
                content: mapper.medication_statement(patient, medication, standing)?,
            })
        })
        .collect()
}
