//! What surrounds every request: its id, its span, its security headers, its
//! measure, and the promise that every failure is a problem.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use futures::future::BoxFuture;
use kernel::{Actor, RequestContext, RequestId};
use poem::{
    Endpoint, IntoResponse, Middleware, PathPattern, Request, Response,
    http::{HeaderMap, HeaderValue, StatusCode, Version, header},
};
use ports::Env;
use tracing::Instrument as _;

use super::{
    DenialLog, Limits, PhotoLimit, Problem, Proxies,
    arriving::{Arriving, Pace},
    limits,
    upload::uploads_photo,
};

tokio::task_local! {
    static REQUEST_ID: RequestId;
    static CALLER: OnceLock<Actor>;
}

/// Remembers who calls until the request is answered.
pub(super) fn note_caller(actor: &Actor) {
    let _ = CALLER.try_with(|caller| caller.set(actor.clone()));
}

/// The id of the request that this task answers.
pub fn current_request_id() -> Option<RequestId> {
    REQUEST_ID.try_with(|id| *id).ok()
}

/// Where a request came from.
pub fn request_context(request: &Request) -> RequestContext {
    let ip = request
        .extensions()
        .get::<ClientAddress>()
        .map(|address| address.0)
        .or_else(|| request.remote_addr().as_socket_addr().map(std::net::SocketAddr::ip));
    let user_agent = request
        .headers()
        .get(header::USER_AGENT)
        // Of a name that is no UTF-8 what can be read is kept: the log tells of
        // every request what it was made with.
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .map(|value| value.chars().filter(|c| !c.is_control()).take(200).collect());
    RequestContext { request_id: current_request_id(), ip, user_agent }
}

/// The client's address, as far as the proxies that are known tell it.
#[derive(Clone, Copy)]
struct ClientAddress(std::net::IpAddr);

/// How a part of the surface words what is refused before it is reached.
#[derive(Clone, Copy)]
pub struct Dialect {
    /// The part's first folder, as in `/fhir`.
    pub below: &'static str,
    pub refuse: fn(StatusCode, &str) -> Response,
}

impl Dialect {
    fn covers(self, path: &str) -> bool {
        let rest = path.strip_prefix(self.below);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Surrounds the whole surface.
#[derive(Clone)]
pub struct Surround {
    pub env: Env,
    /// Whose word on where a request comes from is taken.
    pub proxies: Proxies,
    /// Where a refusal is no problem of RFC 9457.
    pub dialect: Option<Dialect>,
    /// The largest body, in bytes; but for that of an upload.
    pub body_limit: usize,
    pub photo_limit: PhotoLimit,
    /// How slowly a body may come.
    pub pace: Pace,
    pub denials: Arc<dyn DenialLog>,
    pub limits: Arc<Limits>,
    /// What a request is answered within, which may refuse to let the answer leave.
    pub within: Within,
}

/// An answer on its way.
pub type Answering<'a> = BoxFuture<'a, poem::Result<Response>>;
pub type Within =
    for<'a> fn(Answering<'a>) -> BoxFuture<'a, Result<poem::Result<Response>, Problem>>;

impl<E: Endpoint + 'static> Middleware<E> for Surround {
    type Output = Surrounded<E>;

    fn transform(&self, endpoint: E) -> Self::Output {
        Surrounded { inner: Arc::new(endpoint), surround: self.clone() }
    }
}

pub struct Surrounded<E> {
    inner: Arc<E>,
    surround: Surround,
}

impl<E: Endpoint + 'static> Endpoint for Surrounded<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        // The id is ours alone, so that no caller can give two requests the same
        // one; a caller's own is kept beside it, so that its logs and ours meet.
        let id = self.surround.env.fresh::<RequestId>();
        let theirs = callers_id(request.headers());
        if let Some(peer) = request.remote_addr().as_socket_addr() {
            let client = self.surround.proxies.client(peer.ip(), request.headers());
            request.extensions_mut().insert(ClientAddress(client));
        }
        let dialect = self.surround.dialect.filter(|dialect| dialect.covers(request.uri().path()));
        let method = request.method().clone();
        let with_token = request.headers().contains_key(header::AUTHORIZATION);
        let address = request_context(&request).ip;
        let span = tracing::info_span!(
            "request",
            otel.kind = "server",
            http.request.method = %method,
            http.route = tracing::field::Empty,
            http.response.status_code = tracing::field::Empty,
            request_id = %id,
            caller_request_id = theirs.as_deref(),
        );
        let started = Instant::now();
        let http1 = request.version() < Version::HTTP_2;
        let body = request.take_body();
        let is_empty = body.is_empty();
        let arriving = Arriving::new(body);
        let work = async {
            self.surround.limits.before(&request).await?;
            refuse_encoded(request.headers())?;
            if !is_empty {
                guard_body(&mut request, &self.surround, &arriving)?;
            }
            let answer = async { self.inner.call(request).await.map(IntoResponse::into_response) };
            let answer = (self.surround.within)(Box::pin(answer)).await?;
            Ok::<_, Problem>((answer, CALLER.with(|caller| caller.get().cloned())))
        };
        let work = limits::remembering(CALLER.scope(OnceLock::new(), work));
        let work = REQUEST_ID.scope(id, work).instrument(span.clone());
        let (answer, caller, drawn) = match work.await {
            (Ok((answer, caller)), drawn) => (answer, caller, drawn),
            (Err(problem), drawn) => {
                let answer = match dialect {
                    Some(dialect) => (dialect.refuse)(problem.status(), &problem.body().detail),
                    None => problem.into_response(),
                };
                (Ok(answer), None, drawn)
            }
        };
        let mut route = String::new();
        let mut response = match answer {
            Ok(answer) => answer,
            Err(error) if error.is_from_response() => {
                if let Some(pattern) = error.data::<PathPattern>() {
                    route = pattern.0.to_string();
                }
                error.into_response()
            }
            Err(error) => match dialect {
                // The path itself was not understood, so that no route was found.
                Some(dialect) => (dialect.refuse)(error.status(), "There is nothing here."),
                None => REQUEST_ID.sync_scope(id, || Problem::from_framework(&error)),
            },
        };
        if let Some(pattern) = response.data::<PathPattern>() {
            route = pattern.0.to_string();
        }
        if let Some(fault) = arriving.fault().await {
            // The operation saw no more than that its body could not be read.
            let (status, code, detail) = fault.said();
            response = match dialect {
                Some(dialect) => (dialect.refuse)(status, detail),
                None => REQUEST_ID
                    .sync_scope(id, || Problem::framework(status, code, detail.to_owned())),
            };
        }
        limits::describe(&drawn, response.headers_mut());
        if response.status() == StatusCode::UNAUTHORIZED && with_token {
            self.surround.limits.after_refusal(address).await;
        }
        if response.status() == StatusCode::FORBIDDEN
            && let Some(caller) = caller
        {
            let operation = format!("{method} {route}");
            if let Err(error) = self.surround.denials.denied(&caller, &operation).await {
                span.in_scope(|| tracing::error!(%error, operation, "a denial was not audited"));
            }
        }
        // A client would send its next request on a connection that is at its end.
        if http1 && !arriving.drained(self.surround.pace).await {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        finish(&mut response, id, theirs.as_deref());
        let status = response.status().as_u16();
        span.record("http.route", route.as_str());
        span.record("http.response.status_code", status);
        let elapsed = started.elapsed();
        span.in_scope(|| {
            tracing::info!(status, elapsed_ms = elapsed.as_millis() as u64, "answered")
        });
        // The route's pattern is a label, never the path, which holds ids.
        metrics::histogram!(
            "http_server_request_duration_seconds",
            "method" => method.to_string(),
            "route" => route,
            "status" => status.to_string(),
        )
        .record(elapsed.as_secs_f64());
        Ok(response)
    }
}

/// What a caller called its request, where that can stand in a log.
fn callers_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("x-request-id")?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (!id.is_empty() && id.len() <= 100 && id.bytes().all(plain)).then(|| id.to_owned())
}

/// Refuses a body that would have to be unpacked: a few bytes of one become
/// gigabytes, and what the limits count is what was sent.
fn refuse_encoded(headers: &HeaderMap) -> Result<(), Problem> {
    let plain = |value: &HeaderValue| {
        let codings = value.to_str().unwrap_or("unreadable").split(',');
        codings.map(str::trim).all(|coding| coding.is_empty() || coding == "identity")
    };
    if headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
        return Ok(());
    }
    Err(Problem::unsupported("A body is taken as it is, without a Content-Encoding."))
}

/// Refuses a body whose stated length is too large, and holds every other to
/// its limit and pace. It is read only where an operation asks for it, once it
/// is known who sends it.
fn guard_body(
    request: &mut Request,
    surround: &Surround,
    arriving: &Arriving,
) -> Result<(), Problem> {
    let stated =
        request.header(header::CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    let (limit, exceeded) = if uploads_photo(request) {
        let limit = surround.photo_limit;
        request.set_data(limit);
        (limit.body(), limit.exceeded())
    } else {
        (surround.body_limit, Problem::too_large("payload too large"))
    };
    if stated.is_some_and(|length| length > limit) {
        return Err(exceeded);
    }
    // The upload says itself what is wrong with a photo that is too large.
    let limit = if uploads_photo(request) { usize::MAX } else { limit };
    request.set_body(arriving.guarded(limit, surround.pace));
    Ok(())
}

fn finish(response: &mut Response, id: RequestId, theirs: Option<&str>) {
    let headers = response.headers_mut();
    if let Some(value) = theirs.and_then(|id| HeaderValue::from_str(id).ok()) {
        headers.insert("x-caller-request-id", value);
    }
    // What is compressed for one caller is not for another.
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert("x-request-id", value);
    }
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // PHI is never kept by a browser or a proxy.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry("content-security-policy")
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
}
