use std::sync::Arc;

use api::{Answer, Body, Caller, Made, Mirror, PageQuery, Result, Tag, Text};
use care::{
    CareStore, Sources,
    break_glass::{self, AccessReview, BreakGlass},
};
use chrono::{DateTime, Utc};
use kernel::{AccountId, BreakGlassId, Page, PatientId, ProviderId, text::GraveReason};
use poem_openapi::{
    Object, OpenApi,
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

api::example!(BreakGlassRequest { reason: "Found unconscious at home, allergies unknown.".into() });

/// What was found of an emergency access.
#[derive(Debug, Object)]
#[oai(example)]
struct JudgementRequest {
    justified: bool,
    /// In words, 10 to 1,000 characters.
    note: Text<GraveReason>,
}

api::example!(JudgementRequest {
    justified: true,
    note: "The call of the ambulance is on file.".into()
});

/// How an emergency access was judged.
#[derive(Debug, Object, Mirror)]
#[mirror(from = AccessReview)]
struct JudgementView {
    by: AccountId,
    at: DateTime<Utc>,
    justified: bool,
    note: String,
}

/// A chart that was opened in an emergency.
#[derive(Debug, Object, Mirror)]
#[mirror(from = BreakGlass)]
struct BreakGlassView {
    id: BreakGlassId,
    provider_id: ProviderId,
    patient_id: PatientId,
    reason: String,
    opened_at: DateTime<Utc>,
    /// When the chart closes again.
    expires_at: DateTime<Utc>,
    /// Absent while nobody has judged it.
    #[mirror(review)]
    judgement: Option<JudgementView>,
}

/// Charts that were opened in an emergency.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Page<BreakGlass>)]
struct BreakGlassPage {
    /// The newest first.
    #[mirror(items)]
    accesses: Vec<BreakGlassView>,
    /// The cursor of the next page; absent on the last.
    next: Option<String>,
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
        user_id: Path<PatientId>,
        body: Body<BreakGlassRequest>,
    ) -> Result<Made<BreakGlassView>> {
        let (patient, reason) = (user_id.0, &body.0.reason);
        let (env, store, actor) = (&self.env, &*self.store, caller.actor());
        let glass = break_glass::open(env, store, &self.sources, actor, patient, reason).await?;
        Ok(Made::of(glass))
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
    ) -> Answer<BreakGlassPage> {
        let page = PageQuery::read(limit, cursor)?;
        let pending = pending.0.unwrap_or(false);
        Ok(Json(break_glass::list(&*self.store, caller.actor(), pending, &page).await?.into()))
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
        id: Path<BreakGlassId>,
        body: Body<JudgementRequest>,
    ) -> Answer<BreakGlassView> {
        let JudgementRequest { justified, note } = body.0;
        let (env, store, actor) = (&self.env, &*self.store, caller.actor());
        let glass = break_glass::judge(env, store, actor, id.0, justified, &note).await?;
        Ok(Json(glass.into()))
    }
}
