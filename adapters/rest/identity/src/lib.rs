//! Identity over HTTP: registration, sign-in, profiles, staff and API clients.

mod auth;
mod clients;
mod credentials;
mod factors;
mod people;
mod providers;
mod roles;
mod sessions;
mod staff;

use std::collections::HashMap;

use identity::Services;
use poem::{endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    ApiResponse, Enum, OpenApi,
    registry::{MetaApi, Registry},
};

use self::{
    auth::AuthApi, clients::ClientApi, credentials::CredentialsApi, factors::FactorsApi,
    people::ProfileApi, providers::ProvidersApi, roles::RolesApi, sessions::SessionsApi,
    staff::StaffApi,
};

/// The operations of identity: groups that stand in files of their own and are
/// served as one.
pub struct IdentityApi {
    pub services: Services,
}

type Groups = (
    AuthApi,
    FactorsApi,
    CredentialsApi,
    SessionsApi,
    ProfileApi,
    ProvidersApi,
    StaffApi,
    RolesApi,
    ClientApi,
);

impl OpenApi for IdentityApi {
    fn meta() -> Vec<MetaApi> {
        Groups::meta()
    }

    fn register(registry: &mut Registry) {
        Groups::register(registry);
    }

    fn add_routes(self, routes: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {
        let services = || self.services.clone();
        let groups: Groups = (
            AuthApi { services: services() },
            FactorsApi { services: services() },
            CredentialsApi { services: services() },
            SessionsApi { services: services() },
            ProfileApi { services: services() },
            ProvidersApi { services: services() },
            StaffApi { services: services() },
            RolesApi { services: services() },
            ClientApi { services: services() },
        );
        groups.add_routes(routes);
    }
}

/// The request was taken; what comes of it is told by mail.
#[derive(ApiResponse)]
pub enum Accepted {
    /// The request was taken. The answer is the same whether or not the
    /// address has an account; its owner is told by mail.
    #[oai(status = 202)]
    Accepted,
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
