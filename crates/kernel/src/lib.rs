//! The words every context shares: typed ids, money, actors, pages, error
//! kinds, places and coded values. It owns no behaviour that touches the
//! outside world and knows nothing of databases, HTTP or any vendor.

// The derives name the kernel by this name.
extern crate self as kernel;

pub mod actor;
pub mod age;
pub mod calendar;
pub mod code;
pub mod covered;
pub mod decimal;
pub mod error;
pub mod feature;
pub mod id;
pub mod money;
pub mod page;
pub mod permission;
pub mod person;
pub mod place;
#[cfg(feature = "rows")]
pub mod rows;
pub mod seen;
pub mod speciality;
pub mod text;
#[cfg(feature = "wire")]
pub mod wire;
pub mod word;

pub use actor::{Actor, ActorKind, RequestContext};
pub use age::Age;
pub use calendar::year_fits;
pub use code::{
    Coding, Dea, DeaSchedule, FeatureCode, Icd10, NcpdpId, Ndc, Npi, PostalCode, QuantityUnit,
    RxNorm,
};
pub use covered::{CoveredTreatment, DoseAmount, DoseForm, Misfit, TreatedWith};
pub use decimal::{Decimal, InexactDecimal};
pub use error::{DomainError, ErrorKind, FieldError};
pub use feature::Feature;
pub use id::*;
pub use macros::{DomainError, Word};
pub use money::{Currency, Money};
pub use page::{Page, PageRequest};
pub use permission::{Permission, Role};
pub use person::{Address, EmailAddress, HumanName, PhoneNumber, Sex};
pub use place::UsState;
pub use seen::Seen;
pub use speciality::Speciality;
pub use text::TextKind;
pub use word::UnknownWord;
