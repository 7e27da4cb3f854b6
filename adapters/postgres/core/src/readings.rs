//! What Salus reads for itself while it does something for somebody. A person's trail
//! has it as one entry, which names the event or the request that caused it, and not
//! as one for each bridge that was asked on the way.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kernel::{Actor, ActorKind, EventId, PatientId, RequestContext};
use ports::{AuditAction, AuditOutcome};
use serde_json::{Value, json};

use super::pending::Entry;

/// The entity of an entry that stands for several readings of a patient's record.
pub const PATIENT_RECORD: &str = "patient_record";

/// What made Salus read.
pub(super) enum Cause<'a> {
    Delivery {
        event: EventId,
        handler: &'a str,
    },
    /// None for a job.
    Request(Option<&'a RequestContext>),
}

/// Whether it says no more than that Salus has read something of a patient for itself.
pub(super) fn is_own(entry: &Entry) -> bool {
    let Entry { entry, actor, .. } = entry;
    actor.is_system()
        && entry.action == AuditAction::Read
        && entry.outcome == AuditOutcome::Success
        && entry.patient.is_some()
        && entry.detail.is_empty()
}

/// Makes one entry of Salus's own readings of each patient. It stands where the first
/// of them stood.
pub(super) fn fold(entries: Vec<Entry>, cause: &Cause) -> Vec<Entry> {
    let mut of: BTreeMap<PatientId, Vec<(&'static str, String, &'static str)>> = BTreeMap::new();
    let mut folded: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries {
        let (Some(patient), ActorKind::System { name }, true) =
            (entry.entry.patient, &entry.actor.kind, is_own(&entry))
        else {
            folded.push(entry);
            continue;
        };
        let readings = of.entry(patient).or_default();
        readings.push((entry.entry.entity, entry.entry.entity_id.clone(), name));
        if readings.len() == 1 {
            folded.push(entry);
        }
    }
    for entry in folded.iter_mut().filter(|entry| is_own(entry)) {
        let Some(patient) = entry.entry.patient else { continue };
        let readings = of.remove(&patient).unwrap_or_default();
        if readings.len() > 1 {
            entry.entry.entity = PATIENT_RECORD;
            entry.entry.entity_id = patient.to_string();
            entry.entry.detail.insert("read".to_owned(), listed(patient, readings));
        }
        match cause {
            Cause::Delivery { event, handler } => {
                entry.entry.detail.insert("event".to_owned(), json!(event.to_string()));
                entry.entry.detail.insert("handler".to_owned(), json!(handler));
            }
            Cause::Request(Some(request)) => {
                let actor = Actor { request: (*request).clone(), ..(*entry.actor).clone() };
                entry.actor = Arc::new(actor);
            }
            Cause::Request(None) => {}
        }
    }
    folded
}

/// What was read, and what for: `{ "patient_profile": ["care.assess"] }`. What is not
/// the patient's only one of its kind has its id.
fn listed(patient: PatientId, readings: Vec<(&'static str, String, &'static str)>) -> Value {
    let mut read: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (entity, id, purpose) in readings {
        let what = match id == patient.to_string() {
            true => entity.to_owned(),
            false => format!("{entity} {id}"),
        };
        read.entry(what).or_default().insert(purpose);
    }
    json!(read)
}
