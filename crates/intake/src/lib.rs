//! Intake: the questionnaires that a patient answers before a treatment. It
//! owns form templates and their versions, conditional logic, validation,
//! scores, drafts and submitted responses.
//!
//! It knows nothing of eligibility, treatments or plans: whether the answers
//! permit a treatment is decided elsewhere, from the response that this crate
//! has cleaned. A published version never changes, and a response is bound for
//! ever to the version that was answered.
//!
//! What is enabled is computed here and nowhere else. The answers of disabled
//! items are dropped before anything reads them: a patient who said "pregnant",
//! then went back and changed the answer above it, has not said it.
//!
//! It handles no events and emits `ResponseSubmitted`; its one job, on a
//! schedule, removes photos that no form was submitted with.

pub mod answer;
pub mod calculation;
pub mod check;
pub mod condition;
pub mod definition;
pub mod diff;
pub mod draft;
pub mod error;
pub mod evaluate;
pub mod fhir;
pub mod form;
pub mod instruments;
pub mod photo;
pub mod reach;
pub mod response;
pub mod risk;
pub mod store;
pub mod told;
pub mod units;
pub mod use_cases;
mod words;

pub use answer::{Answer, Answers, Quantity, RawAnswers};
pub use calculation::{AscvdInputs, Band, Calculation, Score};
pub use condition::{Behavior, Condition, EnableWhen, Expected, Fact, Facts, Operator, Subject};
pub use definition::{ChoiceOption, Consent, CrossRule, FormDefinition, Item, ItemKind};
pub use diff::{ChangeKind, ItemChange};
pub use draft::Draft;
pub use error::IntakeError;
pub use evaluate::{Evaluation, Stage, evaluate};
pub use form::{Form, FormVersion, VersionStatus};
pub use photo::{MediaType, Photo, PhotoVault};
pub use response::FormResponse;
pub use store::{IntakeStore, IntakeTx, ResponseQuery, Surroundings};
pub use told::{Told, told};
pub use use_cases::{
    FormChange, NewFormVersion, NewPhoto, OpenDraft, SaveDraft, Submission, SweepPhotos,
    administered_version, compare_versions, create_version, current_form, delete_photo, draft_from,
    form_version, form_versions, open_draft, photo_content, publish_version, response,
    response_history, revise_version, save_draft, seed_form, submit, sweep_photos, upload_photo,
    validate_version,
};
