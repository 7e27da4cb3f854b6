//! What the audit log says of one act (45 CFR 164.312(b)): who did what to
//! whose record, from where, and whether it was allowed. The unit of work adds
//! the actor, the time and the request.

use std::collections::BTreeMap;

use kernel::{PatientId, Uuid, Word};
use serde_json::{Map, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum AuditAction {
    Create,
    Read,
    Update,
    Delete,
    Search,
    Export,
    Execute,
    Login,
    Logout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum AuditOutcome {
    Success,
    /// The actor had no right to it.
    Denied,
    Failure,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    pub action: AuditAction,
    /// The kind of thing, as in `invoice` or `review`.
    pub entity: &'static str,
    pub entity_id: String,
    /// Whose record it is, where it is a patient's.
    pub patient: Option<PatientId>,
    pub outcome: AuditOutcome,
    /// Ids, states, and old and new values of configuration; never PHI.
    pub detail: Map<String, Value>,
}

impl AuditEntry {
    pub fn new(action: AuditAction, entity: &'static str, entity_id: impl ToString) -> Self {
        Self {
            action,
            entity,
            entity_id: entity_id.to_string(),
            patient: None,
            outcome: AuditOutcome::Success,
            detail: Map::new(),
        }
    }

    pub fn patient(mut self, patient: PatientId) -> Self {
        self.patient = Some(patient);
        self
    }

    pub fn denied(mut self) -> Self {
        self.outcome = AuditOutcome::Denied;
        self
    }

    pub fn failed(mut self) -> Self {
        self.outcome = AuditOutcome::Failure;
        self
    }

    /// The reading of a list as one entry for each patient of whom it shows
    /// something, so that the trail of each has it. Of an empty list the entry
    /// itself is left.
    pub fn per_patient(self, shown: impl IntoIterator<Item = (PatientId, Uuid)>) -> Vec<Self> {
        let mut by_patient: BTreeMap<PatientId, Vec<String>> = BTreeMap::new();
        for (patient, id) in shown {
            by_patient.entry(patient).or_default().push(id.to_string());
        }
        if by_patient.is_empty() {
            return vec![self];
        }
        by_patient
            .into_iter()
            .map(|(patient, ids)| self.clone().patient(patient).detail("returned", ids))
            .collect()
    }

    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }
}
