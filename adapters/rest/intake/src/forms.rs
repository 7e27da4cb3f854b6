use api::{Answer, Caller, Mirror, Result, Tag, Text, Visitor, any_or_one};
use chrono::{DateTime, Utc};
use intake::{FormDefinition, FormVersion, IntakeError, NewFormVersion, VersionStatus};
use kernel::{
    CategoryId, FormId, FormVersionId, Uuid,
    text::{FormDescription, FormTitle},
};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Header, Path},
    payload::Json,
};

use super::{
    IntakeServices,
    definition::{FormItemView, FormRuleView, ItemTypeWord},
};

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

impl From<&VersionStatus> for VersionStatusWord {
    fn from(status: &VersionStatus) -> Self {
        match status {
            VersionStatus::Draft => Self::Draft,
            VersionStatus::Published { .. } => Self::Published,
            VersionStatus::Retired { .. } => Self::Retired,
        }
    }
}

/// A version of the form of a category.
#[derive(Debug, Object, Mirror)]
#[oai(rename = "Form")]
#[mirror(from = FormVersion)]
pub struct FormView {
    /// The id of the version; a response is bound to it.
    pub id: FormVersionId,
    #[mirror(form.id)]
    pub form_id: FormId,
    #[mirror(form.category)]
    pub category_id: CategoryId,
    #[mirror(form.slug)]
    pub slug: String,
    /// Counts the versions of the form.
    pub number: i32,
    #[mirror(|version| (&version.status).into())]
    pub status: VersionStatusWord,
    #[mirror(|version| version.status.published_at())]
    pub published_at: Option<DateTime<Utc>>,
    #[mirror(definition.title)]
    pub title: String,
    #[mirror(definition.description)]
    pub description: Option<String>,
    #[mirror(definition.items)]
    pub items: Vec<FormItemView>,
    /// What answers have to be to one another.
    #[mirror(definition.rules)]
    pub rules: Vec<FormRuleView>,
}

/// What a form asks.
#[derive(Debug, Object)]
pub struct FormBody {
    title: Text<FormTitle>,
    description: Option<Text<FormDescription>>,
    #[oai(validator(min_items = 1, max_items = 500))]
    items: Vec<FormItemView>,
    /// What answers have to be to one another.
    #[oai(default, validator(max_items = 100))]
    rules: Vec<FormRuleView>,
}

api::example!(FormBody {
    title: "Acne intake".into(),
    description: None,
    items: vec![FormItemView {
        link_id: "medications".into(),
        kind: ItemTypeWord::Boolean,
        text: "Do you take any medication?".into(),
        required: true,
        ..FormItemView::default()
    }],
    rules: Vec::new(),
});

impl FormBody {
    pub fn read(self) -> Result<FormDefinition, IntakeError> {
        let mut errors = Vec::new();
        let items = self.items.into_iter().filter_map(|item| item.read(&mut errors)).collect();
        let rules = self.rules.into_iter().filter_map(|rule| rule.read(&mut errors)).collect();
        if !errors.is_empty() {
            return Err(IntakeError::InvalidDefinition(errors));
        }
        let (title, description) = (self.title.into(), self.description.map(Into::into));
        Ok(FormDefinition { title, description, items, rules })
    }
}

/// A new version of the form of a category.
#[derive(Debug, Object)]
#[oai(rename = "NewForm", example)]
pub struct NewFormRequest {
    category_id: CategoryId,
    /// Names the form where the category has none yet, as in `acne-intake`.
    #[oai(validator(min_length = 2, max_length = 60))]
    slug: String,
    #[oai(flatten)]
    form: FormBody,
}

api::example!(NewFormRequest {
    category_id: Uuid::from_u128(0x5a1c_0001_0000_4000_8000_0000_0000_0004).into(),
    slug: "acne-intake".into(),
    form: FormBody::example(),
});

impl NewFormRequest {
    pub fn read(self) -> Result<NewFormVersion, IntakeError> {
        let definition = self.form.read()?;
        Ok(NewFormVersion { category: self.category_id, slug: self.slug, definition })
    }
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
    async fn one(&self, visitor: Visitor, category_id: Path<CategoryId>) -> Answer<FormView> {
        let (store, around) = (&*self.0.store, &*self.0.surroundings);
        Ok(Json(intake::current_form(store, around, visitor.actor(), category_id.0).await?.into()))
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
        id: Path<FormVersionId>,
        /// The `ETag` of the draft as it was read; with it, a draft that has
        /// changed since is not published.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> Answer<FormView> {
        let seen = any_or_one(if_match.0.as_deref())?;
        let (env, store, around) = (&self.0.env, &*self.0.store, &*self.0.surroundings);
        let version =
            intake::publish_version(env, store, around, caller.actor(), id.0, seen).await?;
        Ok(Json(version.into()))
    }
}
