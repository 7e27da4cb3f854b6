//! Writing forms as an administrator: versions, drafts and what they change.

use api::{
    Answer, Body, Caller, Created, IfMatch, Made, Mirror, PageQuery, ProblemField, Result, Tag,
    Versioned, one_version,
};
use chrono::{DateTime, Utc};
use intake::{FormChange, FormVersion, IntakeError, ItemChange};
use kernel::{CategoryId, FormId, FormVersionId, Page};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{
    IntakeServices,
    forms::{FormBody, FormView, NewFormRequest, VersionStatusWord},
};

/// A version of a form as an administrator sees it.
#[derive(Debug, Object, Mirror)]
#[oai(rename = "FormVersion")]
#[mirror(from = FormVersion)]
pub struct FormVersionView {
    #[mirror(|version| version.clone().into())]
    pub form: FormView,
    /// The version whose place it takes.
    pub based_on: Option<FormVersionId>,
    /// Counts the changes of the draft; it is the `ETag` too.
    #[mirror(version)]
    pub revision: i64,
    pub created_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
}

/// A version of a form in a list, without its items.
#[derive(Debug, Object, Mirror)]
#[oai(rename = "FormVersionSummary")]
#[mirror(from = FormVersion)]
pub struct FormVersionSummaryView {
    pub id: FormVersionId,
    #[mirror(form.id)]
    pub form_id: FormId,
    #[mirror(form.category)]
    pub category_id: CategoryId,
    #[mirror(form.slug)]
    pub slug: String,
    pub number: i32,
    #[mirror(|version| (&version.status).into())]
    pub status: VersionStatusWord,
    #[mirror(definition.title)]
    pub title: String,
    pub based_on: Option<FormVersionId>,
    #[mirror(version)]
    pub revision: i64,
    pub created_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    #[mirror(|version| version.status.published_at())]
    pub published_at: Option<DateTime<Utc>>,
}

/// Versions of forms, the latest first.
#[derive(Debug, Object, Mirror)]
#[oai(rename = "FormVersions")]
#[mirror(from = Page<FormVersion>)]
pub struct FormVersionsView {
    #[mirror(items)]
    pub versions: Vec<FormVersionSummaryView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// A draft as it is to be from now on.
#[derive(Debug, Object)]
#[oai(rename = "FormDraftChange", example)]
pub struct FormDraftChange {
    #[oai(flatten)]
    form: FormBody,
    /// The published version whose changes the draft has taken in; the one
    /// before without it.
    based_on: Option<FormVersionId>,
}

api::example!(FormDraftChange { form: FormBody::example(), based_on: None });

/// Whether a version could be published now.
#[derive(Debug, Object)]
#[oai(rename = "FormFindings")]
pub struct FormFindingsView {
    pub valid: bool,
    /// Everything that stands against it.
    pub errors: Vec<ProblemField>,
}

/// What one item has otherwise.
#[derive(Debug, Object, Mirror)]
#[oai(rename = "FormItemChange")]
#[mirror(from = ItemChange)]
pub struct FormItemChangeView {
    /// Empty for the form itself.
    pub link_id: String,
    /// One of `added`, `removed`, `changed` and `moved`.
    #[mirror(kind)]
    pub change: String,
    /// What of it is otherwise, as in `text` or `kind.options`.
    pub fields: Vec<String>,
}

/// What a version has otherwise than another.
#[derive(Debug, Object)]
#[oai(rename = "FormComparison")]
pub struct FormComparisonView {
    pub changes: Vec<FormItemChangeView>,
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
        category_id: Query<Option<CategoryId>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<FormVersionsView> {
        let (category, page) = (category_id.0, PageQuery::read(limit, cursor)?);
        let store = &*self.0.store;
        Ok(Json(intake::form_versions(store, caller.actor(), category, &page).await?.into()))
    }

    /// Write a version of a form
    ///
    /// Takes `form.administer`. The version is a draft until it is published;
    /// after that it never changes.
    #[oai(path = "/api/admin/forms", method = "post", operation_id = "createFormVersion")]
    async fn create(&self, caller: Caller, body: Body<NewFormRequest>) -> Result<Made<FormView>> {
        let (store, around, new) = (&*self.0.store, &*self.0.surroundings, body.0.read()?);
        Ok(Made::of(intake::create_version(&self.0.env, store, around, caller.actor(), new).await?))
    }

    /// Read a version of a form
    ///
    /// Takes `form.administer`.
    #[oai(path = "/api/admin/forms/:id", method = "get", operation_id = "getFormVersion")]
    async fn one(
        &self,
        caller: Caller,
        id: Path<FormVersionId>,
    ) -> Result<Versioned<FormVersionView>> {
        Ok(Versioned::of(intake::administered_version(&*self.0.store, caller.actor(), id.0).await?))
    }

    /// Draft a form from a version
    ///
    /// Takes `form.administer`. The draft says what the version says, and is
    /// the way to change a form that is published.
    #[oai(path = "/api/admin/forms/:id/draft", method = "post", operation_id = "draftFormVersion")]
    async fn draft(
        &self,
        caller: Caller,
        id: Path<FormVersionId>,
    ) -> Result<Created<FormVersionView>> {
        let (env, store) = (&self.0.env, &*self.0.store);
        let version = intake::draft_from(env, store, caller.actor(), id.0).await?;
        Ok(Created::under("/api/admin/forms", version))
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
        id: Path<FormVersionId>,
        #[oai(name = "If-Match")] seen: IfMatch,
        body: Body<FormDraftChange>,
    ) -> Result<Versioned<FormVersionView>> {
        let (store, actor) = (&*self.0.store, caller.actor());
        let current = async {
            let version = intake::administered_version(store, actor, id.0).await?;
            Ok::<_, IntakeError>(version.version)
        };
        let FormDraftChange { form, based_on } = body.0;
        let seen = one_version(seen.0, current).await?;
        let change = FormChange { seen, definition: form.read()?, based_on };
        Ok(Versioned::of(intake::revise_version(&self.0.env, store, actor, id.0, change).await?))
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
    async fn validate(&self, caller: Caller, id: Path<FormVersionId>) -> Answer<FormFindingsView> {
        let (store, around) = (&*self.0.store, &*self.0.surroundings);
        let errors = intake::validate_version(store, around, caller.actor(), id.0).await?;
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
        id: Path<FormVersionId>,
        against: Query<Option<FormVersionId>>,
    ) -> Answer<FormComparisonView> {
        let (store, against) = (&*self.0.store, against.0);
        let changes = intake::compare_versions(store, caller.actor(), id.0, against).await?;
        Ok(Json(FormComparisonView { changes: changes.into_iter().map(Into::into).collect() }))
    }
}
