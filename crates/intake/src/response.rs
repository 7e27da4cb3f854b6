//! Responses: what was submitted, once and for all.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use kernel::{CategoryId, FormId, FormResponseId, FormVersionId, PatientId};
use ports::Aggregate;
use serde_json::Value;

use crate::{Answers, Consent, Evaluation, Facts, FormVersion, Photo, Score};

/// A submitted response. It never changes, and it is what the rules of other
/// contexts read: the answers are those of enabled items only.
#[derive(Clone, Debug, PartialEq)]
pub struct FormResponse {
    pub id: FormResponseId,
    pub patient: PatientId,
    pub category: CategoryId,
    pub form: FormId,
    pub form_slug: String,
    pub form_version: FormVersionId,
    pub version_number: i32,
    /// By link id.
    pub answers: Answers,
    /// The results of calculated items, by link id.
    pub scores: BTreeMap<String, Score>,
    /// The items in which a flagged option was chosen.
    pub flags: BTreeSet<String>,
    pub consents: BTreeSet<Consent>,
    /// What was known of the patient when the answers were evaluated.
    pub facts: Facts,
    /// The photos that the answers name, in the order of their ids.
    pub photos: Vec<Photo>,
    pub submitted_at: DateTime<Utc>,
}

/// What was submitted has one version, so that its row needs no count.
impl Aggregate for FormResponse {
    type Id = FormResponseId;

    const NAME: &'static str = "form_response";

    fn id(&self) -> FormResponseId {
        self.id
    }

    fn version(&self) -> i64 {
        1
    }

    fn set_version(&mut self, _: i64) {}

    fn patient(&self) -> Option<PatientId> {
        Some(self.patient)
    }
}

impl FormResponse {
    pub fn submit(
        id: FormResponseId,
        patient: PatientId,
        version: &FormVersion,
        evaluation: Evaluation,
        photos: Vec<Photo>,
        facts: Facts,
        now: DateTime<Utc>,
    ) -> Self {
        let mut photos: Vec<Photo> =
            photos.into_iter().map(|photo| Photo { response: Some(id), ..photo }).collect();
        photos.sort_by_key(|photo| photo.id);
        Self {
            id,
            patient,
            category: version.form.category,
            form: version.form.id,
            form_slug: version.form.slug.clone(),
            form_version: version.id,
            version_number: version.number,
            answers: evaluation.answers,
            scores: evaluation.scores,
            flags: evaluation.flags,
            consents: evaluation.consents,
            facts,
            photos,
            submitted_at: now,
        }
    }

    /// Answers and scores as plain JSON values by link id, which is the shape
    /// that rules are written against: numbers are in the first unit of their
    /// item, choices are codes.
    pub fn values(&self) -> BTreeMap<String, Value> {
        let answers = self.answers.iter().map(|(id, answer)| (id.clone(), answer.to_plain()));
        let scores =
            self.scores.iter().map(|(id, score)| (id.clone(), score.value.to_f64().into()));
        answers.chain(scores).collect()
    }
}
