use api::{Body, Caller, PageQuery, Problem, Tag, Text};
use kernel::text::GraveReason;
use std::sync::Arc;

use care::{
    CareStore, Sources,
    break_glass::{self, AccessReview, BreakGlass},
};
use chrono::{DateTime, Utc};
use kernel::Uuid;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use ports::Env;

pub struct BreakGlassApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub sources: Sources,
}

/// Why a chart has to be opened now.
#[derive(Debug, Object)]
#[oai(example)]
struct BreakGlassRequest {
    /// In words, 10 to 1,000 characters.
    reason: Text<GraveReason>,
}

impl poem_openapi::types::Example for BreakGlassRequest {
    fn example() -> Self {
        Self { reason: "Found unconscious at home, allergies unknown.".into() }
    }
}

/// What was found of an emergency access.
#[derive(Debug, Object)]
#[oai(example)]
struct JudgementRequest {
    justified: bool,
    /// In words, 10 to 1,000 characters.
    note: Text<GraveReason>,
}

impl poem_openapi::types::Example for JudgementRequest {
    fn example() -> Self {
        Self { justified: true, note: "The call of the ambulance is on file.".into() }
    }
}

/// How an emergency access was judged.
#[derive(Debug, Object)]
struct JudgementView {
    by: Uuid,
    at: DateTime<Utc>,
    justified: bool,
    note: String,
}

impl From<AccessReview> for JudgementView {
    fn from(review: AccessReview) -> Self {
        let AccessReview { by, at, justified, note } = review;
        Self { by: by.uuid(), at, justified, note }
    }
}

/// A chart that was opened in an emergency.
#[derive(Debug, Object)]
struct BreakGlassView {
    id: Uuid,
    provider_id: Uuid,
    patient_id: Uuid,
    reason: String,
    opened_at: DateTime<Utc>,
    /// When the chart closes again.
    expires_at: DateTime<Utc>,
    /// Absent while nobody has judged it.
    judgement: Option<JudgementView>,
}

impl From<BreakGlass> for BreakGlassView {
    fn from(glass: BreakGlass) -> Self {
        Self {
            id: glass.id.uuid(),
            provider_id: glass.provider.uuid(),
            patient_id: glass.patient.uuid(),
            reason: glass.reason,
            opened_at: glass.opened_at,
            expires_at: glass.expires_at,
            judgement: glass.review.map(JudgementView::from),
        }
    }
}

/// Charts that were opened in an emergency.
#[derive(Debug, Object)]
struct BreakGlassPage {
    /// The newest first.
    accesses: Vec<BreakGlassView>,
    /// The cursor of the next page; absent on the last.
    next: Option<String>,
}

#[derive(ApiResponse)]
enum Opened {
    /// The chart is open for reading until it expires.
    #[oai(status = 201)]
    Opened(Json<BreakGlassView>),
}

#[OpenApi(tag = "Tag::Care")]
impl BreakGlassApi {
    /// Open a chart in an emergency
    ///
    /// Opens the chart of a patient outside one's panel for reading, for an
    /// hour. Those who judge such access are told at once. While it is open the
    /// same access is answered again.
    #[oai(
        path = "/api/providers/patients/:user_id/break-glass",
        method = "post",
        operation_id = "breakGlass"
    )]
    async fn open(
        &self,
        caller: Caller,
        user_id: Path<Uuid>,
        body: Body<BreakGlassRequest>,
    ) -> Result<Opened, Problem> {
        let (patient, reason) = (user_id.0.into(), &body.0.reason);
        let (env, store, actor) = (&self.env, self.store.as_ref(), caller.actor());
        let glass = break_glass::open(env, store, &self.sources, actor, patient, reason).await?;
        Ok(Opened::Opened(Json(glass.into())))
    }

    /// List emergency accesses
    ///
    /// Needs `break_glass.review`. Those that nobody has judged yet among them,
    /// each with its reason and for how long it was open.
    #[oai(path = "/api/admin/break-glass", method = "get", operation_id = "listBreakGlass")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those that nobody has judged.
        pending: Query<Option<bool>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<Json<BreakGlassPage>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let pending = pending.0.unwrap_or(false);
        let found = break_glass::list(self.store.as_ref(), caller.actor(), pending, &page).await?;
        let accesses = found.items.into_iter().map(BreakGlassView::from).collect();
        Ok(Json(BreakGlassPage { accesses, next: found.next }))
    }

    /// Judge an emergency access
    ///
    /// Once, and not one's own.
    #[oai(
        path = "/api/admin/break-glass/:id/review",
        method = "post",
        operation_id = "judgeBreakGlass"
    )]
    async fn judge(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        body: Body<JudgementRequest>,
    ) -> Result<Json<BreakGlassView>, Problem> {
        let JudgementRequest { justified, note } = body.0;
        let (env, store, actor) = (&self.env, self.store.as_ref(), caller.actor());
        let glass = break_glass::judge(env, store, actor, id.0.into(), justified, &note).await?;
        Ok(Json(glass.into()))
    }
}
