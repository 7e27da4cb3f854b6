//! Who the patients of a list are, for the providers who see it.

use std::collections::{BTreeMap, BTreeSet};

use api::Problem;
use care::{PatientName, Sources};
use chrono::NaiveDate;
use kernel::PatientId;
use poem_openapi::Object;

/// A patient's name and birth date.
#[derive(Debug, Object)]
pub struct PatientNameView {
    pub given: String,
    pub family: String,
    pub birth_date: NaiveDate,
}

/// The names of the patients whom an answer shows.
#[derive(Default)]
pub struct Names(BTreeMap<PatientId, PatientName>);

impl Names {
    /// All at once. The use case that found the patients has held them to the
    /// reach of the actor, and has written who saw them.
    pub async fn of(
        sources: &Sources,
        patients: impl IntoIterator<Item = PatientId>,
    ) -> Result<Self, Problem> {
        let patients: Vec<PatientId> =
            patients.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        if patients.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self(sources.facts.names(&patients).await?))
    }

    pub fn view(&self, patient: PatientId) -> Option<PatientNameView> {
        self.0.get(&patient).cloned().map(Into::into)
    }
}

impl From<PatientName> for PatientNameView {
    fn from(found: PatientName) -> Self {
        Self { given: found.name.given, family: found.name.family, birth_date: found.birth_date }
    }
}
