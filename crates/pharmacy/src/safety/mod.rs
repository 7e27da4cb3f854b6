//! Safety checks before a prescription is sent: interactions, allergies,
//! duplicate therapy, pregnancy and the highest daily dose.
//!
//! Two rules hold throughout. Undefined is not safe: a medication or drug
//! allergy on the record that cannot be mapped to ingredients gives an alert
//! of severity `undefined`. And a check that could not be made is not a check
//! that found nothing: it gives an alert too. Alerts that are high or
//! undefined block until a provider overrides each with a reason; moderate
//! and low ones are kept with the prescription and shown.

pub mod check;
pub mod formulary;
pub mod interactions;

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{Coding, PatientId, ProviderId, RxNorm, Word};
use serde::{Deserialize, Serialize};

use crate::prescription::Medication;

pub use check::{Proposed, check};
pub use formulary::{Formulary, Ingredient};
pub use interactions::CuratedInteractions;

/// How grave a safety alert is; `high` and `undefined` block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Word)]
#[word("SafetyAlertSeverity")]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    High,
    Moderate,
    Low,
    /// Not known, and therefore not safe.
    Undefined,
}

/// What a safety alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Word)]
#[word("SafetyAlertKind")]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    Interaction,
    Allergy,
    DuplicateTherapy,
    Pregnancy,
    MaximumDose,
    /// Something that the patient has affirmed in a form speaks against it.
    Condition,
    /// Something on the record that could not be mapped.
    Unmapped,
    /// The check itself could not be made.
    Unavailable,
}

/// A provider's word that an alert does not stand in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertOverride {
    pub by: ProviderId,
    pub reason: String,
    pub at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SafetyAlert {
    /// What names the alert on its prescription: its kind and what it is
    /// about, the same each time the check finds it.
    pub key: String,
    pub kind: AlertKind,
    pub severity: Severity,
    /// What a clinician reads.
    pub summary: String,
    /// Where the knowledge comes from.
    pub source: String,
    pub overridden: Option<AlertOverride>,
}

/// What an alert on the proposed drug itself is about.
const PROPOSED: &str = "proposed-";

impl SafetyAlert {
    pub fn new(
        kind: AlertKind,
        about: &str,
        severity: Severity,
        summary: impl Into<String>,
        source: impl Into<String>,
    ) -> Self {
        Self {
            key: format!("{kind}:{about}"),
            kind,
            severity,
            summary: summary.into(),
            source: source.into(),
            overridden: None,
        }
    }

    /// The proposed drug itself could not be mapped.
    pub(crate) fn proposed_unmapped(of: &Medication, source: &str) -> Self {
        Self::new(
            AlertKind::Unmapped,
            &format!("{PROPOSED}{}", of.rxnorm),
            Severity::Undefined,
            format!("{} could not be mapped to its ingredients.", of.display),
            source,
        )
    }

    /// Whether a provider may take it upon themselves. Where it is not known
    /// what is proposed, nothing at all was checked, and a reason for that
    /// cannot be given.
    pub fn is_overridable(&self) -> bool {
        self.kind != AlertKind::Unmapped
            || !self.key.starts_with(&format!("{}:{PROPOSED}", self.kind))
    }

    /// Whether it keeps the prescription from being sent.
    pub fn blocks(&self) -> bool {
        matches!(self.severity, Severity::High | Severity::Undefined)
            && !(self.overridden.is_some() && self.is_overridable())
    }
}

/// A medication that the patient takes, as the record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedMedication {
    /// The RxNorm concept, where the record carries one.
    pub rxnorm: Option<RxNorm>,
    pub display: String,
    /// It is prescribed here, and not only reported by the patient.
    pub prescribed: bool,
}

/// FHIR's categories of an allergy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Word)]
pub enum AllergyCategory {
    Food,
    Medication,
    Environment,
    Biologic,
}

/// An active allergy or intolerance, as the record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedAllergy {
    /// Every coding that the record carries, SNOMED CT and RxNorm mostly.
    pub codings: Vec<Coding>,
    pub display: String,
    /// Empty where the record does not say.
    pub categories: Vec<AllergyCategory>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClinicalFacts {
    /// Active medications only.
    pub medications: Vec<RecordedMedication>,
    /// Active allergies only.
    pub allergies: Vec<RecordedAllergy>,
    /// Whether a pregnancy is recorded as current; `None` where nothing is
    /// recorded.
    pub pregnant: Option<bool>,
    /// Nobody has answered for the patient's medications yet. An empty list is
    /// then no answer, and least of all the answer "none".
    pub medications_unasked: bool,
    /// The same of allergies.
    pub allergies_unasked: bool,
    /// The yes-or-no questions of forms that the patient has last affirmed, by
    /// link id.
    pub affirmed: BTreeSet<String>,
}

/// The patient's clinical record. An error means that it could not be read,
/// and then the check counts as not made.
#[async_trait]
pub trait ClinicalRecord: Send + Sync {
    async fn facts(&self, patient: PatientId) -> ports::Result<ClinicalFacts>;
}

/// An interaction between two ingredients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interaction {
    pub first: RxNorm,
    pub second: RxNorm,
    pub severity: Severity,
    pub summary: String,
    pub source: String,
}

/// Whoever knows about interactions. It answers for every pair of a proposed
/// and a taken ingredient; no answer for a pair means that none is known. An
/// error means that it could not answer, and then the check counts as not
/// made.
#[async_trait]
pub trait InteractionProvider: Send + Sync {
    async fn interactions(
        &self,
        proposed: &[RxNorm],
        taken: &[RxNorm],
    ) -> ports::Result<Vec<Interaction>>;
}

#[cfg(test)]
mod tests;
