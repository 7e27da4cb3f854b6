//! Documents, set with typst from templates that stand in this crate.
//!
//! It owns how an invoice looks on paper. What stands on it comes in as data
//! and is set as text, never as markup; the fonts are embedded in the binary,
//! and nothing is read from the machine, so that the same invoice gives the
//! same bytes everywhere. It knows no rule of billing.

mod invoice;

pub use invoice::TypstInvoices;
