//! The stores of the pharmacy: prescriptions with their messages and pharmacies, and what
//! comes after them.

mod fulfilment;
mod prescriptions;

use kernel::{AccountId, Page, PageRequest};
use pg::{PgTx, Row, db, id_cursor};
use pharmacy::{
    dispatch::{Dispatch, hold::FillHold},
    prescription::{Pharmacy, Prescription},
    shipment::Shipment,
};
use ports::{Aggregate as _, Result};
use sea_orm::{
    ColumnTrait as _, Condition, DbBackend, EntityTrait, FromQueryResult, ModelTrait, Order,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Select, Statement, Value,
    sea_query::{Expr, SimpleExpr},
};

pg::store!(Tx {
    Pharmacy => prescriptions::pharmacies::Model,
    Prescription => prescriptions::rows::Model,
    Dispatch => fulfilment::dispatches::Model,
    Shipment => fulfilment::shipments::Model,
    FillHold => fulfilment::holds::Model,
});

/// The rows of a query, read in this transaction.
async fn rows<T: FromQueryResult>(
    tx: &PgTx,
    doing: &str,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<T>> {
    T::find_by_statement(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .all(tx.read())
        .await
        .map_err(|error| db(doing, error))
}

/// A page of the rows that are selected, by their ids, which are ordered by time.
async fn page<R: Row>(
    tx: &PgTx,
    select: Select<R::Entity>,
    id: <<R as ModelTrait>::Entity as EntityTrait>::Column,
    order: Order,
    request: &PageRequest,
) -> Result<Page<R::Aggregate>> {
    let after = id_cursor(request)?.map(|last| match order {
        Order::Desc => id.lt(last),
        _ => id.gt(last),
    });
    let select = select.filter(Condition::all().add_option(after)).order_by(id, order);
    let found = R::load(tx, select.limit(u64::from(request.limit()) + 1)).await?;
    Ok(Page::from_overfetch(found, request, |last| last.id().to_string()))
}

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
