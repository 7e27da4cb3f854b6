//! Who calls.

use std::sync::Arc;

use async_trait::async_trait;
use kernel::{Actor, ErrorKind, RequestContext};
use poem::{FromRequest, Request, RequestBody};
use poem_openapi::{SecurityScheme, auth::Bearer};

use super::{Limits, Problem, permits, request::note_caller, request_context};

/// Turns a bearer token into an actor; identity provides it.
#[async_trait]
pub trait Authenticator: Send + Sync {
    async fn authenticate(&self, token: &str, request: RequestContext) -> Result<Actor, Problem>;

    /// The same for the operations that are open to whoever has yet to set up
    /// the second factor that their roles ask for.
    async fn authenticate_to_enrol(
        &self,
        token: &str,
        request: RequestContext,
    ) -> Result<Actor, Problem> {
        self.authenticate(token, request).await
    }
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

/// A caller with a valid access token, who may still lack the second factor
/// that the roles of the account ask for.
#[derive(SecurityScheme)]
#[oai(rename = "bearer", ty = "bearer", bearer_format = "JWT", checker = "authenticate_to_enrol")]
pub struct Enrolling(Actor);

impl Enrolling {
    pub fn actor(&self) -> &Actor {
        &self.0
    }
}

async fn authenticate(request: &Request, bearer: Bearer) -> poem::Result<Actor> {
    let context = request_context(request);
    let actor = authenticator(request)?.authenticate(&bearer.token, context).await?;
    admit(request, actor).await
}

async fn authenticate_to_enrol(request: &Request, bearer: Bearer) -> poem::Result<Actor> {
    let context = request_context(request);
    let actor = authenticator(request)?.authenticate_to_enrol(&bearer.token, context).await?;
    admit(request, actor).await
}

fn authenticator(request: &Request) -> Result<&Arc<dyn Authenticator>, Problem> {
    request
        .data::<Arc<dyn Authenticator>>()
        .ok_or_else(|| Problem::new(ErrorKind::Internal, "internal", "No authenticator."))
}

async fn admit(request: &Request, actor: Actor) -> poem::Result<Actor> {
    note_caller(&actor);
    if let Some(limits) = request.data::<Arc<Limits>>() {
        limits.of(&actor).await?;
    }
    permits::check(request, &actor)?;
    Ok(actor)
}

/// A caller of a public operation: known only by where the request came from.
pub struct Visitor(Actor);

impl Visitor {
    pub fn actor(&self) -> &Actor {
        &self.0
    }

    pub fn request(self) -> RequestContext {
        self.0.request
    }
}

impl<'a> FromRequest<'a> for Visitor {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(Actor::anonymous(request_context(request))))
    }
}
