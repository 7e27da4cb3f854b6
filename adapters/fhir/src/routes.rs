//! The HTTP surface.

use std::sync::Arc;

use kernel::{Actor, RequestContext};
use poem::{
    Endpoint, EndpointExt as _, IntoEndpoint, Request, Response, Route, get, handler,
    http::{StatusCode, header},
    web::{Data, Path},
};
use ports::Panel;
use records::{RecordsStore, ResourceType, read_resource, search_resources};
use uuid::Uuid;

use crate::{
    access::{Authenticate, Unauthenticated},
    capability,
    outcome::Failure,
    query::Query,
    response,
};

/// What the surface works with.
#[derive(Clone)]
pub struct FhirServer {
    pub store: Arc<dyn RecordsStore>,
    pub panel: Arc<dyn Panel>,
    pub identity: Arc<dyn Authenticate>,
    /// The public address of the surface, as in `https://salus.example/fhir`.
    pub base_url: String,
    /// The address of the token endpoint.
    pub token_url: String,
    /// Where a request came from, for the audit log.
    pub context: fn(&Request) -> RequestContext,
}

/// The routes below `/fhir`.
pub fn routes(
    server: FhirServer,
) -> impl IntoEndpoint<Endpoint: Endpoint<Output = Response> + 'static> {
    Route::new()
        .at("/metadata", get(metadata))
        .at("/.well-known/smart-configuration", get(smart_configuration))
        .at("/:kind", get(search))
        .at("/:kind/:id", get(read))
        .data(Arc::new(server))
        .catch_all_error(async |error: poem::Error| {
            let failure = match error.status() {
                StatusCode::NOT_FOUND => {
                    Failure::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here.")
                }
                StatusCode::METHOD_NOT_ALLOWED => Failure::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "not-supported",
                    "Only reading and searching are served.",
                ),
                status => Failure::new(status, "processing", "The request was not understood."),
            };
            failure.into_response()
        })
}

#[handler]
fn metadata(server: Data<&Arc<FhirServer>>) -> Response {
    let statement = capability::statement(server.base(), &server.token_url);
    response::fhir_json(StatusCode::OK, &statement)
}

#[handler]
fn smart_configuration(server: Data<&Arc<FhirServer>>) -> Response {
    Response::builder()
        .content_type("application/json")
        .body(capability::smart_configuration(&server.token_url).to_string())
}

#[handler]
async fn read(
    server: Data<&Arc<FhirServer>>,
    Path((kind, id)): Path<(String, String)>,
    request: &Request,
) -> Response {
    server.read(&kind, &id, request).await.unwrap_or_else(Failure::into_response)
}

#[handler]
async fn search(
    server: Data<&Arc<FhirServer>>,
    Path(kind): Path<String>,
    request: &Request,
) -> Response {
    server.search(&kind, request).await.unwrap_or_else(Failure::into_response)
}

impl FhirServer {
    fn base(&self) -> &str {
        self.base_url.trim_end_matches('/')
    }

    async fn read(&self, kind: &str, id: &str, request: &Request) -> Result<Response, Failure> {
        let actor = self.actor(request).await?;
        let kind = served(kind)?;
        accepts_json(request)?;
        let id: Uuid = id.parse().map_err(|_| {
            Failure::new(StatusCode::NOT_FOUND, "not-found", "There is no such resource.")
        })?;
        let found =
            read_resource(self.store.as_ref(), self.panel.as_ref(), &actor, kind, id).await?;
        if request.header(header::IF_NONE_MATCH) == Some(response::etag(&found).as_str()) {
            let mut unchanged = response::resource(&found);
            unchanged.set_status(StatusCode::NOT_MODIFIED);
            unchanged.take_body();
            return Ok(unchanged);
        }
        Ok(response::resource(&found))
    }

    async fn search(&self, kind: &str, request: &Request) -> Result<Response, Failure> {
        let actor = self.actor(request).await?;
        let kind = served(kind)?;
        accepts_json(request)?;
        let parameters: Vec<(String, String)> = request
            .params()
            .map_err(|_| Failure::invalid("The query is not one of names and values."))?;
        let strict =
            request.header("prefer").is_some_and(|value| value.contains("handling=strict"));
        let query = Query::parse(kind, &parameters, strict)?;
        let mut found =
            search_resources(self.store.as_ref(), self.panel.as_ref(), &actor, &query.search)
                .await?;
        if query.only_count {
            found.resources.clear();
            found.next = None;
        }
        let next = found.next.map(|after| query.next(after));
        let bundle = response::searchset(self.base(), kind, &found, &query.this(), next.as_deref());
        Ok(response::fhir_json(StatusCode::OK, &bundle))
    }

    async fn actor(&self, request: &Request) -> Result<Actor, Failure> {
        let token = request
            .header(header::AUTHORIZATION)
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or(Unauthenticated::NoValidToken)?;
        Ok(self.identity.authenticate(token, (self.context)(request)).await?)
    }
}

fn served(kind: &str) -> Result<ResourceType, Failure> {
    kind.parse().map_err(|_| {
        Failure::new(StatusCode::NOT_FOUND, "not-supported", "This type is not served.")
    })
}

fn accepts_json(request: &Request) -> Result<(), Failure> {
    let accepted = request.header(header::ACCEPT).unwrap_or("*/*");
    if accepted.contains("json") || accepted.contains('*') || accepted.contains("text/html") {
        Ok(())
    } else {
        Err(Failure::new(StatusCode::NOT_ACCEPTABLE, "not-supported", "Only JSON is served."))
    }
}
