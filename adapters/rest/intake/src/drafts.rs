use std::collections::BTreeMap;

use api::{Answer, Body, Caller, Mirror, Tag};
use chrono::{DateTime, Utc};
use intake::{OpenDraft, SaveDraft};
use kernel::{CategoryId, DraftId, FormVersionId};
use poem_openapi::{
    Object, OpenApi,
    param::Path,
    payload::Json,
    types::{Any, Example},
};
use serde_json::json;

use super::{AnswersView, FormScoreView, IntakeServices, any_answers, raw_answers, scores_view};

/// Answers to keep for later.
#[derive(Debug, Object)]
#[oai(rename = "FormDraftRequest", example)]
pub struct DraftRequest {
    /// The version of the draft as it was last read; absent for the first save.
    pub version: Option<i64>,
    /// All the answers so far, by link id; they replace those before.
    pub answers: AnswersView,
}

impl Example for DraftRequest {
    fn example() -> Self {
        let answers = [("pattern", json!("crown")), ("medications", json!(true))];
        Self {
            version: Some(1),
            answers: answers.map(|(link_id, value)| (link_id.to_owned(), Any(value))).into(),
        }
    }
}

/// A draft with what its answers amount to so far.
#[derive(Debug, Object, Mirror)]
#[oai(rename = "FormDraft")]
#[mirror(from = OpenDraft)]
pub struct FormDraftView {
    #[mirror(draft.id)]
    pub id: DraftId,
    #[mirror(draft.category)]
    pub category_id: CategoryId,
    /// The version of the form that it answers.
    #[mirror(draft.form_version)]
    pub form_version_id: FormVersionId,
    /// Counts the saves.
    #[mirror(draft.version)]
    pub version: i64,
    /// By link id. Answers of items that are disabled just now are kept in the
    /// draft, and dropped when it is submitted.
    #[mirror(draft.answers, any_answers)]
    pub answers: AnswersView,
    /// The link ids of the enabled items: those to show, unless they are
    /// hidden.
    #[mirror(evaluation.enabled)]
    pub enabled: Vec<String>,
    /// The results of calculated items, by link id.
    #[mirror(evaluation.scores, scores_view)]
    pub scores: BTreeMap<String, FormScoreView>,
    #[mirror(draft.updated_at)]
    pub updated_at: DateTime<Utc>,
}

/// The drafts of the one who calls.
pub struct DraftsApi(pub IntakeServices);

#[OpenApi(tag = "Tag::Intake")]
impl DraftsApi {
    /// Read one's own draft
    ///
    /// Takes `intake.submit`. There is one draft at most in each category.
    #[oai(path = "/api/forms/drafts/:category_id", method = "get", operation_id = "getFormDraft")]
    async fn read(&self, caller: Caller, category_id: Path<CategoryId>) -> Answer<FormDraftView> {
        let (env, store, around) = (&self.0.env, &*self.0.store, &*self.0.surroundings);
        let open = intake::open_draft(env, store, around, caller.actor(), category_id.0).await?;
        Ok(Json(open.into()))
    }

    /// Save one's own draft
    ///
    /// Takes `intake.submit`. Answers may be missing; fields that the form
    /// does not ask and values of a wrong type are refused. Of two saves from
    /// one version the second is told with 409, which names the version that
    /// stands now and the answers that differ.
    #[oai(path = "/api/forms/drafts/:category_id", method = "put", operation_id = "saveFormDraft")]
    async fn save(
        &self,
        caller: Caller,
        category_id: Path<CategoryId>,
        body: Body<DraftRequest>,
    ) -> Answer<FormDraftView> {
        let DraftRequest { version: seen, answers } = body.0;
        let save = SaveDraft { category: category_id.0, seen, answers: raw_answers(answers) };
        let (env, store, around) = (&self.0.env, &*self.0.store, &*self.0.surroundings);
        Ok(Json(intake::save_draft(env, store, around, caller.actor(), save).await?.into()))
    }
}
