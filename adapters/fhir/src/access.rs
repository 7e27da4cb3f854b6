//! From a bearer token to an actor.

use async_trait::async_trait;
use identity::{IdentityError, Services};
use kernel::{Actor, RequestContext};
use ports::PortError;

#[derive(Debug, thiserror::Error)]
pub enum Unauthenticated {
    #[error("the access token is missing, not valid or expired")]
    NoValidToken,
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Turns a bearer token into the actor it stands for.
#[async_trait]
pub trait Authenticate: Send + Sync {
    async fn authenticate(
        &self,
        bearer: &str,
        request: RequestContext,
    ) -> Result<Actor, Unauthenticated>;
}

#[async_trait]
impl Authenticate for Services {
    async fn authenticate(
        &self,
        bearer: &str,
        request: RequestContext,
    ) -> Result<Actor, Unauthenticated> {
        identity::authenticate(self, bearer, request).await.map_err(|error| match error {
            IdentityError::Port(error) => Unauthenticated::Port(error),
            _ => Unauthenticated::NoValidToken,
        })
    }
}
