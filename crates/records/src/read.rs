//! Reading and searching the record. Every read is recorded with the records
//! that were returned, so that a patient's trail names who saw what.

use kernel::{Actor, FieldError};
use ports::{AuditAction, AuditEntry, Panel};
use uuid::Uuid;

use crate::{
    Interaction, Reach, RecordsError, RecordsStore, RecordsTx, Resource, ResourceType, Search,
};

/// The current version of a resource.
///
/// # Errors
///
/// What lies outside the actor's reach is not found, and the attempt is
/// recorded.
pub async fn read_resource(
    store: &dyn RecordsStore,
    panel: &dyn Panel,
    actor: &Actor,
    kind: ResourceType,
    id: Uuid,
) -> Result<Resource, RecordsError> {
    let mut tx = store.begin(actor).await?;
    let entry = AuditEntry::new(AuditAction::Read, kind.into(), id);
    let reach = match Reach::of(actor, kind, Interaction::Read) {
        Ok(reach) => reach,
        Err(refused) => {
            refuse(tx, entry).await?;
            return Err(refused);
        }
    };
    let mut found = tx.resource(kind, id, &reach).await?;
    if let (Reach::Panel(provider), Some(resource)) = (reach, &found)
        && !panel.opens_chart(provider, resource.patient).await?
    {
        found = None;
    }
    let Some(resource) = found else {
        refuse(tx, entry).await?;
        return Err(RecordsError::NotFound);
    };
    let entry = entry.patient(resource.patient).detail("version", resource.version);
    tx.audit(entry).await?;
    tx.commit().await?;
    if resource.deleted { Err(RecordsError::Deleted) } else { Ok(resource) }
}

/// One page of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub resources: Vec<Resource>,
    pub total: u64,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Uuid>,
}

/// Searches within the actor's reach. A provider searches one patient at a
/// time.
pub async fn search_resources(
    store: &dyn RecordsStore,
    panel: &dyn Panel,
    actor: &Actor,
    search: &Search,
) -> Result<Found, RecordsError> {
    let mut tx = store.begin(actor).await?;
    let kind = search.kind;
    let mut entry = AuditEntry::new(AuditAction::Search, kind.into(), "search");
    if let Some(patient) = search.patient {
        entry = entry.patient(patient);
    }
    let reach = match Reach::of(actor, kind, Interaction::Search) {
        Ok(reach) => reach,
        Err(refused) => {
            refuse(tx, entry).await?;
            return Err(refused);
        }
    };
    let reachable = match (reach, search.patient) {
        (Reach::Everyone, _) | (Reach::Only(_), None) => true,
        (Reach::Only(own), Some(patient)) => own == patient,
        (Reach::Panel(provider), Some(patient)) => panel.opens_chart(provider, patient).await?,
        (Reach::Panel(_), None) => {
            return Err(RecordsError::Invalid(vec![FieldError::required("patient")]));
        }
    };
    if !reachable {
        refuse(tx, entry).await?;
        return Ok(Found { resources: Vec::new(), total: 0, next: None });
    }
    let total = tx.count(search, &reach).await?;
    let more = Search { limit: search.limit + 1, ..search.clone() };
    let mut resources = tx.search(&more, &reach).await?;
    let next = (resources.len() > search.limit as usize).then(|| {
        resources.truncate(search.limit as usize);
        resources.last().map(|resource| resource.id)
    });
    let shown = resources.iter().map(|resource| (resource.patient, resource.id));
    tx.audit_all(entry.per_patient(shown)).await?;
    tx.commit().await?;
    Ok(Found { resources, total, next: next.flatten() })
}

async fn refuse(mut tx: Box<dyn RecordsTx>, entry: AuditEntry) -> Result<(), RecordsError> {
    tx.audit(entry.denied()).await?;
    Ok(tx.commit().await?)
}
