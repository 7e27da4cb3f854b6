//! The whole surface: every context's operations as one OpenAPI service, and
//! the document that describes it.

use std::{collections::HashMap, marker::PhantomData, sync::Arc};

use api::{Authenticator, Methods, Problem, SoundInput, Surround};
use kernel::ErrorKind;
use poem::{
    Endpoint, EndpointExt as _, Response, Route,
    endpoint::{BoxEndpoint, make_sync},
    http::{HeaderName, Method},
    middleware::{CatchPanic, Compression, Cors, SetHeader},
};
use poem_openapi::{
    OpenApi, OpenApiService,
    registry::{MetaApi, Registry},
};
use serde_json::{Value, json};

/// What surrounds the operations.
pub struct SurfaceSettings {
    pub public_url: String,
    /// Which origins a browser may call from; none without an entry.
    pub cors_origins: Vec<String>,
    pub surround: Surround,
    pub authenticator: Arc<dyn Authenticator>,
}

fn service<T: OpenApi>(operations: T) -> OpenApiService<T, ()> {
    OpenApiService::new(operations, "Salus", env!("CARGO_PKG_VERSION"))
        .description(include_str!("description.md"))
        .license("MIT OR Apache-2.0")
}

/// The operations' description without anything behind them.
struct Described<T>(PhantomData<T>);

impl<T: OpenApi> OpenApi for Described<T> {
    fn meta() -> Vec<MetaApi> {
        T::meta()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn add_routes(self, _: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
}

/// The OpenAPI document of these operations.
pub fn document<T: OpenApi>() -> String {
    standard(&service(Described::<T>(PhantomData)).spec())
}

/// The document as generators of clients understand it. The framework names
/// dates in a word of its own, and does not say that a property that need not
/// be there can be null, as it is in answers and may be in requests.
fn standard(document: &str) -> String {
    let document = document.replace("\"naive-date\"", "\"date\"");
    let Ok(mut document) = serde_json::from_str::<Value>(&document) else { return document };
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    for schema in schemas.into_iter().flat_map(|schemas| schemas.values_mut()) {
        say_what_can_be_null(schema);
    }
    format!("{document:#}")
}

fn say_what_can_be_null(schema: &mut Value) {
    for part in schema.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
        say_what_can_be_null(part);
    }
    let required: Vec<Value> =
        schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if required.iter().any(|required| required == name.as_str()) {
            continue;
        }
        if property.get("$ref").is_some() {
            // What stands beside a reference does not count in OpenAPI 3.0.
            *property = json!({ "allOf": [property.take()] });
        }
        if let Some(choices) = property.get_mut("enum").and_then(Value::as_array_mut) {
            choices.push(Value::Null);
        }
        property["nullable"] = Value::Bool(true);
    }
}

/// Everything that answers over HTTP: the operations, their document and its
/// pages, and `beside` (health and FHIR) with the paths that it has.
pub fn endpoint<T: OpenApi + 'static>(
    operations: T,
    beside: Route,
    settings: SurfaceSettings,
) -> impl Endpoint {
    let service = service(operations).server(&settings.public_url);
    let document = standard(&service.spec());
    let pages = service
        .swagger_ui()
        // The pages bring their own scripts and styles inline.
        .with(SetHeader::new().overriding(
            HeaderName::from_static("content-security-policy"),
            "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
        ));
    // What a front end of another origin has to read of an answer.
    let mut cors = Cors::new().allow_credentials(false).expose_headers([
        "etag",
        "location",
        "retry-after",
        "x-request-id",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "ratelimit-policy",
    ]);
    for origin in &settings.cors_origins {
        cors = cors.allow_origin(origin.as_str());
    }
    let routes = beside
        .nest("/docs", pages)
        .at(
            "/openapi.json",
            make_sync(move |_| {
                Response::builder().content_type("application/json").body(document.clone())
            }),
        )
        .nest("/", service.with(Methods::of::<T>()).with(SoundInput))
        .data(settings.authenticator)
        .data(Arc::clone(&settings.surround.limits));
    let routes = routes.with(CatchPanic::new().with_handler(|_| {
        tracing::error!("a handler panicked");
        Problem::new(ErrorKind::Internal, "internal", "Something went wrong on our side.")
    }));
    let compressed = routes.with(Compression::new());
    let surrounded = compressed.with(settings.surround);
    if settings.cors_origins.is_empty() {
        surrounded.boxed()
    } else {
        surrounded.with(cors).boxed()
    }
}
