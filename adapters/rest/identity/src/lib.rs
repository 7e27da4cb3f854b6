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

use identity::Services;
use poem_openapi::ApiResponse;

use self::{
    auth::AuthApi, clients::ClientApi, credentials::CredentialsApi, factors::FactorsApi,
    people::ProfileApi, providers::ProvidersApi, roles::RolesApi, sessions::SessionsApi,
    staff::StaffApi,
};

/// The operations of identity.
pub type IdentityApi = (
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

pub fn apis(services: &Services) -> IdentityApi {
    let services = || services.clone();
    (
        AuthApi(services()),
        FactorsApi(services()),
        CredentialsApi(services()),
        SessionsApi(services()),
        ProfileApi(services()),
        ProvidersApi(services()),
        StaffApi(services()),
        RolesApi(services()),
        ClientApi(services()),
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
