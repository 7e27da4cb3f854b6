//! Questionnaires, drafts and responses.

mod administration;
mod definition;
mod drafts;
mod fhir;
mod forms;
mod photos;
mod responses;

use std::{collections::BTreeMap, sync::Arc};

use api::{Exact, PhotoLimit};
use intake::{Answers, IntakeStore, PhotoVault, Score, Surroundings};
use poem_openapi::{Object, types::Any};
use ports::{Env, Panel};
use serde_json::Value;

pub use self::{
    administration::FormsAdminApi, drafts::DraftsApi, fhir::FormsFhirApi, forms::FormsApi,
    photos::PhotosApi, responses::ResponsesApi,
};

/// What the operations of intake work with.
#[derive(Clone)]
pub struct IntakeServices {
    pub env: Env,
    pub store: Arc<dyn IntakeStore>,
    pub surroundings: Arc<dyn Surroundings>,
    pub panel: Arc<dyn Panel>,
    pub vault: PhotoVault,
    /// The largest photo, as forms tell it to FHIR clients.
    pub photo_limit: PhotoLimit,
}

impl IntakeServices {
    /// Every operation of intake.
    pub fn apis(
        self,
    ) -> (FormsApi, FormsAdminApi, FormsFhirApi, DraftsApi, PhotosApi, ResponsesApi) {
        (
            FormsApi(self.clone()),
            FormsAdminApi(self.clone()),
            FormsFhirApi(self.clone()),
            DraftsApi(self.clone()),
            PhotosApi(self.clone()),
            ResponsesApi(self),
        )
    }
}

/// Answers by link id. A text and a date are strings, a single choice is the
/// code of the option and a multiple choice a list of codes; a number is a
/// number, or `{"value": 180, "unit": "[lb_av]"}` with one of the units of the
/// question, which has to be named where there are several; photos are a list of the ids of uploaded ones; a repeating group
/// is a list of objects by link id. `null` and an empty text are no answer.
pub(crate) type AnswersView = BTreeMap<String, Any<Value>>;

fn answers_view(answers: Answers) -> AnswersView {
    answers.into_iter().map(|(link_id, answer)| (link_id, Any(answer.to_raw()))).collect()
}

fn any_answers(answers: BTreeMap<String, Value>) -> AnswersView {
    answers.into_iter().map(|(link_id, value)| (link_id, Any(value))).collect()
}

fn raw_answers(view: AnswersView) -> BTreeMap<String, Value> {
    view.into_iter().map(|(link_id, value)| (link_id, value.0)).collect()
}

/// The result of a calculated item.
#[derive(Debug, Object)]
#[oai(rename = "FormScore")]
pub struct FormScoreView {
    pub value: Exact,
    /// The code of the range that the value is in, as in `moderate`.
    pub band: Option<String>,
    /// The range in words.
    pub label: Option<String>,
}

fn scores_view(scores: BTreeMap<String, Score>) -> BTreeMap<String, FormScoreView> {
    let view = |score: Score| {
        let (band, label) = score.band.map(|band| (band.code, band.label)).unzip();
        FormScoreView { value: score.value.into(), band, label }
    };
    scores.into_iter().map(|(link_id, score)| (link_id, view(score))).collect()
}

#[cfg(test)]
mod tests;
