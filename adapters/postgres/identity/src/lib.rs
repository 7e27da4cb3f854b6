//! Identity's store: accounts, sessions, profiles, licenses and clients.

mod accounts;
mod challenges;
mod clients;
mod factors;
mod profiles;
mod providers;
mod roles;
mod sessions;
mod throttles;

pub use providers::holds_license_in_force;

use identity::{Account, ApiClient, PatientProfile, ProviderProfile};

pg::store!(Tx {
    Account => accounts::Model,
    ApiClient => clients::Model,
    PatientProfile => profiles::Model,
    ProviderProfile => providers::Model,
});
