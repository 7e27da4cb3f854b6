//! The whole surface: every context's operations as one OpenAPI service, and
//! the document that describes it.

use std::{collections::HashMap, marker::PhantomData, sync::Arc};

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

use crate::core::{Authenticator, Methods, Problem, SoundInput, Surround};

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

/// The framework names dates in a word of its own, which no generator of
/// clients knows.
fn standard(document: &str) -> String {
    document.replace("\"naive-date\"", "\"date\"")
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
    let mut cors = Cors::new().allow_credentials(false);
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
        .data(settings.authenticator);
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
