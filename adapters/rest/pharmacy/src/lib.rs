//! Prescriptions, inventory, dispatch and shipments over HTTP; and what the
//! eRx network and the carriers call.

pub mod fulfilment;
pub mod prescriptions;
