//! What surrounds every request: its id, its span, its security headers, its
//! measure, and the promise that every failure is a problem.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use kernel::{Actor, RequestContext, RequestId};
use poem::{
    Endpoint, IntoResponse as _, Middleware, PathPattern, Request, Response,
    error::SizedLimitError,
    http::{HeaderValue, StatusCode, header},
    web::RealIp,
};
use ports::Env;
use tracing::Instrument as _;

use super::{DenialLog, Limits, PhotoLimit, Problem, limits, upload::uploads_photo};

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
        .and_then(|address| address.0)
        .or_else(|| request.remote_addr().as_socket_addr().map(std::net::SocketAddr::ip));
    let user_agent = request
        .header(header::USER_AGENT)
        .map(|value| value.chars().filter(|c| !c.is_control()).take(200).collect());
    RequestContext { request_id: current_request_id(), ip, user_agent }
}

/// The client's address behind a trusted proxy.
#[derive(Clone, Copy)]
struct ClientAddress(Option<std::net::IpAddr>);

/// Surrounds the whole surface.
#[derive(Clone)]
pub struct Surround {
    pub env: Env,
    /// Whether `X-Forwarded-For` and its kin are set by a proxy of ours.
    pub trust_proxy: bool,
    /// The largest body, in bytes; but for that of an upload.
    pub body_limit: usize,
    pub photo_limit: PhotoLimit,
    pub denials: Arc<dyn DenialLog>,
    pub limits: Arc<Limits>,
}

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
        // A caller's own id is kept so that its logs and ours meet.
        let id = request
            .header("x-request-id")
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| self.surround.env.fresh::<RequestId>());
        if self.surround.trust_proxy {
            use poem::FromRequest as _;
            let RealIp(address) = RealIp::from_request_without_body(&request).await?;
            request.extensions_mut().insert(ClientAddress(address));
        }
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
        );
        let started = Instant::now();
        let work = async {
            self.surround.limits.before(&request).await?;
            limit_body(&mut request, &self.surround).await?;
            let answer = self.inner.call(request).await;
            Ok::<_, poem::Error>((answer, CALLER.with(|caller| caller.get().cloned())))
        };
        let work = limits::remembering(CALLER.scope(OnceLock::new(), work));
        let work = REQUEST_ID.scope(id, work).instrument(span.clone());
        let (answer, caller, drawn) = match work.await {
            (Ok((answer, caller)), drawn) => (answer, caller, drawn),
            (Err(error), drawn) => (Err(error), None, drawn),
        };
        let mut route = String::new();
        let mut response = match answer {
            Ok(answer) => answer.into_response(),
            Err(error) if error.is_from_response() => error.into_response(),
            Err(error) => REQUEST_ID.sync_scope(id, || Problem::from_framework(&error)),
        };
        if let Some(pattern) = response.data::<PathPattern>() {
            route = pattern.0.to_string();
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
        finish(&mut response, id);
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

/// Refuses a body that is too large: by its stated length, and one that states
/// none by reading no more than the limit. That of an upload is read only once
/// it is known who sends it.
async fn limit_body(request: &mut Request, surround: &Surround) -> poem::Result<()> {
    let stated =
        request.header(header::CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if uploads_photo(request) {
        let limit = surround.photo_limit;
        if stated.is_some_and(|length| length > limit.body()) {
            return Err(limit.exceeded().into());
        }
        request.set_data(limit);
        return Ok(());
    }
    let limit = surround.body_limit;
    match stated {
        Some(length) if length > limit => Err(SizedLimitError::PayloadTooLarge.into()),
        Some(_) => Ok(()),
        None => {
            let body = request.take_body();
            let bytes = body.into_bytes_limit(limit).await?;
            request.set_body(bytes);
            Ok(())
        }
    }
}

fn finish(response: &mut Response, id: RequestId) {
    let headers = response.headers_mut();
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
