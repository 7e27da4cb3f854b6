//! Reading and searching the record. Every read is recorded with the records
//! that were returned, so that a patient's trail names who saw what.

use kernel::{Actor, FieldError, PatientId, PhotoId};
use ports::{AuditAction, AuditEntry, Panel};
use uuid::Uuid;

use crate::{
    Interaction, Reach, RecordsError, RecordsStore, RecordsTx, Resource, ResourceType, Search,
    sources::{FileSource, HeldFile},
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
    let Some(resource) = reached(tx.as_mut(), panel, reach, kind, id).await? else {
        refuse(tx, entry).await?;
        return Err(RecordsError::NotFound);
    };
    let entry = entry.patient(resource.patient).detail("version", resource.version);
    tx.audit(entry);
    tx.commit().await?;
    if resource.deleted { Err(RecordsError::Deleted) } else { Ok(resource) }
}

/// A file that a response holds, with its bytes, for whoever may read the
/// response itself. A file that no response on the record holds is not found.
pub async fn read_file(
    store: &dyn RecordsStore,
    panel: &dyn Panel,
    files: &dyn FileSource,
    actor: &Actor,
    id: PhotoId,
) -> Result<(HeldFile, Vec<u8>), RecordsError> {
    const HOLDER: ResourceType = ResourceType::QuestionnaireResponse;
    let entry = AuditEntry::new(AuditAction::Read, "Binary", id);
    let reach = match Reach::of(actor, HOLDER, Interaction::Read) {
        Ok(reach) => reach,
        Err(refused) => {
            refuse(store.begin(actor).await?, entry).await?;
            return Err(refused);
        }
    };
    // The other context is asked before and after the transaction, so that no
    // call holds one connection while it waits for another.
    let file = files.file(id).await?;
    let mut tx = store.begin(actor).await?;
    let holder = match &file {
        Some(file) => reached(tx.as_mut(), panel, reach, HOLDER, file.response.uuid()).await?,
        None => None,
    };
    let (Some(file), Some(holder)) = (file, holder.filter(|holder| !holder.deleted)) else {
        refuse(tx, entry).await?;
        return Err(RecordsError::NotFound);
    };
    let entry = entry.patient(holder.patient).detail("response", file.response.to_string());
    tx.audit(entry);
    tx.commit().await?;
    let bytes = files.bytes(id).await?;
    Ok((file, bytes))
}

/// The current version, if the actor reaches it.
async fn reached(
    tx: &mut dyn RecordsTx,
    panel: &dyn Panel,
    reach: Reach,
    kind: ResourceType,
    id: Uuid,
) -> Result<Option<Resource>, RecordsError> {
    let found = tx.resource(kind, id, &reach).await?;
    if let (Reach::Panel(provider), Some(resource)) = (reach, &found)
        && !panel.opens_chart(provider, resource.patient).await?
    {
        return Ok(None);
    }
    Ok(found)
}

/// One page of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub resources: Vec<Resource>,
    pub total: u64,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Uuid>,
}

/// Searches within the actor's reach. A provider names the patients whose
/// records are searched.
pub async fn search_resources(
    store: &dyn RecordsStore,
    panel: &dyn Panel,
    actor: &Actor,
    search: &Search,
) -> Result<Found, RecordsError> {
    let mut tx = store.begin(actor).await?;
    let kind = search.kind;
    let entry = AuditEntry::new(AuditAction::Search, kind.into(), "search");
    let of = |patient: Option<PatientId>| match patient {
        Some(patient) => entry.clone().patient(patient),
        None => entry.clone(),
    };
    let asked = search.patients.as_deref().unwrap_or_default();
    let only = if let [patient] = asked { Some(*patient) } else { None };
    let reach = match Reach::of(actor, kind, Interaction::Search) {
        Ok(reach) => reach,
        Err(refused) => {
            refuse(tx, of(only)).await?;
            return Err(refused);
        }
    };
    let mut reachable = Vec::new();
    for patient in asked {
        let is_reached = match reach {
            Reach::Everyone => true,
            Reach::Only(own) => own == *patient,
            Reach::Panel(provider) => panel.opens_chart(provider, *patient).await?,
        };
        if is_reached {
            reachable.push(*patient);
        } else {
            tx.audit(of(Some(*patient)).denied());
        }
    }
    if search.patients.is_none() && matches!(reach, Reach::Panel(_)) {
        return Err(RecordsError::Invalid(vec![FieldError::required("patient")]));
    }
    if reachable.is_empty() && !asked.is_empty() {
        tx.commit().await?;
        return Ok(Found { resources: Vec::new(), total: 0, next: None });
    }
    let within = Search {
        patients: search.patients.is_some().then_some(reachable),
        limit: search.limit + u32::from(search.limit > 0),
        ..search.clone()
    };
    let total = tx.count(&within, &reach).await?;
    let limit = search.limit as usize;
    let mut resources = if limit == 0 { Vec::new() } else { tx.search(&within, &reach).await? };
    let next = (resources.len() > limit).then(|| {
        resources.truncate(limit);
        resources.last().map(|resource| resource.id)
    });
    let shown = resources.iter().map(|resource| (resource.patient, resource.id));
    tx.audit_all(of(only).per_patient(shown));
    tx.commit().await?;
    Ok(Found { resources, total, next: next.flatten() })
}

async fn refuse(mut tx: Box<dyn RecordsTx>, entry: AuditEntry) -> Result<(), RecordsError> {
    tx.audit(entry.denied());
    Ok(tx.commit().await?)
}
