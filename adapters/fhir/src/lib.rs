//! FHIR R4 over HTTP: the mapping of the domain's facts to resources, and read
//! and search over them for partners with SMART backend-services tokens and
//! for patients with their own. It knows the records context and how identity
//! authenticates; it holds no rule about who may see what.

mod accept;
pub mod access;
pub mod capability;
pub mod mapping;
mod outcome;
mod query;
mod response;
mod routes;
mod shape;

pub use access::{Authenticate, Unauthenticated};
pub use mapping::R4Mapper;
pub use outcome::refuse;
pub use routes::{FhirServer, routes};
