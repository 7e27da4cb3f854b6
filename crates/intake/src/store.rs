use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{Actor, CategoryId, FieldError, FormId, Page, PageRequest, PatientId, PhotoId};
use ports::{Locked, Repository, Result, UnitOfWork};

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

/// Inserting a version fails with `Conflict` where its number is taken, saving
/// one where another version of the form is published.
#[async_trait]
pub trait IntakeTx:
    UnitOfWork
    + Repository<FormVersion>
    + Repository<Draft>
    + Repository<FormResponse>
    + Repository<Photo>
{
    async fn form_of_category(&mut self, category: CategoryId) -> Result<Option<Form>>;

    /// Fails with `Conflict` where the category or the slug has a form.
    async fn insert_form(&mut self, form: &Form) -> Result<()>;

    /// The highest number that a version of the form has; 0 without one.
    async fn latest_number(&mut self, form: FormId) -> Result<i32>;

    /// Versions of all forms or of one category's, the latest first.
    async fn versions(
        &mut self,
        category: Option<CategoryId>,
        page: &PageRequest,
    ) -> Result<Page<FormVersion>>;

    async fn published_version(&mut self, category: CategoryId) -> Result<Option<FormVersion>>;

    async fn draft(&mut self, patient: PatientId, category: CategoryId) -> Result<Option<Draft>>;

    /// Until the transaction ends nobody else locks or begins the draft, also
    /// where there is none.
    async fn lock_draft(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<Locked<Draft>>>;

    /// Removes the draft.
    async fn take_draft(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<Draft>>;

    async fn responses(&mut self, query: &ResponseQuery) -> Result<Page<FormResponse>>;

    /// How many photos of the patient wait for their forms. Until the
    /// transaction ends nobody else counts them, so that a limit holds.
    async fn waiting_photos(&mut self, patient: PatientId) -> Result<u64>;

    /// Those of the photos that are the patient's own, by id.
    async fn lock_photos(
        &mut self,
        patient: PatientId,
        ids: &[PhotoId],
    ) -> Result<Vec<Locked<Photo>>>;

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
pub trait IntakeStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn IntakeTx>>;
}
