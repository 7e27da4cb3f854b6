//! Who the patients of a list are, for the providers who see it.

use std::collections::{BTreeMap, BTreeSet};

use api::Problem;
use care::{PatientFacts, PatientName};
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
        facts: &dyn PatientFacts,
        patients: impl IntoIterator<Item = PatientId>,
    ) -> Result<Self, Problem> {
        let patients: Vec<PatientId> =
            patients.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        if patients.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self(facts.names(&patients).await?))
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

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use care::ClinicalFacts;
    use chrono::DateTime;
    use kernel::{UsState, Uuid};
    use poem_openapi::types::ToJSON as _;
    use ports::PortError;
    use serde_json::{Value, json};

    use super::*;

    /// Knows one patient by name, and counts how often it is asked.
    #[derive(Default)]
    struct OneName(std::sync::Mutex<Vec<Vec<PatientId>>>);

    const ADA: PatientId = PatientId(Uuid::from_u128(0xada));

    #[async_trait]
    impl PatientFacts for OneName {
        async fn facts(&self, _: PatientId) -> ports::Result<Option<ClinicalFacts>> {
            Err(PortError::bug("only names are asked for"))
        }

        async fn names(
            &self,
            patients: &[PatientId],
        ) -> ports::Result<BTreeMap<PatientId, care::PatientName>> {
            self.0.lock().unwrap().push(patients.to_vec());
            let name = kernel::HumanName { given: "Ada".into(), family: "Quill".into() };
            let birth_date = chrono::NaiveDate::from_ymd_opt(1990, 5, 17).unwrap();
            Ok([(ADA, care::PatientName { name, birth_date })].into())
        }

        async fn states(&self, _: &[PatientId]) -> ports::Result<BTreeMap<PatientId, UsState>> {
            Err(PortError::bug("only names are asked for"))
        }
    }

    #[tokio::test]
    async fn a_list_asks_once_for_the_names_of_its_patients_and_shows_them() {
        let asked = OneName::default();
        let nobody = PatientId(Uuid::from_u128(0xe7e));
        let names = Names::of(&asked, [nobody, ADA, nobody, ADA]).await.unwrap();
        assert_eq!(*asked.0.lock().unwrap(), [vec![ADA, nobody]]);
        Names::of(&asked, []).await.unwrap();
        assert_eq!(asked.0.lock().unwrap().len(), 1, "an empty list asks for nobody");

        let now = DateTime::UNIX_EPOCH;
        let task = |patient| care::Task {
            id: Uuid::from_u128(1).into(),
            kind: care::TaskKind::UrgentReview,
            provider: None,
            patient,
            state: Some(UsState::Ma),
            subject: Uuid::from_u128(2),
            created_at: now,
            due_at: now,
            snoozed_until: None,
            ended: None,
            version: 1,
        };
        let shown = |patient| crate::TaskView::of(task(patient), now, &names).to_json().unwrap();
        let named = json!({ "given": "Ada", "family": "Quill", "birth_date": "1990-05-17" });
        assert_eq!(
            (&shown(ADA)["patient"], &shown(ADA)["patient_id"]),
            (&named, &json!(ADA.uuid()))
        );
        assert_eq!(shown(nobody)["patient"], Value::Null);
    }
}
