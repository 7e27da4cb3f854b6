//! Who calls.

use std::sync::Arc;

use async_trait::async_trait;
use kernel::{Actor, ErrorKind, RequestContext};
use poem::{FromRequest, Request, RequestBody};
use poem_openapi::{SecurityScheme, auth::Bearer};

use super::{Limits, Problem, request::note_caller, request_context};

/// Turns a bearer token into an actor; identity provides it.
#[async_trait]
pub trait Authenticator: Send + Sync {
    async fn authenticate(&self, token: &str, request: RequestContext) -> Result<Actor, Problem>;
}

/// Keeps who asked for what they have no right to. What is refused within a
/// use case for the sake of one record is audited there; this is for the
/// operations that a role does not have at all.
#[async_trait]
pub trait DenialLog: Send + Sync {
    /// `operation` is a method and a route's pattern, without ids.
    async fn denied(&self, actor: &Actor, operation: &str) -> ports::Result<()>;
}

/// A caller with a valid access token.
#[derive(SecurityScheme)]
#[oai(rename = "bearer", ty = "bearer", bearer_format = "JWT", checker = "authenticate")]
pub struct Caller(Actor);

impl Caller {
    pub fn actor(&self) -> &Actor {
        &self.0
    }
}

async fn authenticate(request: &Request, bearer: Bearer) -> poem::Result<Actor> {
    let authenticator = request
        .data::<Arc<dyn Authenticator>>()
        .ok_or_else(|| Problem::new(ErrorKind::Internal, "internal", "No authenticator."))?;
    let actor = authenticator.authenticate(&bearer.token, request_context(request)).await?;
    note_caller(&actor);
    if let Some(limits) = request.data::<Arc<Limits>>() {
        limits.of(&actor).await?;
    }
    Ok(actor)
}

/// A caller of a public operation: known only by where the request came from.
pub struct Visitor(Actor);

impl Visitor {
    pub fn actor(&self) -> &Actor {
        &self.0
    }
}

impl<'a> FromRequest<'a> for Visitor {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(Actor::anonymous(request_context(request))))
    }
}
