//! Writing forms as an administrator: versions, drafts and what they change.

use api::{
    Body, Caller, Created, PageQuery, Problem, ProblemField, Tag, Text, Versioned, one_version,
    seen_version,
};
use chrono::{DateTime, Utc};
use intake::{FormChange, FormVersion, IntakeError, ItemChange};
use kernel::{
    Page, Uuid,
    text::{FormDescription, FormTitle},
};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
    types::Example,
};

use super::{
    FormItemView, FormRuleView, FormView, IntakeServices, NewFormRequest, VersionStatusWord,
    forms::definition,
};

/// A version of a form as an administrator sees it.
#[derive(Debug, Object)]
#[oai(rename = "FormVersion")]
pub struct FormVersionView {
    pub form: FormView,
    /// The version whose place it takes.
    pub based_on: Option<Uuid>,
    /// Counts the changes of the draft; it is the `ETag` too.
    pub revision: i64,
    pub created_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
}

impl From<FormVersion> for FormVersionView {
    fn from(version: FormVersion) -> Self {
        Self {
            based_on: version.based_on.map(|id| id.uuid()),
            revision: version.version,
            created_at: version.created_at,
            changed_at: version.changed_at,
            form: version.into(),
        }
    }
}

/// A version of a form in a list, without its items.
#[derive(Debug, Object)]
#[oai(rename = "FormVersionSummary")]
pub struct FormVersionSummaryView {
    pub id: Uuid,
    pub form_id: Uuid,
    pub category_id: Uuid,
    pub slug: String,
    pub number: i32,
    pub status: VersionStatusWord,
    pub title: String,
    pub based_on: Option<Uuid>,
    pub revision: i64,
    pub created_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    pub published_at: Option<DateTime<Utc>>,
}

impl From<FormVersion> for FormVersionSummaryView {
    fn from(version: FormVersion) -> Self {
        let whole = FormVersionView::from(version);
        Self {
            id: whole.form.id,
            form_id: whole.form.form_id,
            category_id: whole.form.category_id,
            slug: whole.form.slug,
            number: whole.form.number,
            status: whole.form.status,
            title: whole.form.title,
            based_on: whole.based_on,
            revision: whole.revision,
            created_at: whole.created_at,
            changed_at: whole.changed_at,
            published_at: whole.form.published_at,
        }
    }
}

/// Versions of forms, the latest first.
#[derive(Debug, Object)]
#[oai(rename = "FormVersions")]
pub struct FormVersionsView {
    pub versions: Vec<FormVersionSummaryView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// A draft as it is to be from now on.
#[derive(Debug, Object)]
#[oai(rename = "FormDraftChange", example)]
pub struct FormDraftChange {
    pub title: Text<FormTitle>,
    pub description: Option<Text<FormDescription>>,
    #[oai(validator(min_items = 1, max_items = 500))]
    pub items: Vec<FormItemView>,
    /// What answers have to be to one another.
    #[oai(default, validator(max_items = 100))]
    pub rules: Vec<FormRuleView>,
    /// The published version whose changes the draft has taken in; the one
    /// before without it.
    pub based_on: Option<Uuid>,
}

impl Example for FormDraftChange {
    fn example() -> Self {
        let new = super::NewFormRequest::example();
        Self {
            title: new.title,
            description: new.description,
            items: new.items,
            rules: new.rules,
            based_on: None,
        }
    }
}

impl FormDraftChange {
    fn read(self, seen: i64) -> Result<FormChange, IntakeError> {
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
        Ok(FormChange { seen, definition, based_on: self.based_on.map(Into::into) })
    }
}

/// Whether a version could be published now.
#[derive(Debug, Object)]
#[oai(rename = "FormFindings")]
pub struct FormFindingsView {
    pub valid: bool,
    /// Everything that stands against it.
    pub errors: Vec<ProblemField>,
}

/// What one item has otherwise.
#[derive(Debug, Object)]
#[oai(rename = "FormItemChange")]
pub struct FormItemChangeView {
    /// Empty for the form itself.
    pub link_id: String,
    /// One of `added`, `removed`, `changed` and `moved`.
    pub change: String,
    /// What of it is otherwise, as in `text` or `kind.options`.
    pub fields: Vec<String>,
}

impl From<ItemChange> for FormItemChangeView {
    fn from(change: ItemChange) -> Self {
        Self { link_id: change.link_id, change: change.kind.to_string(), fields: change.fields }
    }
}

/// What a version has otherwise than another.
#[derive(Debug, Object)]
#[oai(rename = "FormComparison")]
pub struct FormComparisonView {
    pub changes: Vec<FormItemChangeView>,
}

/// A form version that was made.
#[derive(ApiResponse)]
pub enum FormMade {
    /// The version, as a draft.
    #[oai(status = 201)]
    Made(Json<FormView>),
}

/// Administering forms.
pub struct FormsAdminApi(pub IntakeServices);

#[OpenApi(tag = "Tag::Intake")]
impl FormsAdminApi {
    /// List versions of forms
    ///
    /// Takes `form.administer`. Drafts, published and retired versions, the
    /// latest first.
    #[oai(path = "/api/admin/forms", method = "get", operation_id = "listFormVersions")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those of this category.
        category_id: Query<Option<Uuid>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<Json<FormVersionsView>, Problem> {
        let (category, page) = (category_id.0.map(Into::into), PageQuery::read(limit, cursor)?);
        let store = self.0.store.as_ref();
        let Page { items, next } =
            intake::form_versions(store, caller.actor(), category, &page).await?;
        let versions = items.into_iter().map(Into::into).collect();
        Ok(Json(FormVersionsView { versions, next }))
    }

    /// Write a version of a form
    ///
    /// Takes `form.administer`. The version is a draft until it is published;
    /// after that it never changes.
    #[oai(path = "/api/admin/forms", method = "post", operation_id = "createFormVersion")]
    async fn create(
        &self,
        caller: Caller,
        body: Body<NewFormRequest>,
    ) -> Result<FormMade, Problem> {
        let new = body.0.read()?;
        let (store, around) = (self.0.store.as_ref(), self.0.surroundings.as_ref());
        let version =
            intake::create_version(&self.0.env, store, around, caller.actor(), new).await?;
        Ok(FormMade::Made(Json(version.into())))
    }

    /// Read a version of a form
    ///
    /// Takes `form.administer`.
    #[oai(path = "/api/admin/forms/:id", method = "get", operation_id = "getFormVersion")]
    async fn one(
        &self,
        caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Versioned<FormVersionView>, Problem> {
        let store = self.0.store.as_ref();
        let version = intake::administered_version(store, caller.actor(), id.0.into()).await?;
        Ok(Versioned::at(version.version, version))
    }

    /// Draft a form from a version
    ///
    /// Takes `form.administer`. The draft says what the version says, and is
    /// the way to change a form that is published.
    #[oai(path = "/api/admin/forms/:id/draft", method = "post", operation_id = "draftFormVersion")]
    async fn draft(
        &self,
        caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Created<FormVersionView>, Problem> {
        let store = self.0.store.as_ref();
        let version = intake::draft_from(&self.0.env, store, caller.actor(), id.0.into()).await?;
        let place = format!("/api/admin/forms/{}", version.id);
        Ok(Created::at(place, version.version, version))
    }

    /// Change a draft of a form
    ///
    /// Takes `form.administer`. `If-Match` names the revision that was read;
    /// when the draft has changed since, the answer is 412. A version that was
    /// published never changes.
    #[oai(path = "/api/admin/forms/:id", method = "put", operation_id = "changeFormVersion")]
    async fn change(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: Header<String>,
        body: Body<FormDraftChange>,
    ) -> Result<Versioned<FormVersionView>, Problem> {
        let store = self.0.store.as_ref();
        let current = async {
            let version = intake::administered_version(store, caller.actor(), id.0.into()).await?;
            Ok::<_, IntakeError>(version.version)
        };
        let seen = one_version(seen_version(&if_match.0)?, current).await?;
        let change = body.0.read(seen)?;
        let version =
            intake::revise_version(&self.0.env, store, caller.actor(), id.0.into(), change).await?;
        Ok(Versioned::at(version.version, version))
    }

    /// Check a version of a form
    ///
    /// Takes `form.administer`. Tells everything for which it could not be
    /// published, eligibility rules that it would leave without their inputs
    /// included, and changes nothing.
    #[oai(
        path = "/api/admin/forms/:id/validate",
        method = "post",
        operation_id = "validateFormVersion"
    )]
    async fn validate(
        &self,
        caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<FormFindingsView>, Problem> {
        let (store, around) = (self.0.store.as_ref(), self.0.surroundings.as_ref());
        let errors = intake::validate_version(store, around, caller.actor(), id.0.into()).await?;
        let errors: Vec<ProblemField> = errors.into_iter().map(Into::into).collect();
        Ok(Json(FormFindingsView { valid: errors.is_empty(), errors }))
    }

    /// Compare versions of a form
    ///
    /// Takes `form.administer`. What the version has otherwise than another
    /// one: without `against`, than the version whose place it takes.
    #[oai(path = "/api/admin/forms/:id/diff", method = "get", operation_id = "compareFormVersions")]
    async fn compare(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        against: Query<Option<Uuid>>,
    ) -> Result<Json<FormComparisonView>, Problem> {
        let (store, against) = (self.0.store.as_ref(), against.0.map(Into::into));
        let changes = intake::compare_versions(store, caller.actor(), id.0.into(), against).await?;
        Ok(Json(FormComparisonView { changes: changes.into_iter().map(Into::into).collect() }))
    }
}
