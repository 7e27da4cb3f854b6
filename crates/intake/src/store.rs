use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{
    Actor, CategoryId, DraftId, FieldError, FormId, FormResponseId, FormVersionId, Page,
    PageRequest, PatientId, PhotoId,
};
use ports::{Result, UnitOfWork};

use crate::{Draft, Facts, Form, FormDefinition, FormResponse, FormVersion, Photo};

/// What intake has to know of the contexts around it.
#[async_trait]
pub trait Surroundings: Send + Sync {
    /// Whether patients can start in the category now; `false` too where there
    /// is no such category.
    async fn category_is_active(&self, category: CategoryId) -> Result<bool>;

    /// What stands against the definition in the contexts that read answers of
    /// the category: rules in force that name what it would no longer ask.
    async fn objections(
        &self,
        category: CategoryId,
        definition: &FormDefinition,
    ) -> Result<Vec<FieldError>>;

    /// What the patient's profile says; what it leaves open is `None`.
    async fn facts(&self, patient: PatientId, at: DateTime<Utc>) -> Result<Facts>;
}

/// Which responses to list, the latest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseQuery {
    pub patient: PatientId,
    pub category: Option<CategoryId>,
    pub page: PageRequest,
}

/// The rows of photos. It is a part of [`IntakeTx`], because a response takes
/// its photos in the transaction that submits it.
#[async_trait]
pub trait PhotoTx: UnitOfWork {
    async fn insert_photo(&mut self, photo: &Photo) -> Result<()>;

    /// How many photos of the patient wait for their forms. Until the
    /// transaction ends nobody else counts them, so that a limit holds.
    async fn waiting_photos(&mut self, patient: PatientId) -> Result<u64>;

    /// A photo that the actor's scope reaches: one of their own, or one of a
    /// response that they may read.
    async fn photo(&mut self, id: PhotoId) -> Result<Option<Photo>>;

    /// Those of the photos that are the patient's own, held until the
    /// transaction ends.
    async fn hold_photos(&mut self, patient: PatientId, ids: &[PhotoId]) -> Result<Vec<Photo>>;

    /// Makes the photos part of the response. Fails with `Conflict` unless
    /// every one of them is the patient's and waits.
    async fn attach_photos(
        &mut self,
        patient: PatientId,
        ids: &[PhotoId],
        response: FormResponseId,
    ) -> Result<()>;

    /// Fails with `Conflict` where the photo is part of a response or gone.
    async fn delete_photo(&mut self, photo: &Photo) -> Result<()>;

    /// Photos that have waited since before that time, the oldest first,
    /// without those whose form was begun and saved since `begun`.
    async fn stale_photos(
        &mut self,
        before: DateTime<Utc>,
        begun: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Photo>>;

    /// Those of the ids that are a photo's.
    async fn known_photos(&mut self, ids: &[PhotoId]) -> Result<BTreeSet<PhotoId>>;
}

#[async_trait]
pub trait IntakeTx: PhotoTx {
    async fn form_of_category(&mut self, category: CategoryId) -> Result<Option<Form>>;

    /// Fails with `Conflict` where the category or the slug has a form.
    async fn insert_form(&mut self, form: &Form) -> Result<()>;

    /// The highest number that a version of the form has; 0 without one.
    async fn latest_number(&mut self, form: FormId) -> Result<i32>;

    async fn insert_version(&mut self, version: &FormVersion) -> Result<()>;

    /// Saves the definition of a draft whose stored revision is the one before;
    /// anything else is a `Conflict`.
    async fn save_draft_version(&mut self, version: &FormVersion) -> Result<()>;

    /// Versions of all forms or of one category's, the latest first.
    async fn versions(
        &mut self,
        category: Option<CategoryId>,
        page: &PageRequest,
    ) -> Result<Page<FormVersion>>;

    /// Saves the status; nothing else of a published version ever changes.
    /// Fails with `Conflict` where another version of the form is published,
    /// and where the draft was changed since it was loaded.
    async fn save_version_status(&mut self, version: &FormVersion) -> Result<()>;

    async fn version(&mut self, id: FormVersionId) -> Result<Option<FormVersion>>;

    async fn published_version(&mut self, category: CategoryId) -> Result<Option<FormVersion>>;

    async fn draft(&mut self, patient: PatientId, category: CategoryId) -> Result<Option<Draft>>;

    /// Fails with `Conflict` where the patient has a draft in the category.
    async fn insert_draft(&mut self, draft: &Draft) -> Result<()>;

    /// Fails with `Conflict` unless the stored version is the one before.
    async fn save_draft(&mut self, draft: &Draft) -> Result<()>;

    async fn delete_draft(&mut self, id: DraftId) -> Result<()>;

    async fn insert_response(&mut self, response: &FormResponse) -> Result<()>;

    /// A response that the actor's scope reaches.
    async fn response(&mut self, id: FormResponseId) -> Result<Option<FormResponse>>;

    async fn responses(&mut self, query: &ResponseQuery) -> Result<Page<FormResponse>>;
}

#[async_trait]
pub trait IntakeStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn IntakeTx>>;
}
