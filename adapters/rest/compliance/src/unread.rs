//! What vendors sent and Salus could not use.

use std::sync::Arc;

use api::{Answer, Body, Caller, Mirror, PageQuery, Tag, Text};
use chrono::{DateTime, Utc};
use compliance::unread::{self, UnreadNotice, UnreadStore};
use kernel::{AccountId, Page, Uuid, text::SettlementNote};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use ports::Env;

pub struct UnreadNoticesApi {
    pub env: Env,
    pub store: Arc<dyn UnreadStore>,
}

/// A notice of a vendor, or a part of one, that Salus could not use. It is
/// genuine: its origin was proved.
#[derive(Debug, Object, Mirror)]
#[mirror(from = UnreadNotice)]
pub struct UnreadNoticeView {
    pub id: Uuid,
    /// `stripe`, `easypost`, `erx` or `opentok`.
    pub vendor: String,
    /// What is wrong with it.
    pub reason: String,
    pub received_at: DateTime<Utc>,
    /// Absent until somebody has seen to it.
    #[mirror(|notice| notice.ended.as_ref().map(|ended| ended.at))]
    pub done_at: Option<DateTime<Utc>>,
    #[mirror(|notice| notice.ended.as_ref().map(|ended| ended.by))]
    pub done_by: Option<AccountId>,
    /// What was done.
    #[mirror(|notice| notice.ended.as_ref().map(|ended| ended.note.clone()))]
    pub note: Option<String>,
}

/// A page of notices, the oldest first.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Page<UnreadNotice>)]
pub struct UnreadNoticePage {
    #[mirror(items)]
    pub notices: Vec<UnreadNoticeView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// A notice with what came.
#[derive(Debug, Object)]
pub struct UnreadNoticeDetail {
    pub notice: UnreadNoticeView,
    /// As it came; bytes that are no UTF-8 are shown as U+FFFD.
    pub body: String,
}

/// Says what was done about a notice.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CompleteUnreadNotice {
    /// What was done.
    pub note: Text<SettlementNote>,
}

api::example!(CompleteUnreadNotice {
    note: "Phoned the pharmacy: the renewal is not wanted.".into()
});

#[OpenApi(tag = "Tag::Compliance")]
impl UnreadNoticesApi {
    /// List notices that could not be used
    ///
    /// Takes `notice.work`. What Stripe, the carriers, the eRx network and the
    /// video vendor sent in a shape that Salus cannot use, or about something
    /// that it does not know, the oldest first. What could be used of them
    /// counts already.
    #[oai(path = "/api/admin/unread-notices", method = "get", operation_id = "listUnreadNotices")]
    async fn list(
        &self,
        caller: Caller,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<UnreadNoticePage> {
        let page = PageQuery::read(limit, cursor)?;
        Ok(Json(unread::list(&*self.store, caller.actor(), &page).await?.into()))
    }

    /// Read a notice that could not be used
    ///
    /// Takes `notice.work`. The body may tell of a patient; reading it is on
    /// record.
    #[oai(path = "/api/admin/unread-notices/:id", method = "get", operation_id = "getUnreadNotice")]
    async fn read(&self, caller: Caller, id: Path<Uuid>) -> Answer<UnreadNoticeDetail> {
        let (notice, body) = unread::read(&*self.store, caller.actor(), id.0).await?;
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Json(UnreadNoticeDetail { notice: notice.into(), body }))
    }

    /// Complete a notice that could not be used
    ///
    /// Takes `notice.work`. A note says what was done; the notice leaves the
    /// list.
    #[oai(
        path = "/api/admin/unread-notices/:id/complete",
        method = "post",
        operation_id = "completeUnreadNotice"
    )]
    async fn complete(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        body: Body<CompleteUnreadNotice>,
    ) -> Answer<UnreadNoticeView> {
        let (store, note) = (&*self.store, &body.0.note);
        Ok(Json(unread::complete(&self.env, store, caller.actor(), id.0, note).await?.into()))
    }
}
