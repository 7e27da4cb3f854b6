use std::collections::BTreeMap;

use api::{Answer, Body, Caller, Made, Mirror, PageQuery, Result, Tag, idempotency_key};
use chrono::{DateTime, Utc};
use intake::{FormResponse, ResponseQuery, Submission};
use kernel::{CategoryId, FormResponseId, FormVersionId, Page, PatientId, Uuid};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
    types::{Any, Example},
};
use serde_json::json;

use super::{
    AnswersView, FormScoreView, IntakeServices, answers_view, definition::FormConsentView,
    photos::PhotoView, raw_answers, scores_view,
};

/// Answers to submit.
#[derive(Debug, Object, Mirror)]
#[oai(rename = "FormSubmission", example)]
#[mirror(into = Submission)]
pub struct SubmitRequest {
    pub category_id: CategoryId,
    /// The `id` of the form as it was shown.
    pub form_version_id: FormVersionId,
    /// By link id. A text and a date are strings, a single choice is the code
    /// of the option and a multiple choice a list of codes; a number is a
    /// number, or an object with `value` and one of the question's units as
    /// `unit`, which has to be named where there are several; photos are a list of the ids of uploaded ones.
    #[mirror(answers, raw_answers)]
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
            category_id: Uuid::from_u128(0x5a1c_0001_0000_4000_8000_0000_0000_0003).into(),
            form_version_id: Uuid::from_u128(0x5a1c_0004_0000_4000_8000_0000_0000_0003).into(),
            answers: answers.map(|(link_id, value)| (link_id.to_owned(), Any(value))).into(),
        }
    }
}

/// A submitted response; it never changes.
#[derive(Debug, Object, Mirror)]
#[oai(rename = "FormResponse")]
#[mirror(from = FormResponse)]
pub struct FormResponseView {
    pub id: FormResponseId,
    #[mirror(patient)]
    pub user_id: PatientId,
    pub category_id: CategoryId,
    pub form_slug: String,
    /// The version that was answered.
    pub form_version_id: FormVersionId,
    #[mirror(version_number)]
    pub form_version_number: i32,
    /// By link id; the answers of items that were enabled, and no others.
    #[mirror(answers, answers_view)]
    pub answers: AnswersView,
    /// The results of calculated items, by link id.
    #[mirror(scores, scores_view)]
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
#[derive(Debug, Object, Mirror)]
#[oai(rename = "FormResponses")]
#[mirror(from = Page<FormResponse>)]
pub struct FormResponsesView {
    #[mirror(items)]
    pub responses: Vec<FormResponseView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
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
    ) -> Result<Made<FormResponseView>> {
        let key = idempotency_key("intake.submit", &idempotency.0, &body.0)?;
        let (env, store, around) = (&self.0.env, &*self.0.store, &*self.0.surroundings);
        let submission = body.0.into();
        Ok(Made::of(intake::submit(env, store, around, caller.actor(), &key, submission).await?))
    }

    /// List a patient's responses
    ///
    /// One's own; a provider's panel's; with `patient.read_any` anybody's.
    #[oai(path = "/api/forms/history/:user_id", method = "get", operation_id = "listFormResponses")]
    async fn history(
        &self,
        caller: Caller,
        user_id: Path<PatientId>,
        /// Only responses in this category.
        category_id: Query<Option<CategoryId>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<FormResponsesView> {
        let (patient, category) = (user_id.0, category_id.0);
        let query = ResponseQuery { patient, category, page: PageQuery::read(limit, cursor)? };
        let (store, panel) = (&*self.0.store, &*self.0.panel);
        Ok(Json(intake::response_history(store, panel, caller.actor(), query).await?.into()))
    }

    /// Read a response
    ///
    /// One's own; a provider's panel's; with `patient.read_any` anybody's.
    #[oai(path = "/api/forms/responses/:id", method = "get", operation_id = "getFormResponse")]
    async fn one(&self, caller: Caller, id: Path<FormResponseId>) -> Answer<FormResponseView> {
        let (store, panel) = (&*self.0.store, &*self.0.panel);
        Ok(Json(intake::response(store, panel, caller.actor(), id.0).await?.into()))
    }
}
