//! The stores of the pharmacy: prescriptions with their messages and pharmacies, and what
//! comes after them.

mod fulfilment;
mod prescriptions;

pg::store!(Tx {});
