//! Anchors: heads of the chain, kept outside the database so that a tail that
//! was cut off, or a chain that was written anew, shows. Every anchor is an
//! object of its own, named by its position and hash, so that none is ever
//! overwritten with another.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use kernel::AuditEntryId;
use ports::{PortError, objects::Objects};
use serde::{Deserialize, Serialize};

use crate::{ComplianceError, Hash, Head};

const FOLDER: &str = "audit/anchors";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    pub position: i64,
    pub entry: AuditEntryId,
    pub chain_hash: Hash,
    pub sealed_at: DateTime<Utc>,
    pub anchored_at: DateTime<Utc>,
}

impl Anchor {
    fn name(&self) -> String {
        // Folders of a million positions keep each of them listable, and the
        // leading zeros keep names in the order of positions.
        format!(
            "{FOLDER}/{:013}/{:019}-{}.json",
            self.position / 1_000_000,
            self.position,
            &self.chain_hash.to_string()[..16]
        )
    }
}

/// Anchors a head.
pub async fn put(objects: &dyn Objects, head: &Head, now: DateTime<Utc>) -> ports::Result<Anchor> {
    let anchor = Anchor {
        position: head.position,
        entry: head.entry,
        chain_hash: head.chain_hash,
        sealed_at: head.sealed_at,
        anchored_at: now,
    };
    let json = serde_json::to_vec(&anchor)
        .map_err(|error| PortError::internal("an anchor does not serialize", error))?;
    objects.put(&anchor.name(), Bytes::from(json)).await?;
    Ok(anchor)
}

/// All anchors, in the order of their positions.
pub async fn all(objects: &dyn Objects) -> Result<Vec<Anchor>, ComplianceError> {
    let mut anchors = Vec::new();
    for name in objects.list(FOLDER).await? {
        anchors.extend(get(objects, &name).await?);
    }
    anchors.sort_by_key(|anchor| anchor.position);
    Ok(anchors)
}

/// The anchor of the highest position.
pub async fn latest(objects: &dyn Objects) -> Result<Option<Anchor>, ComplianceError> {
    match objects.list(FOLDER).await?.last() {
        Some(name) => get(objects, name).await,
        None => Ok(None),
    }
}

async fn get(objects: &dyn Objects, name: &str) -> Result<Option<Anchor>, ComplianceError> {
    let Some(bytes) = objects.get(name).await? else { return Ok(None) };
    let anchor: Anchor = serde_json::from_slice(&bytes)
        .map_err(|_| ComplianceError::MalformedAnchor(name.to_owned()))?;
    // The name was given by the content, so that a changed content shows.
    if anchor.name() == name {
        Ok(Some(anchor))
    } else {
        Err(ComplianceError::MalformedAnchor(name.to_owned()))
    }
}
