use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{Actor, PatientId};
use ports::{Result, UnitOfWork};
use uuid::Uuid;

#[cfg(doc)]
use crate::resource::INDEX;
use crate::{ClinicalProfile, Reach, Resource, ResourceType, Token};

/// A search over the current versions of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    pub kind: ResourceType,
    /// Of any of these, where somebody in particular is asked for.
    pub patients: Option<Vec<PatientId>>,
    /// Any of these, where some are asked for.
    pub ids: Option<Vec<Uuid>>,
    pub updated_from: Option<DateTime<Utc>>,
    pub updated_before: Option<DateTime<Utc>>,
    /// Each of these groups must match with any of its tokens.
    pub tokens: Vec<Vec<Token>>,
    /// With 0 matches are only counted.
    pub limit: u32,
    /// Resources beyond this id, in the order of ids.
    pub after: Option<Uuid>,
}

impl Search {
    pub fn of(kind: ResourceType, limit: u32) -> Self {
        Self {
            kind,
            patients: None,
            ids: None,
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

    /// Resources of any patient whose tokens are those of an earlier [`INDEX`].
    async fn stale_tokens(&mut self, limit: u32) -> Result<Vec<Resource>>;

    /// Writes the tokens of the current version anew.
    async fn save_tokens(&mut self, resource: &Resource) -> Result<()>;

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
