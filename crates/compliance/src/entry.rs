//! One entry of the audit log as it was recorded, and its canonical digest.

use chrono::{DateTime, Utc};
use kernel::{AuditEntryId, PatientId, RequestId};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Hash;

#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEntry {
    pub id: AuditEntryId,
    /// The order in which entries were numbered, which is not quite the order
    /// in which they were committed.
    pub seq: i64,
    pub occurred_at: DateTime<Utc>,
    /// `account`, `client`, `system` or `anonymous`.
    pub actor_kind: String,
    pub actor: Option<String>,
    pub roles: Vec<String>,
    pub action: String,
    pub entity: String,
    pub entity_id: String,
    pub patient: Option<PatientId>,
    pub outcome: String,
    pub request: Option<RequestId>,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    pub detail: Value,
}

impl RecordedEntry {
    /// The digest that the chain holds: SHA-256 over the words
    /// `salus.audit.entry.1` and then every field in the order of
    /// [`RecordedEntry`]. A field is the length of its bytes as eight bytes,
    /// big-endian, and the bytes; an absent one is the length 2⁶⁴ − 1. Ids are
    /// their sixteen bytes, numbers eight bytes big-endian, the time the
    /// microseconds since 1970, roles their count and each of them, the detail
    /// its JSON with sorted keys and no spaces.
    pub fn digest(&self) -> Hash {
        let mut fields = Fields(Sha256::new_with_prefix(b"salus.audit.entry.1"));
        fields.add(self.id.uuid().as_bytes());
        fields.add(&self.seq.to_be_bytes());
        fields.add(&self.occurred_at.timestamp_micros().to_be_bytes());
        fields.add(self.actor_kind.as_bytes());
        fields.maybe(self.actor.as_deref());
        fields.add(&(self.roles.len() as u64).to_be_bytes());
        for role in &self.roles {
            fields.add(role.as_bytes());
        }
        fields.add(self.action.as_bytes());
        fields.add(self.entity.as_bytes());
        fields.add(self.entity_id.as_bytes());
        fields.maybe(self.patient.as_ref().map(|id| id.0.as_bytes()));
        fields.add(self.outcome.as_bytes());
        fields.maybe(self.request.as_ref().map(|id| id.0.as_bytes()));
        fields.maybe(self.ip.as_deref());
        fields.maybe(self.user_agent.as_deref());
        fields.add(canonical_json(&self.detail).as_bytes());
        Hash(fields.0.finalize().into())
    }
}

struct Fields(Sha256);

impl Fields {
    fn add(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn maybe(&mut self, field: Option<impl AsRef<[u8]>>) {
        match field {
            Some(bytes) => self.add(bytes.as_ref()),
            None => self.0.update(u64::MAX.to_be_bytes()),
        }
    }
}

/// JSON whose text does not depend on the order in which a map keeps its keys.
fn canonical_json(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            let members: Vec<String> = members
                .into_iter()
                .map(|(key, value)| {
                    format!("{}:{}", Value::from(key.as_str()), canonical_json(value))
                })
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical_json).collect();
            format!("[{}]", items.join(","))
        }
        leaf => leaf.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    pub(crate) fn entry(seq: i64) -> RecordedEntry {
        RecordedEntry {
            id: AuditEntryId(Uuid::from_u128(0xa000 + seq as u128)),
            seq,
            occurred_at: DateTime::from_timestamp_micros(1_770_000_000_000_000 + seq).unwrap(),
            actor_kind: "account".into(),
            actor: Some(Uuid::from_u128(1).to_string()),
            roles: vec!["patient".into()],
            action: "read".into(),
            entity: "invoice".into(),
            entity_id: "7".into(),
            patient: Some(PatientId(Uuid::from_u128(1))),
            outcome: "success".into(),
            request: Some(RequestId(Uuid::from_u128(2))),
            ip: Some("192.0.2.1".into()),
            user_agent: None,
            detail: json!({"b": [1, {"y": null, "x": true}], "a": "é\n"}),
        }
    }

    #[test]
    fn every_field_is_in_the_digest() {
        let changes: [fn(&mut RecordedEntry); 17] = [
            |e| e.id = AuditEntryId(Uuid::from_u128(9)),
            |e| e.seq = 99,
            |e| e.occurred_at += chrono::TimeDelta::microseconds(1),
            |e| e.actor_kind = "client".into(),
            |e| e.actor = None,
            |e| e.actor = Some(String::new()),
            |e| e.roles.push("auditor".into()),
            |e| e.roles.clear(),
            |e| e.action = "update".into(),
            |e| e.entity = "payment".into(),
            |e| e.entity_id = "8".into(),
            |e| e.patient = None,
            |e| e.outcome = "denied".into(),
            |e| e.request = None,
            |e| e.ip = None,
            |e| e.user_agent = Some("curl".into()),
            |e| e.detail = json!({"b": [1, {"y": null, "x": false}], "a": "é\n"}),
        ];
        let mut digests = vec![entry(1).digest()];
        for change in changes {
            let mut changed = entry(1);
            change(&mut changed);
            digests.push(changed.digest());
        }
        let count = digests.len();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }

    #[test]
    fn a_boundary_between_fields_cannot_be_moved() {
        let mut one = entry(1);
        one.entity = "ab".into();
        one.entity_id = "c".into();
        let mut two = entry(1);
        two.entity = "a".into();
        two.entity_id = "bc".into();
        assert_ne!(one.digest(), two.digest());
    }

    #[test]
    fn the_digest_is_stable() {
        // The value is fixed: a change of the format would break every chain
        // that stands.
        assert_eq!(
            entry(1).digest().to_string(),
            "f965d5cffd600e7a13c46173481b1b1d25dacca9cc1a19f285c0fe4a7b2f05d1"
        );
        assert_eq!(
            canonical_json(&entry(1).detail),
            "{\"a\":\"é\\n\",\"b\":[1,{\"x\":true,\"y\":null}]}"
        );
    }
}
