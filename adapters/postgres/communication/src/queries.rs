//! What the queries of this store have in common.

use pg::PgTx;
use ports::Result;
use sea_orm::{FromQueryResult, Value};

#[derive(FromQueryResult)]
struct Count {
    count: i64,
}

/// What a query counts as `count`.
pub async fn count(tx: &PgTx, doing: &str, sql: &str, value: Value) -> Result<u64> {
    let found: Vec<Count> = tx.rows(doing, sql, [value]).await?;
    Ok(found.first().map_or(0, |row| row.count.unsigned_abs()))
}
