//! Identity over HTTP: registration, sign-in, profiles, staff and API clients.

mod auth;
mod clients;
mod people;
mod staff;

use async_trait::async_trait;
use identity::Services;
use kernel::{Actor, RequestContext};
use poem_openapi::{ApiResponse, Enum, OpenApi};

use crate::core::{Authenticator, Problem};

/// Turns bearer tokens into actors with identity's own use case.
pub struct TokenAuthenticator {
    pub services: Services,
}

#[async_trait]
impl Authenticator for TokenAuthenticator {
    async fn authenticate(&self, token: &str, request: RequestContext) -> Result<Actor, Problem> {
        Ok(identity::authenticate(&self.services, token, request).await?)
    }
}

/// The operations, for `OpenApiService::new`.
pub fn operations(services: Services) -> impl OpenApi {
    (
        auth::AuthApi { services: services.clone() },
        people::ProfileApi { services: services.clone() },
        staff::StaffApi { services: services.clone() },
        clients::ClientApi { services },
    )
}

/// The request was taken; what comes of it is told by mail.
#[derive(ApiResponse)]
pub enum Accepted {
    /// The request was taken. The answer is the same whether or not the
    /// address has an account; its owner is told by mail.
    #[oai(status = 202)]
    Accepted,
}

/// Done, and there is nothing to show.
#[derive(ApiResponse)]
pub enum Done {
    /// Done.
    #[oai(status = 204)]
    Done,
}

/// What somebody is to Salus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Role {
    Patient,
    Provider,
    Pharmacist,
    Support,
    Auditor,
    Admin,
    SuperAdmin,
}

impl From<kernel::Role> for Role {
    fn from(role: kernel::Role) -> Self {
        match role {
            kernel::Role::Patient => Self::Patient,
            kernel::Role::Provider => Self::Provider,
            kernel::Role::Pharmacist => Self::Pharmacist,
            kernel::Role::Support => Self::Support,
            kernel::Role::Auditor => Self::Auditor,
            kernel::Role::Admin => Self::Admin,
            kernel::Role::SuperAdmin => Self::SuperAdmin,
        }
    }
}

impl From<Role> for kernel::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Patient => Self::Patient,
            Role::Provider => Self::Provider,
            Role::Pharmacist => Self::Pharmacist,
            Role::Support => Self::Support,
            Role::Auditor => Self::Auditor,
            Role::Admin => Self::Admin,
            Role::SuperAdmin => Self::SuperAdmin,
        }
    }
}
