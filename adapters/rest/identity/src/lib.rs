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
    ApiResponse, OpenApi,
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
