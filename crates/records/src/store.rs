use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{Actor, PatientId};
use ports::{Result, UnitOfWork};
use uuid::Uuid;

use crate::{ClinicalProfile, Reach, Resource, ResourceType, Token};

/// A search over the current versions of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    pub kind: ResourceType,
    pub patient: Option<PatientId>,
    /// Any of these, where there are some.
    pub ids: Vec<Uuid>,
    pub updated_from: Option<DateTime<Utc>>,
    pub updated_before: Option<DateTime<Utc>>,
    /// Each of these groups must match with any of its tokens.
    pub tokens: Vec<Vec<Token>>,
    pub limit: u32,
    /// Resources beyond this id, in the order of ids.
    pub after: Option<Uuid>,
}

impl Search {
    pub fn of(kind: ResourceType, limit: u32) -> Self {
        Self {
            kind,
            patient: None,
            ids: Vec::new(),
            updated_from: None,
            updated_before: None,
            tokens: Vec::new(),
            limit,
            after: None,
        }
    }
}

#[async_trait]
pub trait RecordsTx: UnitOfWork {
    /// The current version, if the reach includes it.
    async fn resource(
        &mut self,
        kind: ResourceType,
        id: Uuid,
        reach: &Reach,
    ) -> Result<Option<Resource>>;

    /// Adds the version and makes it the current one.
    ///
    /// # Errors
    ///
    /// A conflict when the current version is not the one before it.
    async fn save_resource(&mut self, resource: &Resource) -> Result<()>;

    /// What matches within the reach, in the order of ids, at most `limit`.
    async fn search(&mut self, search: &Search, reach: &Reach) -> Result<Vec<Resource>>;

    /// How many match within the reach, whatever the limit and the page.
    async fn count(&mut self, search: &Search, reach: &Reach) -> Result<u64>;

    async fn clinical_profile(&mut self, patient: PatientId) -> Result<Option<ClinicalProfile>>;

    /// # Errors
    ///
    /// A conflict when the stored version is not the one before.
    async fn save_clinical_profile(&mut self, profile: &ClinicalProfile) -> Result<()>;
}

#[async_trait]
pub trait RecordsStore: Send + Sync {
    async fn begin(&self, actor: &Actor) -> Result<Box<dyn RecordsTx>>;
}
