//! The HTTP surface.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kernel::{Actor, RequestContext};
use poem::{
    Endpoint, EndpointExt as _, IntoEndpoint, Request, Response, Route, get, handler,
    http::{StatusCode, header},
    web::{Data, Path},
};
use ports::Panel;
use records::{
    RecordsStore, ResourceType, read_file, read_resource, search_resources, sources::FileSource,
};
use uuid::Uuid;

use crate::{
    accept,
    access::{Authenticate, Unauthenticated},
    capability,
    outcome::Failure,
    query::{Query, check_once, is_lenient},
    response,
    shape::{self, Shape},
};

/// What the surface works with.
#[derive(Clone)]
pub struct FhirServer {
    pub store: Arc<dyn RecordsStore>,
    pub panel: Arc<dyn Panel>,
    /// The files that resources link to.
    pub files: Arc<dyn FileSource>,
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
fn metadata(server: Data<&Arc<FhirServer>>, request: &Request) -> Response {
    let mut shape = Shape::default();
    for (name, value) in parameters(request).unwrap_or_default() {
        if matches!(name.as_str(), "_format" | "_pretty")
            && let Err(refused) = shape.apply(&name, &value)
        {
            return refused.into_response();
        }
    }
    let statement = capability::statement(server.base(), &server.token_url);
    response::fhir_json(StatusCode::OK, shape.write(&statement))
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
        let shape = shape_of_read(request)?;
        let absent =
            || Failure::new(StatusCode::NOT_FOUND, "not-found", "There is no such resource.");
        let of = |id: &str| id.parse::<Uuid>().map_err(|_| absent());
        if kind == BINARY {
            return self.read_file(&actor, of(id)?, &shape, request).await;
        }
        let kind = served(kind)?;
        if !shape.format {
            accept::json(request)?;
        }
        let (store, panel) = (self.store.as_ref(), self.panel.as_ref());
        let found = read_resource(store, panel, &actor, kind, of(id)?).await?;
        let body = shape.write(&shape.reduce(kind, &found.content));
        let answer = response::fhir_json(StatusCode::OK, body);
        let version = found.version.to_string();
        Ok(response::versioned(request, &version, found.last_updated, answer))
    }

    /// A file as what it is, or as a resource where FHIR's JSON is asked for.
    async fn read_file(
        &self,
        actor: &Actor,
        id: Uuid,
        shape: &Shape,
        request: &Request,
    ) -> Result<Response, Failure> {
        if !shape.is_whole() {
            return Err(Failure::unsupported("A Binary is served whole."));
        }
        let (store, panel, files) = (self.store.as_ref(), self.panel.as_ref(), self.files.as_ref());
        let (file, bytes) = read_file(store, panel, files, actor, id.into()).await?;
        let answer = if shape.format || accept::as_resource(request, &file.content_type)? {
            let resource = shape::binary(&file, STANDARD.encode(&bytes));
            response::fhir_json(StatusCode::OK, shape.write(&resource))
        } else {
            Response::builder()
                .content_type(&file.content_type)
                .header(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{id}\""))
                .header("x-security-context", format!("QuestionnaireResponse/{}", file.response))
                .body(bytes)
        };
        Ok(response::versioned(request, "1", file.created_at, answer))
    }

    async fn search(&self, kind: &str, request: &Request) -> Result<Response, Failure> {
        let actor = self.actor(request).await?;
        if kind == BINARY {
            return Err(Failure::unsupported("A Binary is read by its id and not searched."));
        }
        let kind = served(kind)?;
        let query = Query::parse(kind, self.base(), &parameters(request)?, lenient(request))?;
        if !query.shape.format {
            accept::json(request)?;
        }
        let found =
            search_resources(self.store.as_ref(), self.panel.as_ref(), &actor, &query.search)
                .await?;
        let next = found.next.map(|after| query.next(after));
        let links = (query.this(), next);
        let bundle = response::searchset(
            self.base(),
            kind,
            &found,
            &query.shape,
            query.total || query.shape.count,
            (&links.0, links.1.as_deref()),
        );
        Ok(response::fhir_json(StatusCode::OK, query.shape.write(&bundle)))
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

/// What files are served as; they have no place among the records.
pub(crate) const BINARY: &str = "Binary";

fn parameters(request: &Request) -> Result<Vec<(String, String)>, Failure> {
    request.params().map_err(|_| Failure::invalid("The query is not one of names and values."))
}

fn lenient(request: &Request) -> bool {
    let headers = request.headers().get_all("prefer").iter();
    is_lenient(headers.filter_map(|value| value.to_str().ok()))
}

fn shape_of_read(request: &Request) -> Result<Shape, Failure> {
    let mut shape = Shape::default();
    let parameters = parameters(request)?;
    for (at, (name, value)) in parameters.iter().enumerate() {
        check_once(&parameters[..at], name, value)?;
        if !shape.apply(name, value)? && !lenient(request) {
            return Err(Failure::unsupported(
                "Reading takes _format, _pretty, _summary and _elements.",
            ));
        }
    }
    if shape.count {
        return Err(Failure::unsupported("Only what is searched for is counted."));
    }
    Ok(shape)
}
