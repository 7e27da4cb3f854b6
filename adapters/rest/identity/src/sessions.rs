use api::{Answer, Done, Enrolling, Mirror, Result, Tag};
use chrono::{DateTime, Utc};
use identity::{
    Services,
    session::SignInMethod,
    sessions::{self, OpenSession},
};
use kernel::SessionId;
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};

/// A session that is open.
#[derive(Debug, Object, Mirror)]
#[mirror(from = OpenSession)]
struct SessionView {
    #[mirror(session.id)]
    id: SessionId,
    /// It is the one that this request came with.
    current: bool,
    #[mirror(session.method)]
    method: SignInMethod,
    #[mirror(session.created_at)]
    created_at: DateTime<Utc>,
    /// The time of the last refresh.
    #[mirror(session.refreshed_at)]
    last_used_at: DateTime<Utc>,
    /// When it ends unless it is refreshed before.
    #[mirror(session.idle_until)]
    idle_until: DateTime<Utc>,
    /// The latest time at which it ends.
    #[mirror(session.ends_at)]
    ends_at: DateTime<Utc>,
    /// The IP address that used it last.
    #[mirror(|open| open.session.device.ip.map(|ip| ip.to_string()))]
    ip: Option<String>,
    /// The name that the browser or the app sent.
    #[mirror(session.device.user_agent)]
    user_agent: Option<String>,
}

/// The caller's open sessions.
#[derive(Debug, Object)]
struct SessionsView {
    /// The last used first.
    sessions: Vec<SessionView>,
}

pub struct SessionsApi(pub Services);

#[OpenApi(tag = "Tag::Identity")]
impl SessionsApi {
    /// List one's own sessions
    ///
    /// Those that are live, with where and how they were begun and which of them
    /// asks.
    #[oai(path = "/api/auth/sessions", method = "get", operation_id = "listSessions")]
    async fn list(&self, caller: Enrolling) -> Answer<SessionsView> {
        let open = sessions::list(&self.0, caller.actor()).await?;
        Ok(Json(SessionsView { sessions: open.into_iter().map(Into::into).collect() }))
    }

    /// End one of one's own sessions
    ///
    /// Its access and refresh tokens stop working at once.
    #[oai(path = "/api/auth/sessions/:id", method = "delete", operation_id = "revokeSession")]
    async fn revoke(&self, caller: Enrolling, id: Path<SessionId>) -> Result<Done> {
        sessions::revoke(&self.0, caller.actor(), id.0).await?;
        Ok(Done::Done)
    }

    /// End all one's other sessions
    ///
    /// Every session but the one that asks.
    #[oai(path = "/api/auth/sessions", method = "delete", operation_id = "revokeOtherSessions")]
    async fn revoke_others(&self, caller: Enrolling) -> Result<Done> {
        sessions::revoke_others(&self.0, caller.actor()).await?;
        Ok(Done::Done)
    }
}
