//! Identity owns who may act: accounts, passwords, second factors, sessions and
//! their tokens, roles and the permission matrix, the profiles of patients and providers,
//! and SMART backend-services clients. It knows nothing of HTTP, of SQL, of
//! key files or of how a mail is sent, and nothing of what the other contexts
//! do with the actors it vouches for.
//!
//! Events it emits: `AccountRegistered`, `EmailVerificationRequested`,
//! `RegistrationRepeated`, `PasswordResetRequested`, `EmailVerified`,
//! `EmailChangeRequested`, `SignInChanged`, `PatientProfileChanged` and
//! `LicenseExpiring`. It handles no events. Its one job is
//! [`license_alerts::AlertLicenses`], every day. Whoever sends the mails asks
//! [`registration::verification_link_token`],
//! [`registration::reset_link_token`] and
//! [`credentials::email_change_link_token`] for the secret part of the links and
//! [`directory::contact`] for the address.

pub mod access;
pub mod account;
pub mod client;
pub mod credentials;
pub mod directory;
pub mod error;
pub mod factor;
pub mod first_administrator;
pub mod license_alerts;
pub mod login;
pub mod oauth;
pub mod passkey;
pub mod passkeys;
pub mod password;
pub mod permissions;
pub mod profile;
pub mod provider;
pub mod registration;
pub mod roles;
pub mod scope;
pub mod second_factor;
pub mod services;
pub mod session;
pub mod sessions;
pub mod staff;
pub mod store;
pub mod throttle;
pub mod token;
pub mod working_hours;

pub use access::{authenticate, authenticate_to_enrol};
pub use account::{Account, AccountState, Challenge, EmailChange};
pub use client::ApiClient;
pub use directory::{Contact, LicensedProvider};
pub use error::IdentityError;
pub use license_alerts::ExpiringLicense;
pub use oauth::OAuthError;
pub use password::{PasswordHash, PasswordHasher};
pub use permissions::Matrix;
pub use profile::{PatientProfile, ProfileForm, Ssn};
pub use provider::{License, LicenseStatus, ProviderForm, ProviderProfile};
pub use scope::{Interaction, SystemScope};
pub use services::{Policy, Services};
pub use session::{Session, SessionState};
pub use store::{IdentityStore, IdentityTx};
pub use throttle::Throttle;
pub use token::{SigningKey, SigningKeys, TokenPair};
pub use working_hours::{HoursForm, Shift, ShiftForm, WorkingHours};
