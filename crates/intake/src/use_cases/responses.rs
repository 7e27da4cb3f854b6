//! Responses: submitted once, and read by whoever treats the patient.

use std::collections::BTreeSet;

use kernel::{
    Actor, CategoryId, FieldError, FormResponseId, FormVersionId, Page, PatientId, Permission,
    PhotoId,
};
use ports::{AuditAction, AuditEntry, Env, Event, IdempotencyKey, Locked, Panel, repository::get};

use crate::{
    Answers, FormResponse, FormVersion, IntakeError, IntakeStore, IntakeTx, Photo, RawAnswers,
    ResponseQuery, Stage, Surroundings, evaluate, photo,
    use_cases::{acting_patient, need_facts},
};

#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    pub category: CategoryId,
    /// The version that the patient was shown.
    pub form_version: FormVersionId,
    pub answers: RawAnswers,
}

/// Takes the answers, keeps those of enabled items, and ends the draft. The
/// same key gives the same response however often it is sent.
pub async fn submit(
    env: &Env,
    store: &dyn IntakeStore,
    surroundings: &dyn Surroundings,
    actor: &Actor,
    key: &IdempotencyKey,
    submission: Submission,
) -> Result<FormResponse, IntakeError> {
    let patient = acting_patient(actor)?;
    let Submission { category, form_version, answers } = submission;
    let active = surroundings.category_is_active(category).await?;
    let now = env.now();
    let facts = surroundings.facts(patient, now).await?;
    let mut tx = store.begin(actor).await?;
    let id: FormResponseId = env.fresh();
    if let Some(earlier) = tx.claim(key, id.uuid()).await? {
        let found = get::<FormResponse>(tx.as_mut(), earlier.into()).await?;
        tx.audit(AuditEntry::new(AuditAction::Read, "form_response", found.id).patient(patient));
        tx.commit().await?;
        return Ok(found);
    }
    if !active {
        return Err(IntakeError::CategoryNotFound);
    }
    let draft = tx.take_draft(patient, category).await?;
    let current = tx.published_version(category).await?.ok_or(IntakeError::FormNotFound)?;
    let drafted = draft.map(|draft| draft.form_version);
    let form = if current.id == form_version {
        current
    } else if drafted == Some(form_version) {
        // A patient who began before the latest version came may finish.
        get::<FormVersion>(tx.as_mut(), form_version).await?
    } else {
        return Err(IntakeError::FormNotCurrent);
    };
    need_facts(&form.definition, &facts)?;
    let evaluation = evaluate(&form.definition, &answers, &facts, Stage::Final);
    if !evaluation.errors.is_empty() {
        return Err(IntakeError::InvalidAnswers(evaluation.errors));
    }
    let photos = match take_photos(tx.as_mut(), patient, category, &evaluation.answers).await? {
        Ok(photos) => photos,
        Err(refused) => {
            drop(tx);
            return Err(refused.told(store, actor).await?);
        }
    };
    let taken: Vec<PhotoId> = photos.iter().map(|photo| photo.id).collect();
    let response = FormResponse::submit(id, patient, &form, evaluation, photos, facts, now);
    tx.insert(&response).await?;
    tx.emit(Event::ResponseSubmitted { response: id, patient, category });
    tx.audit(
        AuditEntry::new(AuditAction::Create, "form_response", id)
            .detail("form_version", form.id.to_string())
            .detail("photos", taken.iter().map(ToString::to_string).collect::<Vec<_>>()),
    );
    tx.commit().await?;
    Ok(response)
}

/// Photos that an answer may not name.
struct RefusedPhotos {
    /// Those that are not the patient's own, as far as the patient can know.
    strange: BTreeSet<PhotoId>,
    errors: Vec<FieldError>,
}

impl RefusedPhotos {
    /// Writes down who asked for them. The submission itself leaves no trace.
    async fn told(
        self,
        store: &dyn IntakeStore,
        actor: &Actor,
    ) -> Result<IntakeError, IntakeError> {
        let mut tx = store.begin(actor).await?;
        for id in &self.strange {
            tx.audit(AuditEntry::new(AuditAction::Read, "form_photo", id).denied());
        }
        tx.commit().await?;
        Ok(IntakeError::InvalidAnswers(self.errors))
    }
}

/// The photos that the answers name, held until the transaction ends: each is
/// the patient's own, was uploaded for this category and is part of no other
/// response. Which of these an id fails is not said.
async fn take_photos(
    tx: &mut dyn IntakeTx,
    patient: PatientId,
    category: CategoryId,
    answers: &Answers,
) -> Result<Result<Vec<Photo>, RefusedPhotos>, IntakeError> {
    let named = photo::named_in(answers);
    if named.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let ids: BTreeSet<PhotoId> = named.iter().map(|(_, id)| *id).collect();
    let ids: Vec<PhotoId> = ids.into_iter().collect();
    let found = tx.lock_photos(patient, &ids).await?;
    let fits = |id: PhotoId| {
        found.iter().any(|photo| photo.id == id && photo.waits_for(patient, category))
    };
    let mut paths: Vec<&str> =
        named.iter().filter(|(_, id)| !fits(*id)).map(|(path, _)| path.as_str()).collect();
    paths.dedup();
    if paths.is_empty() {
        return Ok(Ok(found.into_iter().map(Locked::into_inner).collect()));
    }
    let strange = ids.into_iter().filter(|id| found.iter().all(|photo| photo.id != *id)).collect();
    let unknown = |path: &str| {
        FieldError::new(path, "unknown_photo", "There is no such photo that waits for this form.")
    };
    Ok(Err(RefusedPhotos { strange, errors: paths.into_iter().map(unknown).collect() }))
}

/// One response. One that the actor may not read does not exist for them, and
/// the attempt is audited.
pub async fn response(
    store: &dyn IntakeStore,
    panel: &dyn Panel,
    actor: &Actor,
    id: FormResponseId,
) -> Result<FormResponse, IntakeError> {
    let mut tx = store.begin(actor).await?;
    let mut found: Option<FormResponse> = tx.find(id).await?;
    if let Some(patient) = found.as_ref().map(|found| found.patient)
        && !reads_without_asking(actor, patient)
    {
        // The panel is asked between two transactions, so that no call holds
        // one connection while it waits for another.
        drop(tx);
        let allowed = may_read(panel, actor, patient).await?;
        found = found.filter(|_| allowed);
        tx = store.begin(actor).await?;
    }
    let entry = AuditEntry::new(AuditAction::Read, "form_response", id);
    let entry = match &found {
        Some(found) => entry.patient(found.patient),
        None => entry.denied(),
    };
    tx.audit(entry);
    tx.commit().await?;
    found.ok_or_else(IntakeError::no::<FormResponse>)
}

/// What a patient submitted, the latest first.
pub async fn response_history(
    store: &dyn IntakeStore,
    panel: &dyn Panel,
    actor: &Actor,
    query: ResponseQuery,
) -> Result<Page<FormResponse>, IntakeError> {
    let patient = query.patient;
    let allowed = may_read(panel, actor, patient).await?;
    let mut tx = store.begin(actor).await?;
    let entry = AuditEntry::new(AuditAction::Search, "form_response", patient).patient(patient);
    if !allowed {
        tx.audit(entry.denied());
        tx.commit().await?;
        return Err(IntakeError::PatientNotFound);
    }
    let page = tx.responses(&query).await?;
    let found: Vec<_> = page.items.iter().map(|response| response.id.to_string()).collect();
    tx.audit(entry.detail("returned", found));
    tx.commit().await?;
    Ok(page)
}

/// Patients read their own, providers those of their panel, and who may read
/// every chart all of them.
pub(super) async fn may_read(
    panel: &dyn Panel,
    actor: &Actor,
    patient: PatientId,
) -> Result<bool, IntakeError> {
    if reads_without_asking(actor, patient) {
        return Ok(true);
    }
    match actor.as_provider() {
        Some(provider)
            if actor.may(Permission::PatientRead) || actor.may(Permission::IntakeReadAny) =>
        {
            Ok(panel.opens_chart(provider, patient).await?)
        }
        Some(_) => Ok(false),
        None => Ok(actor.may(Permission::IntakeReadAny)),
    }
}

fn reads_without_asking(actor: &Actor, patient: PatientId) -> bool {
    actor.is_patient(patient) || actor.may(Permission::PatientReadAny)
}
