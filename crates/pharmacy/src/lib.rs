//! Pharmacy: prescriptions from the draft to the last fill, the safety checks
//! that stand before them, electronic prescribing, and the fulfilment of what
//! was prescribed.
//!
//! It owns prescriptions, safety alerts, eRx messages, the pharmacy directory,
//! stock, dispatches and shipments. It knows nothing of how a treatment was
//! decided (`care`), who pays for it (`billing`) or how the clinical record is
//! kept (`records`): what it needs of them comes through traits that it
//! defines itself.

pub mod dispatch;
pub mod error;
pub mod erx;
pub mod fulfilment;
pub mod inventory;
pub mod prescription;
pub mod safety;
pub mod shipment;

pub use error::PharmacyError;
