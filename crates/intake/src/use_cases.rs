//! What can be done with forms, drafts and responses.

mod drafts;
mod forms;
mod photos;
mod responses;

pub use drafts::{OpenDraft, SaveDraft, open_draft, save_draft};
pub use forms::{
    FormChange, NewFormVersion, administered_version, compare_versions, create_version,
    current_form, draft_from, form_version, form_versions, publish_version, revise_version,
    seed_form, validate_version,
};
pub use photos::{NewPhoto, SweepPhotos, delete_photo, photo_content, sweep_photos, upload_photo};
pub use responses::{Submission, response, response_history, submit};

use kernel::{Actor, PatientId, Permission};

use crate::{Facts, FormDefinition, IntakeError};

/// The patient who is acting for themselves.
fn acting_patient(actor: &Actor) -> Result<PatientId, IntakeError> {
    actor.require(Permission::IntakeSubmit)?;
    actor.as_patient().ok_or(IntakeError::NotAPatient)
}

/// Conditions on facts that nobody knows would hide what has to be asked, as
/// in pregnancy; so such a form waits for the profile.
fn need_facts(definition: &FormDefinition, facts: &Facts) -> Result<(), IntakeError> {
    if definition.asks_facts() && !facts.are_complete() {
        return Err(IntakeError::ProfileIncomplete);
    }
    Ok(())
}
