use api::{Done, Enrolling, Problem, Tag};
use chrono::{DateTime, Utc};
use identity::{
    Services,
    session::SignInMethod,
    sessions::{self, OpenSession},
};
use kernel::Uuid;
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};

/// A session that is open.
#[derive(Debug, Object)]
struct SessionView {
    id: Uuid,
    /// It is the one that this request came with.
    current: bool,
    method: SignInMethod,
    created_at: DateTime<Utc>,
    /// When it was refreshed last.
    last_used_at: DateTime<Utc>,
    /// When it ends unless it is refreshed before.
    idle_until: DateTime<Utc>,
    /// When it ends whatever happens.
    ends_at: DateTime<Utc>,
    /// Where it was used last.
    ip: Option<String>,
    /// What the browser or the app said that it is.
    user_agent: Option<String>,
}

impl From<OpenSession> for SessionView {
    fn from(open: OpenSession) -> Self {
        let OpenSession { session, current } = open;
        Self {
            id: session.id.uuid(),
            current,
            method: session.method,
            created_at: session.created_at,
            last_used_at: session.refreshed_at,
            idle_until: session.idle_until,
            ends_at: session.ends_at,
            ip: session.device.ip.map(|ip| ip.to_string()),
            user_agent: session.device.user_agent,
        }
    }
}

/// The caller's open sessions.
#[derive(Debug, Object)]
struct SessionsView {
    /// The last used first.
    sessions: Vec<SessionView>,
}

pub struct SessionsApi {
    pub services: Services,
}

#[OpenApi(tag = "Tag::Identity")]
impl SessionsApi {
    /// List one's own sessions
    ///
    /// Those that are live, with where and how they were begun and which of them
    /// asks.
    #[oai(path = "/api/auth/sessions", method = "get", operation_id = "listSessions")]
    async fn list(&self, caller: Enrolling) -> Result<Json<SessionsView>, Problem> {
        let open = sessions::list(&self.services, caller.actor()).await?;
        Ok(Json(SessionsView { sessions: open.into_iter().map(SessionView::from).collect() }))
    }

    /// End one of one's own sessions
    ///
    /// Its access and refresh tokens stop working at once.
    #[oai(path = "/api/auth/sessions/:id", method = "delete", operation_id = "revokeSession")]
    async fn revoke(&self, caller: Enrolling, id: Path<Uuid>) -> Result<Done, Problem> {
        sessions::revoke(&self.services, caller.actor(), id.0.into()).await?;
        Ok(Done::Done)
    }

    /// End all one's other sessions
    ///
    /// Every session but the one that asks.
    #[oai(path = "/api/auth/sessions", method = "delete", operation_id = "revokeOtherSessions")]
    async fn revoke_others(&self, caller: Enrolling) -> Result<Done, Problem> {
        sessions::revoke_others(&self.services, caller.actor()).await?;
        Ok(Done::Done)
    }
}
