//! Forms and responses as FHIR resources.

use api::{Answer, Body, Caller, Created, ProblemField, Result, Tag, Visitor};
use intake::{IntakeError, NewFormVersion, fhir};
use kernel::{CategoryId, FieldError, FormResponseId, FormVersionId, Permission, Uuid};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::Any};
use serde_json::{Value, json};

use super::{IntakeServices, administration::FormVersionView};

/// A Questionnaire to make a draft of.
#[derive(Debug, Object)]
#[oai(rename = "QuestionnaireImport", example)]
pub struct ImportRequest {
    pub category_id: CategoryId,
    /// Names the form where the category has none yet, as in `acne-intake`.
    #[oai(validator(min_length = 2, max_length = 60))]
    pub slug: String,
    /// A FHIR R4 Questionnaire.
    pub questionnaire: Any<Value>,
}

api::example!(ImportRequest {
    category_id: Uuid::from_u128(0x5a1c_0001_0000_4000_8000_0000_0000_0004).into(),
    slug: "acne-intake".into(),
    questionnaire: Any(json!({
        "resourceType": "Questionnaire", "status": "draft", "title": "Acne intake",
        "item": [{ "linkId": "medications", "type": "boolean", "required": true,
                   "text": "Do you take any medication?" }],
    })),
});

/// A draft that was made of a Questionnaire.
#[derive(Debug, Object)]
#[oai(rename = "QuestionnaireImported")]
pub struct ImportedView {
    #[oai(flatten)]
    pub version: FormVersionView,
    /// What the form has otherwise than the Questionnaire, by its place:
    /// `left_out` for what it does not keep, as decoration, and `assumed` for an
    /// end that the Questionnaire does not set, as the length of a text.
    pub warnings: Vec<ProblemField>,
}

/// Forms and responses as FHIR resources.
pub struct FormsFhirApi(pub IntakeServices);

#[OpenApi(tag = "Tag::Intake")]
impl FormsFhirApi {
    /// Read a form as a FHIR Questionnaire
    ///
    /// Public, for versions that are or were published. What FHIR has no
    /// element for is in extensions, so that nothing is lost.
    #[oai(
        path = "/api/forms/versions/:id/questionnaire",
        method = "get",
        operation_id = "getFormQuestionnaire"
    )]
    async fn questionnaire(&self, visitor: Visitor, id: Path<FormVersionId>) -> Answer<Any<Value>> {
        let version = intake::form_version(&*self.0.store, visitor.actor(), id.0).await?;
        Ok(Json(Any(fhir::questionnaire(&version, self.0.photo_limit.0))))
    }

    /// Read a response as a FHIR QuestionnaireResponse
    ///
    /// One's own; a provider's panel's; with `patient.read_any` anybody's.
    #[oai(
        path = "/api/forms/responses/:id/questionnaire-response",
        method = "get",
        operation_id = "getQuestionnaireResponse"
    )]
    async fn response(&self, caller: Caller, id: Path<FormResponseId>) -> Answer<Any<Value>> {
        let (store, panel) = (&*self.0.store, &*self.0.panel);
        let response = intake::response(store, panel, caller.actor(), id.0).await?;
        let version = intake::form_version(store, caller.actor(), response.form_version).await?;
        Ok(Json(Any(fhir::questionnaire_response(&version, &response))))
    }

    /// Draft a form from a FHIR Questionnaire
    ///
    /// Takes `form.administer`. What changes who is asked what, or what an
    /// answer may be, is carried over, or 422 names its place; a modifier
    /// extension is refused always. What only describes or decorates is left
    /// out and named in `warnings`, and so is an end that the form sets where
    /// the Questionnaire has none. Patients see the draft only once it is published.
    #[oai(
        path = "/api/admin/forms/questionnaires",
        method = "post",
        operation_id = "importQuestionnaire"
    )]
    async fn import(
        &self,
        caller: Caller,
        body: Body<ImportRequest>,
    ) -> Result<Created<ImportedView>> {
        caller.actor().require(Permission::FormAdminister).map_err(IntakeError::from)?;
        let limit = self.0.photo_limit.0;
        let imported =
            fhir::to_definition(&body.0.questionnaire.0, limit).map_err(|unreadable| {
                let path = format!("questionnaire.{}", unreadable.path);
                let error = FieldError::new(path, "unreadable", unreadable.message);
                IntakeError::InvalidDefinition(vec![error])
            })?;
        let ImportRequest { category_id: category, slug, .. } = body.0;
        let new = NewFormVersion { category, slug, definition: imported.definition };
        let (env, store, around) = (&self.0.env, &*self.0.store, &*self.0.surroundings);
        let version = intake::create_version(env, store, around, caller.actor(), new).await?;
        let (place, revision) = (format!("/api/admin/forms/{}", version.id), version.version);
        let warning = |warning: FieldError| {
            let path = format!("questionnaire.{}", warning.path);
            FieldError { path, ..warning }.into()
        };
        let warnings = imported.warnings.into_iter().map(warning).collect();
        Ok(Created::at(place, revision, ImportedView { version: version.into(), warnings }))
    }
}
