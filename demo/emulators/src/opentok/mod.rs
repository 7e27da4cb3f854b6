//! The video vendor's side of the wire, written from the vendor's documents:
//! sessions, archives, and callbacks about connections and archives. Media do
//! not flow; the control surface connects clients in their place, with the
//! tokens that they were given.

mod auth;
mod callbacks;
mod control;

use std::{net::TcpListener, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use poem::{
    Endpoint, EndpointExt as _, IntoResponse as _, Request, Response, Route, Server, handler,
    http::{StatusCode, header},
    listener::TcpAcceptor,
    web::{Data, Form, Json, Path, Query},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::state::Persisted;

#[derive(Clone, Debug)]
pub struct OpenTokEmulatorConfig {
    pub api_key: String,
    pub api_secret: String,
    /// Where callbacks go; without one there are none.
    pub callback_url: Option<String>,
    /// Signs the callbacks.
    pub callback_secret: String,
    /// The snapshot of what the vendor remembers.
    pub state: PathBuf,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    sessions: Vec<Session>,
    archives: Vec<ArchiveRecord>,
    /// Callbacks that have not been acknowledged yet, oldest first.
    pending: Vec<Value>,
    /// Callbacks that have been.
    delivered: Vec<Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Session {
    id: String,
    created_at: DateTime<Utc>,
    archive_mode: String,
    media_mode: String,
    connections: Vec<Connection>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Connection {
    id: String,
    created_at: DateTime<Utc>,
    data: String,
    role: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchiveRecord {
    id: String,
    session_id: String,
    name: String,
    status: String,
    created_at: i64,
    has_audio: bool,
    has_video: bool,
    output_mode: String,
    partner_id: u64,
    project_id: String,
    reason: String,
    resolution: String,
    duration: i64,
    size: u64,
    url: Option<String>,
}

/// What every handler shares.
struct Vendor {
    config: OpenTokEmulatorConfig,
    state: Persisted<State>,
    faults: control::Faults,
    /// Wakes the delivery of callbacks.
    news: Notify,
}

type Shared = Arc<Vendor>;

#[expect(clippy::disallowed_methods, reason = "The vendor has a clock of its own.")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

#[expect(clippy::disallowed_methods, reason = "The vendor makes ids of its own.")]
fn fresh_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Serves until `shutdown`; callbacks that are not acknowledged by then are
/// delivered after the next start.
pub async fn serve(
    config: OpenTokEmulatorConfig,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let state = Persisted::open(&config.state).context("the video emulator's state")?;
    let faults = control::Faults::default();
    let vendor: Shared = Arc::new(Vendor { config, state, faults, news: Notify::new() });
    let delivery = tokio::spawn(callbacks::deliver(vendor.clone(), shutdown.clone()));

    let api = Route::new()
        .at("/session/create", poem::post(create_session))
        .at("/v2/project/:key/archive", poem::post(start_archive).get(list_archives))
        .at("/v2/project/:key/archive/:id", poem::get(get_archive).delete(delete_archive))
        .at("/v2/project/:key/archive/:id/stop", poem::post(stop_archive))
        .around(guarded);
    let routes =
        Route::new().nest("/_control", control::routes()).nest("/", api).data(vendor.clone());

    listener.set_nonblocking(true)?;
    let acceptor = TcpAcceptor::from_std(listener)?;
    Server::new_with_acceptor(acceptor)
        .run_with_graceful_shutdown(
            routes,
            shutdown.cancelled_owned(),
            Some(Duration::from_secs(1)),
        )
        .await?;
    delivery.abort();
    Ok(())
}

/// Faults come first, then credentials, then the operation.
async fn guarded<E: Endpoint>(next: Arc<E>, request: Request) -> poem::Result<Response> {
    let vendor =
        request.data::<Shared>().cloned().context("the emulator's data").map_err(|error| {
            poem::Error::from_string(error.to_string(), StatusCode::INTERNAL_SERVER_ERROR)
        })?;
    let fault = vendor.faults.take();
    match fault {
        Some(control::Fault::Status500) => {
            return Ok(failure(StatusCode::INTERNAL_SERVER_ERROR, "An internal error."));
        }
        Some(control::Fault::Hang) => std::future::pending::<()>().await,
        Some(control::Fault::DropAfter) | None => {}
    }
    if let Err(why) = auth::check(&vendor.config, &request) {
        tracing::debug!(why, "the video emulator refused a credential");
        return Ok(failure(StatusCode::FORBIDDEN, "Invalid credentials."));
    }
    let response = next.call(request).await?.into_response();
    if fault == Some(control::Fault::DropAfter) {
        // The call has had its effect; its answer never comes.
        std::future::pending::<()>().await;
    }
    Ok(response)
}

fn failure(status: StatusCode, message: &str) -> Response {
    answer(status, &json!({ "code": status.as_u16(), "message": message }))
}

/// The official clients compare the content type with this very word.
fn answer(status: StatusCode, body: &Value) -> Response {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.to_string())
}

/// Fails as the vendor does when it cannot write down what it did.
fn kept<T>(result: anyhow::Result<T>) -> poem::Result<T> {
    result.map_err(|error| {
        poem::Error::from_string(error.to_string(), StatusCode::INTERNAL_SERVER_ERROR)
    })
}

/// A session's id tells its project and its time to whoever decodes it, as the
/// vendor's own client libraries do before they sign a token.
fn session_id(project: &str, created_at: DateTime<Utc>) -> String {
    let millis = created_at.timestamp_millis();
    let inner = format!("1~{project}~~{millis}~{}~~", fresh_id());
    format!("1_{}", URL_SAFE_NO_PAD.encode(inner))
}

#[derive(Deserialize)]
struct CreateSession {
    #[serde(rename = "p2p.preference", default)]
    p2p: Option<String>,
    #[serde(rename = "archiveMode", default)]
    archive_mode: Option<String>,
}

#[handler]
fn create_session(
    vendor: Data<&Shared>,
    form: Option<Form<CreateSession>>,
) -> poem::Result<Response> {
    let (p2p, archive_mode) = match form {
        Some(Form(form)) => (form.p2p, form.archive_mode),
        None => (None, None),
    };
    let p2p = p2p.unwrap_or_else(|| "enabled".to_owned());
    let archive_mode = archive_mode.unwrap_or_else(|| "manual".to_owned());
    if !matches!(archive_mode.as_str(), "manual" | "always") {
        return Ok(failure(StatusCode::BAD_REQUEST, "archiveMode is manual or always."));
    }
    if archive_mode == "always" && p2p != "disabled" {
        return Ok(failure(StatusCode::BAD_REQUEST, "An archived session is a routed one."));
    }
    let created_at = now();
    let id = session_id(&vendor.config.api_key, created_at);
    let session = Session {
        id: id.clone(),
        created_at,
        archive_mode,
        media_mode: if p2p == "disabled" { "routed" } else { "relayed" }.to_owned(),
        connections: Vec::new(),
    };
    kept(vendor.state.mutate(|state| state.sessions.push(session)))?;
    let key = &vendor.config.api_key;
    Ok(answer(
        StatusCode::OK,
        &json!([{
            "session_id": id,
            "project_id": key,
            "partner_id": key,
            "create_dt": created_at.format("%a %b %d %H:%M:%S PST %Y").to_string(),
            "media_server_url": "",
        }]),
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartArchive {
    session_id: Option<String>,
    name: Option<String>,
    has_audio: Option<bool>,
    has_video: Option<bool>,
    output_mode: Option<String>,
    resolution: Option<String>,
}

#[handler]
fn start_archive(
    vendor: Data<&Shared>,
    Json(request): Json<StartArchive>,
) -> poem::Result<Response> {
    let Some(session_id) = request.session_id else {
        return Ok(failure(StatusCode::BAD_REQUEST, "There is no sessionId."));
    };
    let output_mode = request.output_mode.unwrap_or_else(|| "composed".to_owned());
    if !matches!(output_mode.as_str(), "composed" | "individual") {
        return Ok(failure(StatusCode::BAD_REQUEST, "outputMode is composed or individual."));
    }
    let refused = vendor.state.read(|state| {
        match state.sessions.iter().find(|session| session.id == session_id) {
            None => Some((StatusCode::NOT_FOUND, "There is no such session.")),
            Some(session) if session.media_mode != "routed" => {
                Some((StatusCode::CONFLICT, "A relayed session cannot be archived."))
            }
            Some(session) if session.connections.is_empty() => {
                Some((StatusCode::BAD_REQUEST, "No client is connected to the session."))
            }
            Some(_) => state
                .archives
                .iter()
                .any(|archive| archive.session_id == session_id && archive.status == "started")
                .then_some((StatusCode::CONFLICT, "The session is being archived already.")),
        }
    });
    if let Some((status, message)) = refused {
        return Ok(failure(status, message));
    }
    let archive = ArchiveRecord {
        id: fresh_id(),
        session_id,
        name: request.name.unwrap_or_default(),
        status: "started".to_owned(),
        created_at: now().timestamp_millis(),
        has_audio: request.has_audio.unwrap_or(true),
        has_video: request.has_video.unwrap_or(true),
        output_mode,
        partner_id: vendor.config.api_key.parse().unwrap_or_default(),
        project_id: vendor.config.api_key.clone(),
        reason: String::new(),
        resolution: request.resolution.unwrap_or_else(|| "640x480".to_owned()),
        duration: 0,
        size: 0,
        url: None,
    };
    let body = json!(archive);
    kept(vendor.state.mutate(|state| {
        state.pending.push(callbacks::archive(&archive));
        state.archives.push(archive);
    }))?;
    vendor.news.notify_one();
    Ok(answer(StatusCode::OK, &body))
}

#[handler]
fn stop_archive(
    vendor: Data<&Shared>,
    Path((_, id)): Path<(String, String)>,
) -> poem::Result<Response> {
    let at = now().timestamp_millis();
    let stopped = kept(vendor.state.mutate(|state| {
        let found = state.archives.iter_mut().find(|archive| archive.id == id);
        let archive = match found {
            None => return Err((StatusCode::NOT_FOUND, "There is no such archive.")),
            Some(archive) if archive.status != "started" => {
                return Err((StatusCode::CONFLICT, "The archive is not being recorded."));
            }
            Some(archive) => archive,
        };
        archive.status = "stopped".to_owned();
        archive.reason = "user initiated".to_owned();
        archive.duration = (at - archive.created_at) / 1000;
        let stopped = archive.clone();
        // The file is ready at once; the vendor tells of both steps in order.
        archive.status = "available".to_owned();
        archive.size = 1 << 20;
        let available = archive.clone();
        state.pending.push(callbacks::archive(&stopped));
        state.pending.push(callbacks::archive(&available));
        Ok(stopped)
    }))?;
    vendor.news.notify_one();
    Ok(match stopped {
        Ok(archive) => answer(StatusCode::OK, &json!(archive)),
        Err((status, message)) => failure(status, message),
    })
}

#[handler]
fn get_archive(vendor: Data<&Shared>, Path((_, id)): Path<(String, String)>) -> Response {
    let found =
        vendor.state.read(|state| state.archives.iter().find(|found| found.id == id).cloned());
    match found {
        Some(archive) => answer(StatusCode::OK, &json!(archive)),
        None => failure(StatusCode::NOT_FOUND, "There is no such archive."),
    }
}

#[handler]
fn delete_archive(
    vendor: Data<&Shared>,
    Path((_, id)): Path<(String, String)>,
) -> poem::Result<Response> {
    let status = kept(vendor.state.mutate(|state| {
        match state.archives.iter().position(|archive| archive.id == id) {
            None => StatusCode::NOT_FOUND,
            Some(at) if matches!(state.archives[at].status.as_str(), "available" | "uploaded") => {
                state.archives.remove(at);
                StatusCode::NO_CONTENT
            }
            Some(_) => StatusCode::CONFLICT,
        }
    }))?;
    Ok(Response::builder().status(status).finish())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListArchives {
    offset: Option<usize>,
    count: Option<usize>,
    session_id: Option<String>,
}

#[handler]
fn list_archives(vendor: Data<&Shared>, Query(query): Query<ListArchives>) -> Response {
    let (count, items) = vendor.state.read(|state| {
        let wanted = |archive: &&ArchiveRecord| {
            query.session_id.as_ref().is_none_or(|session| *session == archive.session_id)
        };
        // Newest first.
        let all: Vec<&ArchiveRecord> = state.archives.iter().rev().filter(wanted).collect();
        let page = all.iter().skip(query.offset.unwrap_or(0)).take(query.count.unwrap_or(50));
        (all.len(), page.map(|archive| json!(archive)).collect::<Vec<_>>())
    });
    answer(StatusCode::OK, &json!({ "count": count, "items": items }))
}
