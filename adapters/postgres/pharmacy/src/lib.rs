//! The stores of the pharmacy: prescriptions with their messages and pharmacies, and what
//! comes after them.

mod fulfilment;
mod prescriptions;

use kernel::AccountId;
use pharmacy::{
    dispatch::{Dispatch, hold::FillHold},
    prescription::{Pharmacy, Prescription},
    shipment::Shipment,
};
use sea_orm::sea_query::{Expr, SimpleExpr};

pg::store!(Tx {
    Pharmacy => prescriptions::pharmacies::Model,
    Prescription => prescriptions::rows::Model,
    Dispatch => fulfilment::dispatches::Model,
    Shipment => fulfilment::shipments::Model,
    FillHold => fulfilment::holds::Model,
});

/// Rows with a `pharmacy_id`: those of the pharmacies in which somebody works.
fn staffed_by(account: AccountId) -> SimpleExpr {
    Expr::cust_with_values(
        "pharmacy_id IN (SELECT pharmacy_id FROM pharmacy_staff WHERE account_id = $1)",
        [account.uuid()],
    )
}

/// As the database counts; what is stored is far below the limit.
fn int(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
