use std::collections::BTreeMap;

use api::{Body, Caller, PageQuery, Problem, Tag, idempotency_key};
use chrono::{DateTime, Utc};
use intake::{FormResponse, ResponseQuery, Submission};
use kernel::{Page, Uuid};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
    types::{Any, Example},
};
use serde_json::json;

use super::{
    AnswersView, FormConsentView, FormScoreView, IntakeServices, PhotoView, answers_view,
    raw_answers, scores_view,
};

/// Answers to submit.
#[derive(Debug, Object)]
#[oai(rename = "FormSubmission", example)]
pub struct SubmitRequest {
    pub category_id: Uuid,
    /// The `id` of the form as it was shown.
    pub form_version_id: Uuid,
    /// By link id. A text and a date are strings, a single choice is the code
    /// of the option and a multiple choice a list of codes; a number is a
    /// number, or an object with `value` and one of the question's units as
    /// `unit`, which has to be named where there are several; photos are a list of the ids of uploaded ones.
    pub answers: AnswersView,
}

impl Example for SubmitRequest {
    fn example() -> Self {
        let answers = [
            ("height", json!({"value": 70, "unit": "[in_i]"})),
            ("weight", json!({"value": 220, "unit": "[lb_av]"})),
            ("prior_attempts", json!(["diet", "exercise"])),
            ("thyroid_cancer", json!(false)),
        ];
        Self {
            category_id: Uuid::from_u128(0x5a1c_0001_0000_4000_8000_0000_0000_0003),
            form_version_id: Uuid::from_u128(0x5a1c_0004_0000_4000_8000_0000_0000_0003),
            answers: answers.map(|(link_id, value)| (link_id.to_owned(), Any(value))).into(),
        }
    }
}

/// A submitted response; it never changes.
#[derive(Debug, Object)]
#[oai(rename = "FormResponse")]
pub struct FormResponseView {
    pub id: Uuid,
    pub user_id: Uuid,
    pub category_id: Uuid,
    pub form_slug: String,
    /// The version that was answered.
    pub form_version_id: Uuid,
    pub form_version_number: i32,
    /// By link id; the answers of items that were enabled, and no others.
    pub answers: AnswersView,
    /// The results of calculated items, by link id.
    pub scores: BTreeMap<String, FormScoreView>,
    /// The items in which an answer was chosen that a clinician has to see.
    pub flags: Vec<String>,
    /// What was agreed to.
    pub consents: Vec<FormConsentView>,
    /// The photos that the answers name.
    pub photos: Vec<PhotoView>,
    pub submitted_at: DateTime<Utc>,
}

/// Responses, the latest first.
#[derive(Debug, Object)]
#[oai(rename = "FormResponses")]
pub struct FormResponsesView {
    pub responses: Vec<FormResponseView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

impl From<FormResponse> for FormResponseView {
    fn from(response: FormResponse) -> Self {
        Self {
            id: response.id.uuid(),
            user_id: response.patient.uuid(),
            category_id: response.category.uuid(),
            form_slug: response.form_slug,
            form_version_id: response.form_version.uuid(),
            form_version_number: response.version_number,
            answers: answers_view(response.answers),
            scores: scores_view(response.scores),
            flags: response.flags.into_iter().collect(),
            consents: response
                .consents
                .into_iter()
                .map(|consent| FormConsentView {
                    document: consent.document.into(),
                    version: consent.version.into(),
                })
                .collect(),
            photos: response.photos.into_iter().map(Into::into).collect(),
            submitted_at: response.submitted_at,
        }
    }
}

/// A response that was taken.
#[derive(ApiResponse)]
pub enum Submitted {
    /// The response; the same one when the request is repeated with its key.
    #[oai(status = 201)]
    Taken(Json<FormResponseView>),
}

/// Submitting, and reading what was submitted.
pub struct ResponsesApi(pub IntakeServices);

#[OpenApi(tag = "Tag::Intake")]
impl ResponsesApi {
    /// Submit a form
    ///
    /// Takes `intake.submit`. The server decides anew which items are enabled
    /// and drops the answers of all others. What is wrong is named by paths
    /// `answers.<link id>`. A photo that an answer names is part of the
    /// response from then on; `unknown_photo` says that there is no such photo
    /// of the caller's that was uploaded for this category and waits. Repeating the request with the same
    /// `Idempotency-Key` gives the same response.
    #[oai(path = "/api/forms/submit", method = "post", operation_id = "submitForm")]
    async fn submit(
        &self,
        caller: Caller,
        #[oai(name = "Idempotency-Key")] idempotency: Header<String>,
        body: Body<SubmitRequest>,
    ) -> Result<Submitted, Problem> {
        let key = idempotency_key("intake.submit", &idempotency.0, &body.0)?;
        let submission = Submission {
            category: body.0.category_id.into(),
            form_version: body.0.form_version_id.into(),
            answers: raw_answers(body.0.answers),
        };
        let (store, around) = (self.0.store.as_ref(), self.0.surroundings.as_ref());
        let response =
            intake::submit(&self.0.env, store, around, caller.actor(), &key, submission).await?;
        Ok(Submitted::Taken(Json(response.into())))
    }

    /// List a patient's responses
    ///
    /// One's own; a provider's panel's; with `patient.read_any` anybody's.
    #[oai(path = "/api/forms/history/:user_id", method = "get", operation_id = "listFormResponses")]
    async fn history(
        &self,
        caller: Caller,
        user_id: Path<Uuid>,
        /// Only responses in this category.
        category_id: Query<Option<Uuid>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<Json<FormResponsesView>, Problem> {
        let query = ResponseQuery {
            patient: user_id.0.into(),
            category: category_id.0.map(Into::into),
            page: PageQuery::read(limit, cursor)?,
        };
        let (store, panel) = (self.0.store.as_ref(), self.0.panel.as_ref());
        let Page { items, next } =
            intake::response_history(store, panel, caller.actor(), query).await?;
        let responses = items.into_iter().map(Into::into).collect();
        Ok(Json(FormResponsesView { responses, next }))
    }

    /// Read a response
    ///
    /// One's own; a provider's panel's; with `patient.read_any` anybody's.
    #[oai(path = "/api/forms/responses/:id", method = "get", operation_id = "getFormResponse")]
    async fn one(&self, caller: Caller, id: Path<Uuid>) -> Result<Json<FormResponseView>, Problem> {
        let (store, panel) = (self.0.store.as_ref(), self.0.panel.as_ref());
        let response = intake::response(store, panel, caller.actor(), id.0.into()).await?;
        Ok(Json(response.into()))
    }
}
