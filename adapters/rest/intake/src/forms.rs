use api::{Caller, Problem, Tag, Text, Visitor, any_or_one};
use chrono::{DateTime, Utc};
use intake::{FormDefinition, FormVersion, IntakeError, NewFormVersion, VersionStatus};
use kernel::{
    FieldError, Uuid,
    text::{FormDescription, FormTitle},
};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path},
    payload::Json,
    types::Example,
};

use super::{FormItemView, FormRuleView, IntakeServices};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "FormVersionStatus", rename_all = "snake_case")]
pub enum VersionStatusWord {
    /// Not yet published.
    Draft,
    /// The one that patients answer now.
    Published,
    /// A later version took its place.
    Retired,
}

/// A version of the form of a category.
#[derive(Debug, Object)]
#[oai(rename = "Form")]
pub struct FormView {
    /// The id of the version; a response is bound to it.
    pub id: Uuid,
    pub form_id: Uuid,
    pub category_id: Uuid,
    pub slug: String,
    /// Counts the versions of the form.
    pub number: i32,
    pub status: VersionStatusWord,
    pub published_at: Option<DateTime<Utc>>,
    pub title: String,
    pub description: Option<String>,
    pub items: Vec<FormItemView>,
    /// What answers have to be to one another.
    pub rules: Vec<FormRuleView>,
}

impl From<FormVersion> for FormView {
    fn from(version: FormVersion) -> Self {
        let (status, published_at) = match version.status {
            VersionStatus::Draft => (VersionStatusWord::Draft, None),
            VersionStatus::Published { at } => (VersionStatusWord::Published, Some(at)),
            VersionStatus::Retired { published_at, .. } => {
                (VersionStatusWord::Retired, Some(published_at))
            }
        };
        Self {
            id: version.id.uuid(),
            form_id: version.form.id.uuid(),
            category_id: version.form.category.uuid(),
            slug: version.form.slug,
            number: version.number,
            status,
            published_at,
            title: version.definition.title,
            description: version.definition.description,
            items: version.definition.items.into_iter().map(FormItemView::of).collect(),
            rules: version.definition.rules.into_iter().map(Into::into).collect(),
        }
    }
}

/// A new version of the form of a category.
#[derive(Debug, Object)]
#[oai(rename = "NewForm", example)]
pub struct NewFormRequest {
    pub category_id: Uuid,
    /// Names the form where the category has none yet, as in `acne-intake`.
    #[oai(validator(min_length = 2, max_length = 60))]
    pub slug: String,
    pub title: Text<FormTitle>,
    pub description: Option<Text<FormDescription>>,
    #[oai(validator(min_items = 1, max_items = 500))]
    pub items: Vec<FormItemView>,
    /// What answers have to be to one another.
    #[oai(default, validator(max_items = 100))]
    pub rules: Vec<FormRuleView>,
}

impl Example for NewFormRequest {
    fn example() -> Self {
        let item = intake::Item {
            required: true,
            ..intake::Item::new(
                "medications",
                "Do you take any medication?",
                intake::ItemKind::Boolean { consent: None },
            )
        };
        Self {
            category_id: Uuid::from_u128(0x5a1c_0001_0000_4000_8000_0000_0000_0004),
            slug: "acne-intake".into(),
            title: "Acne intake".into(),
            description: None,
            items: vec![FormItemView::of(item)],
            rules: Vec::new(),
        }
    }
}

impl NewFormRequest {
    pub(super) fn read(self) -> Result<NewFormVersion, IntakeError> {
        let mut errors = Vec::new();
        let definition = definition(
            (self.title.into(), self.description.map(Into::into)),
            self.items,
            self.rules,
            &mut errors,
        );
        if !errors.is_empty() {
            return Err(IntakeError::InvalidDefinition(errors));
        }
        Ok(NewFormVersion { category: self.category_id.into(), slug: self.slug, definition })
    }
}

/// The definition that a request describes; what cannot be read goes to
/// `errors`.
pub(super) fn definition(
    (title, description): (String, Option<String>),
    items: Vec<FormItemView>,
    rules: Vec<FormRuleView>,
    errors: &mut Vec<FieldError>,
) -> FormDefinition {
    let items = items.into_iter().filter_map(|item| item.read(errors)).collect();
    let rules = rules.into_iter().filter_map(|rule| rule.read(errors)).collect();
    FormDefinition { title, description, items, rules }
}

/// Reading forms, and publishing them.
pub struct FormsApi(pub IntakeServices);

#[OpenApi(tag = "Tag::Intake")]
impl FormsApi {
    /// Read the form of a category
    ///
    /// Public. The version that patients answer now.
    #[oai(
        path = "/api/forms/categories/:category_id",
        method = "get",
        operation_id = "getCategoryForm"
    )]
    async fn of_category(
        &self,
        visitor: Visitor,
        category_id: Path<Uuid>,
    ) -> Result<Json<FormView>, Problem> {
        let (store, around) = (self.0.store.as_ref(), self.0.surroundings.as_ref());
        let form =
            intake::current_form(store, around, visitor.actor(), category_id.0.into()).await?;
        Ok(Json(form.into()))
    }

    /// Publish a version of a form
    ///
    /// Takes `form.administer`. The answer to a definition that cannot work is
    /// 422 with every reason: link ids that are not unique, conditions that
    /// name no item or circle, operators that do not fit the kind of question,
    /// eligibility rules in force that read what it no longer asks.
    #[oai(
        path = "/api/admin/forms/:id/publish",
        method = "post",
        operation_id = "publishFormVersion"
    )]
    async fn publish(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        /// The `ETag` of the draft as it was read; with it, a draft that has
        /// changed since is not published.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Result<Json<FormView>, Problem> {
        let seen = any_or_one(if_match.0.as_deref())?;
        let (store, around) = (self.0.store.as_ref(), self.0.surroundings.as_ref());
        let version =
            intake::publish_version(&self.0.env, store, around, caller.actor(), id.0.into(), seen)
                .await?;
        Ok(Json(version.into()))
    }
}
