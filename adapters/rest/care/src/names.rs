//! Who the patients of a list are, for the providers who see it.

use std::collections::BTreeSet;

use api::{Mirror, Result};
use care::{PatientFacts, PatientName};
use chrono::NaiveDate;
use kernel::PatientId;
use poem_openapi::Object;

/// A patient's name and birth date.
#[derive(Debug, Object, Mirror)]
#[mirror(from = PatientName)]
pub struct PatientNameView {
    #[mirror(name.given)]
    pub given: String,
    #[mirror(name.family)]
    pub family: String,
    pub birth_date: NaiveDate,
}

/// The patient of an item of a list.
#[derive(Debug, Object)]
pub struct WhoView {
    pub patient_id: PatientId,
    /// Who that is, for providers; absent where the patient has no profile.
    pub patient: Option<PatientNameView>,
}

impl From<PatientId> for WhoView {
    fn from(patient_id: PatientId) -> Self {
        Self { patient_id, patient: None }
    }
}

/// Fills in the names of the patients, all at once. The use case that found the
/// patients has held them to the reach of the actor, and has written who saw them.
pub async fn name<'a>(
    facts: &dyn PatientFacts,
    shown: impl IntoIterator<Item = &'a mut WhoView>,
) -> Result<()> {
    let shown: Vec<_> = shown.into_iter().collect();
    let patients: BTreeSet<_> = shown.iter().map(|who| who.patient_id).collect();
    if patients.is_empty() {
        return Ok(());
    }
    let patients: Vec<_> = patients.into_iter().collect();
    let names = facts.names(&patients).await?;
    for who in shown {
        who.patient = names.get(&who.patient_id).cloned().map(Into::into);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use async_trait::async_trait;
    use care::ClinicalFacts;
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
        let mut shown = [nobody, ADA, nobody, ADA].map(WhoView::from);
        name(&asked, &mut shown).await.unwrap();
        assert_eq!(*asked.0.lock().unwrap(), [vec![ADA, nobody]]);
        name(&asked, []).await.unwrap();
        assert_eq!(asked.0.lock().unwrap().len(), 1, "an empty list asks for nobody");
        let named = json!({ "given": "Ada", "family": "Quill", "birth_date": "1990-05-17" });
        let [unknown, ada, ..] = shown.map(|who| who.to_json().unwrap());
        assert_eq!((&ada["patient"], &ada["patient_id"]), (&named, &json!(ADA.uuid())));
        assert_eq!(unknown["patient"], Value::Null);
    }
}
