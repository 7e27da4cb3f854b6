use std::collections::BTreeMap;

use api::{Body, Caller, Problem, Tag};
use chrono::{DateTime, Utc};
use intake::{OpenDraft, SaveDraft};
use kernel::Uuid;
use poem_openapi::{
    Object, OpenApi,
    param::Path,
    payload::Json,
    types::{Any, Example},
};
use serde_json::json;

use super::{AnswersView, FormScoreView, IntakeServices, raw_answers, scores_view};

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
#[derive(Debug, Object)]
#[oai(rename = "FormDraft")]
pub struct FormDraftView {
    pub id: Uuid,
    pub category_id: Uuid,
    /// The version of the form that it answers.
    pub form_version_id: Uuid,
    /// Counts the saves.
    pub version: i64,
    /// By link id. Answers of items that are disabled just now are kept in the
    /// draft, and dropped when it is submitted.
    pub answers: AnswersView,
    /// The link ids of the enabled items: those to show, unless they are
    /// hidden.
    pub enabled: Vec<String>,
    /// The results of calculated items, by link id.
    pub scores: BTreeMap<String, FormScoreView>,
    pub updated_at: DateTime<Utc>,
}

impl From<OpenDraft> for FormDraftView {
    fn from(open: OpenDraft) -> Self {
        let OpenDraft { draft, evaluation, .. } = open;
        Self {
            id: draft.id.uuid(),
            category_id: draft.category.uuid(),
            form_version_id: draft.form_version.uuid(),
            version: draft.version,
            answers: draft.answers.into_iter().map(|(id, value)| (id, Any(value))).collect(),
            enabled: evaluation.enabled.into_iter().collect(),
            scores: scores_view(evaluation.scores),
            updated_at: draft.updated_at,
        }
    }
}

/// The drafts of the one who calls.
pub struct DraftsApi(pub IntakeServices);

#[OpenApi(tag = "Tag::Intake")]
impl DraftsApi {
    /// Read one's own draft
    ///
    /// Takes `intake.submit`. There is one draft at most in each category.
    #[oai(path = "/api/forms/drafts/:category_id", method = "get", operation_id = "getFormDraft")]
    async fn read(
        &self,
        caller: Caller,
        category_id: Path<Uuid>,
    ) -> Result<Json<FormDraftView>, Problem> {
        let (store, around) = (self.0.store.as_ref(), self.0.surroundings.as_ref());
        let open =
            intake::open_draft(&self.0.env, store, around, caller.actor(), category_id.0.into())
                .await?;
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
        category_id: Path<Uuid>,
        body: Body<DraftRequest>,
    ) -> Result<Json<FormDraftView>, Problem> {
        let save = SaveDraft {
            category: category_id.0.into(),
            seen: body.0.version,
            answers: raw_answers(body.0.answers),
        };
        let (store, around) = (self.0.store.as_ref(), self.0.surroundings.as_ref());
        let open = intake::save_draft(&self.0.env, store, around, caller.actor(), save).await?;
        Ok(Json(open.into()))
    }
}
