//! What the queries of this store have in common.

use kernel::{Page, PageRequest};
use ports::{Aggregate as _, Result};
use sea_orm::{
    ColumnTrait as _, Condition, DbBackend, EntityTrait, FromQueryResult, ModelTrait,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Select, Statement, Value,
};

use pg::{PgTx, Row, db, id_cursor};

/// A page of the rows that are selected, the newest first: ids are ordered by time.
pub async fn newest_first<R: Row>(
    tx: &PgTx,
    select: Select<R::Entity>,
    id: <<R as ModelTrait>::Entity as EntityTrait>::Column,
    page: &PageRequest,
) -> Result<Page<R::Aggregate>> {
    let before = id_cursor(page)?.map(|last| id.lt(last));
    let select = select.filter(Condition::all().add_option(before)).order_by_desc(id);
    let found = R::load(tx, select.limit(u64::from(page.limit()) + 1)).await?;
    Ok(Page::from_overfetch(found, page, |last| last.id().to_string()))
}

/// The rows of a query, read in this transaction.
pub async fn rows<T: FromQueryResult>(
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

#[derive(FromQueryResult)]
struct Count {
    count: i64,
}

/// What a query counts as `count`.
pub async fn count(tx: &PgTx, doing: &str, sql: &str, value: Value) -> Result<u64> {
    let found: Vec<Count> = rows(tx, doing, sql, [value]).await?;
    Ok(found.first().map_or(0, |row| row.count.unsigned_abs()))
}
