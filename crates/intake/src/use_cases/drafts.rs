//! Drafts: saved while the patient writes, found again on the next device.

use kernel::{Actor, CategoryId};
use ports::{AuditAction, AuditEntry, Env, repository::get};

use crate::{
    Draft, Evaluation, FormVersion, IntakeError, IntakeStore, RawAnswers, Stage, Surroundings,
    evaluate,
    use_cases::{acting_patient, need_facts},
};

/// A draft with its form and with what its answers amount to so far.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenDraft {
    pub draft: Draft,
    pub form: FormVersion,
    pub evaluation: Evaluation,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SaveDraft {
    pub category: CategoryId,
    /// The version of the draft that the client has; `None` for the first save.
    pub seen: Option<i64>,
    pub answers: RawAnswers,
}

/// The patient's own open draft in the category.
pub async fn open_draft(
    env: &Env,
    store: &dyn IntakeStore,
    surroundings: &dyn Surroundings,
    actor: &Actor,
    category: CategoryId,
) -> Result<OpenDraft, IntakeError> {
    let patient = acting_patient(actor)?;
    let facts = surroundings.facts(patient, env.now()).await?;
    let mut tx = store.begin(actor).await?;
    let draft = tx.draft(patient, category).await?.ok_or(IntakeError::DraftNotFound)?;
    let form = get::<FormVersion>(tx.as_mut(), draft.form_version).await?;
    let evaluation = evaluate(&form.definition, &draft.answers, &facts, Stage::Draft);
    tx.audit(AuditEntry::new(AuditAction::Read, "form_draft", draft.id).patient(patient));
    tx.commit().await?;
    Ok(OpenDraft { draft, form, evaluation })
}

/// Saves all the answers of the draft in place of those before. Of two saves
/// that saw the same version one wins, and the other hears of it.
pub async fn save_draft(
    env: &Env,
    store: &dyn IntakeStore,
    surroundings: &dyn Surroundings,
    actor: &Actor,
    save: SaveDraft,
) -> Result<OpenDraft, IntakeError> {
    let patient = acting_patient(actor)?;
    let category = save.category;
    if !surroundings.category_is_active(category).await? {
        return Err(IntakeError::CategoryNotFound);
    }
    let facts = surroundings.facts(patient, env.now()).await?;
    let mut tx = store.begin(actor).await?;
    let existing = tx.lock_draft(patient, category).await?;
    let form = match &existing {
        Some(draft) => tx.find(draft.form_version).await?,
        None => tx.published_version(category).await?,
    }
    .ok_or(IntakeError::FormNotFound)?;
    need_facts(&form.definition, &facts)?;
    let evaluation = evaluate(&form.definition, &save.answers, &facts, Stage::Draft);
    if !evaluation.errors.is_empty() {
        return Err(IntakeError::InvalidAnswers(evaluation.errors));
    }
    let draft = match (existing, save.seen) {
        (Some(mut draft), Some(seen)) => {
            draft.revise(seen, save.answers, env.now())?;
            tx.save(&mut draft).await?;
            draft.into_inner()
        }
        (None, None) => {
            let draft = Draft {
                id: env.fresh(),
                patient,
                category,
                form_version: form.id,
                answers: save.answers,
                version: 1,
                updated_at: env.now(),
            };
            tx.insert(&draft).await?;
            draft
        }
        (Some(draft), None) => return Err(draft.lost(&save.answers)),
        (None, Some(_)) => {
            return Err(IntakeError::DraftChanged { current: None, fields: Vec::new() });
        }
    };
    tx.commit().await?;
    Ok(OpenDraft { draft, form, evaluation })
}
