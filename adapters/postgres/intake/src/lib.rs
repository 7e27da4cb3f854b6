//! The store of intake. What patients answered is sealed.

mod drafts;
mod forms;
mod photos;
mod responses;
mod versions;

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use intake::{Draft, Form, FormResponse, FormVersion, IntakeTx, Photo, ResponseQuery};
use kernel::{Actor, CategoryId, FormId, Page, PageRequest, PatientId, Permission, PhotoId};
use ports::{Locked, Result};
use sea_orm::{ColumnTrait, Condition, sea_query::Expr};
use serde::{Serialize, de::DeserializeOwned};

use pg::{Unreadable, reach};

pg::store!(Tx {
    FormVersion => versions::Model,
    Draft => drafts::Model,
    FormResponse => responses::Model,
    Photo => photos::Model,
});

#[async_trait]
impl IntakeTx for Tx {
    async fn form_of_category(&mut self, category: CategoryId) -> Result<Option<Form>> {
        forms::of_category(self, category).await
    }

    async fn insert_form(&mut self, form: &Form) -> Result<()> {
        forms::insert(self, form).await
    }

    async fn latest_number(&mut self, form: FormId) -> Result<i32> {
        versions::latest_number(self, form).await
    }

    async fn versions(
        &mut self,
        category: Option<CategoryId>,
        page: &PageRequest,
    ) -> Result<Page<FormVersion>> {
        versions::all(self, category, page).await
    }

    async fn published_version(&mut self, category: CategoryId) -> Result<Option<FormVersion>> {
        versions::published(self, category).await
    }

    async fn draft(&mut self, patient: PatientId, category: CategoryId) -> Result<Option<Draft>> {
        drafts::of(self, patient, category).await
    }

    async fn lock_draft(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<Locked<Draft>>> {
        drafts::lock(self, patient, category).await
    }

    async fn take_draft(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Option<Draft>> {
        drafts::take(self, patient, category).await
    }

    async fn responses(&mut self, query: &ResponseQuery) -> Result<Page<FormResponse>> {
        responses::all(self, query).await
    }

    async fn waiting_photos(&mut self, patient: PatientId) -> Result<u64> {
        photos::count_waiting(self, patient).await
    }

    async fn lock_photos(
        &mut self,
        patient: PatientId,
        ids: &[PhotoId],
    ) -> Result<Vec<Locked<Photo>>> {
        photos::lock(self, patient, ids).await
    }

    async fn stale_photos(
        &mut self,
        before: DateTime<Utc>,
        begun: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Photo>> {
        photos::stale(self, before, begun, limit).await
    }

    async fn known_photos(&mut self, ids: &[PhotoId]) -> Result<BTreeSet<PhotoId>> {
        photos::known(self, ids).await
    }
}

/// Who holds one of these reads responses that are not the reader's own.
const READERS: [Permission; 3] =
    [Permission::IntakeReadAny, Permission::PatientRead, Permission::PatientReadAny];

/// The responses that the actor reaches. Which of the patients a provider
/// treats is the panel's to say.
fn readable(actor: &Actor, patient: impl ColumnTrait) -> Condition {
    READERS
        .into_iter()
        .map(|permission| reach(actor, patient, permission))
        .fold(Condition::any(), Condition::add)
}

/// What is the actor's own alone; Salus itself reaches all of it.
fn own(actor: &Actor, patient: impl ColumnTrait) -> Condition {
    match (actor.is_system(), actor.as_patient()) {
        (true, _) => Condition::all(),
        (false, Some(own)) => Condition::all().add(patient.eq(own)),
        (false, None) => Condition::all().add(Expr::value(false)),
    }
}

/// What is to be sealed.
fn written(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("answers are written as JSON")
}

/// What was sealed. The reader's own message can quote what it read, which is
/// PHI, so only the place goes on.
fn read<T: DeserializeOwned>(plain: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(plain)
        .map_err(|error| format!("answers do not read at column {}", error.column()).into())
}
