//! Anchors: heads of the chain, kept outside the database so that a tail that
//! was cut off, or a chain that was written anew, shows. Every anchor is an
//! object of its own, named by its position and hash, so that none is ever
//! overwritten with another. It is signed under the key of the chain, so that
//! one that was made up shows; those from before there was a key are not, and
//! can only witness against a chain, never for it.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use kernel::AuditEntryId;
use ports::{ChainKeys, PortError, objects::Objects};
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    pub key: u32,
    /// Whether this anchor vouches for the links of the older form up to here.
    /// It is made once, when a log from before there was a key is continued.
    pub adopts: bool,
    pub mac: Hash,
}

/// The part of a name that only signed anchors have.
const SIGNED: &str = "-signed";

impl Anchor {
    /// Whether the ring made the signature, where there is one.
    pub fn is_genuine(&self, keys: &dyn ChainKeys) -> bool {
        self.signature.is_none_or(|signature| {
            let mac = keys.mac(signature.key, &self.message(signature.key, signature.adopts));
            mac.is_some_and(|mac| mac == signature.mac.0)
        })
    }

    /// The words `salus.audit.anchor.2` and all that the anchor says.
    pub(crate) fn message(&self, key: u32, adopts: bool) -> Vec<u8> {
        let mut message = b"salus.audit.anchor.2".to_vec();
        message.extend(key.to_be_bytes());
        message.push(u8::from(adopts));
        message.extend(self.position.to_be_bytes());
        message.extend(self.entry.uuid().as_bytes());
        message.extend(self.chain_hash.0);
        message.extend(self.sealed_at.timestamp_micros().to_be_bytes());
        message.extend(self.anchored_at.timestamp_micros().to_be_bytes());
        message
    }

    fn name(&self) -> String {
        // Folders of a million positions keep each of them listable, and the
        // leading zeros keep names in the order of positions.
        format!(
            "{FOLDER}/{:013}/{:019}-{}{}.json",
            self.position / 1_000_000,
            self.position,
            &self.chain_hash.to_string()[..16],
            if self.signature.is_some() { SIGNED } else { "" }
        )
    }
}

/// Anchors a head; `adopts` as [`Signature::adopts`] says.
pub async fn put(
    objects: &dyn Objects,
    keys: &dyn ChainKeys,
    head: &Head,
    adopts: bool,
    now: DateTime<Utc>,
) -> ports::Result<Anchor> {
    let mut anchor = Anchor {
        position: head.position,
        entry: head.entry,
        chain_hash: head.chain_hash,
        sealed_at: head.sealed_at,
        anchored_at: now,
        signature: None,
    };
    let key = keys.active();
    let mac = keys
        .mac(key, &anchor.message(key, adopts))
        .ok_or_else(|| PortError::bug("the key ring lacks the key of the audit chain"))?;
    anchor.signature = Some(Signature { key, adopts, mac: Hash(mac) });
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

/// Whether any anchor was signed.
pub async fn any_signed(objects: &dyn Objects) -> ports::Result<bool> {
    Ok(objects.list(FOLDER).await?.iter().any(|name| name.contains(SIGNED)))
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
