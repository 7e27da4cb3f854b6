//! The plain operations on aggregates, once for every row (see `ports::Repository`).
//!
//! A store describes its row ([`Row`]) and pairs it with its aggregate ([`store!`]).
//! Everything else is here: the actor's reach, sealing, locks, versions, and the audit
//! entry of a change.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{Actor, Page, PageRequest, Seen, Uuid};
use ports::{
    Aggregate, AuditAction, AuditEntry, AuditOutcome, FieldChange, Locked, PortError, Result,
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, DbBackend, EntityName as _, EntityTrait,
    FromQueryResult, IdenStatic as _, IntoActiveModel, Iterable as _, ModelTrait, Order,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _, Select, Statement, Value,
    sea_query::{Expr, ExprTrait as _, LockBehavior, LockType, sea_value_to_json_value},
};
use serde_json::{Map, Value as Json};

use super::{PgTx, db, id_cursor, time_cursor, time_cursor_of};

type Column<R> = <<R as ModelTrait>::Entity as EntityTrait>::Column;
type Id<R> = <<R as Row>::Aggregate as Aggregate>::Id;

/// What a row says that its types do not allow.
pub type Unreadable = Box<dyn std::error::Error + Send + Sync>;

/// The row of an aggregate: an entity of SeaORM with the columns `id` and
/// `version`, in which sealed columns hold their plain bytes.
#[async_trait]
pub trait Row:
    ModelTrait<Entity: EntityTrait<Model = Self>>
    + FromQueryResult
    + IntoActiveModel<<<Self as ModelTrait>::Entity as EntityTrait>::ActiveModel>
    + Sync
{
    type Aggregate: Aggregate;

    /// The columns that are sealed where they are stored.
    const SEALED: &'static [Column<Self>] = &[];

    /// Columns whose values stay out of the audit log, such as a hash or an address. Sealed
    /// columns never show theirs.
    const UNTOLD: &'static [Column<Self>] = &[];

    /// `NoKeyUpdate` for rows that others refer to while they are locked: a new reference
    /// does not wait for it.
    const LOCK: LockType = LockType::Update;

    /// Whether the aggregate is read from other tables too. Then `load` reads them.
    const HAS_PARTS: bool = false;

    fn open(self) -> Result<Self::Aggregate, Unreadable>;

    fn close(aggregate: &Self::Aggregate) -> Self;

    /// Which rows an actor reaches, where row-level security does not say all.
    fn reach(_: &Actor) -> Condition {
        Condition::all()
    }

    /// The aggregates of the rows that are selected. One that has parts reads them in
    /// the same statement, so that it is never read with those of another version.
    async fn load(tx: &PgTx, select: Select<Self::Entity>) -> Result<Vec<Self::Aggregate>> {
        let rows = select.all(tx.read()).await.map_err(|error| db(&reading::<Self>(), error))?;
        rows.into_iter().map(|row| opened(tx, row)).collect()
    }

    /// Writes what the aggregate has in other tables, after each insert and save.
    async fn save_parts(_: &mut PgTx, _: &Self::Aggregate) -> Result<()> {
        Ok(())
    }

    /// The values in other tables by field path, for the audit log.
    fn parts(_: &Self::Aggregate) -> BTreeMap<String, Json> {
        BTreeMap::new()
    }

    /// The sealed values in other tables by field path. The audit log shows which of these
    /// fields changed, and no values.
    fn sealed_parts(_: &Self::Aggregate) -> BTreeMap<String, Json> {
        BTreeMap::new()
    }
}

fn reading<R: Row>() -> String {
    format!("reading {}", R::Entity::default().table_name())
}

fn writing<R: Row>() -> String {
    format!("writing {}", R::Entity::default().table_name())
}

fn column<R: Row>(name: &str) -> Result<Column<R>> {
    let missing = |_| {
        let table = R::Entity::default().table_name().to_owned();
        PortError::bug(format!("the table {table} has no column {name}"))
    };
    name.parse().map_err(missing)
}

fn place<R: Row>(column: Column<R>) -> String {
    format!("{}.{}", R::Entity::default().table_name(), column.as_str())
}

/// The aggregate of a row as the database gave it.
pub fn opened<R: Row>(tx: &PgTx, row: R) -> Result<R::Aggregate> {
    opened_with(tx, row, |_| Ok(()))
}

/// The same with its parts, which `add` puts in.
pub fn opened_with<R: Row>(
    tx: &PgTx,
    mut row: R,
    add: impl FnOnce(&mut R::Aggregate) -> Result<(), Unreadable>,
) -> Result<R::Aggregate> {
    let id = row.get(column::<R>("id")?);
    let id: Uuid = match id {
        Value::Uuid(Some(id)) => id,
        _ => return Err(PortError::bug(format!("{} has no id", reading::<R>()))),
    };
    let unreadable = |error: Unreadable| {
        PortError::internal(format!("the row {id} cannot be read while {}", reading::<R>()), error)
    };
    for sealed in R::SEALED {
        if let Value::Bytes(Some(bytes)) = row.get(*sealed) {
            let plain = tx.unseal(&place::<R>(*sealed), id, bytes)?;
            row.try_set(*sealed, plain.into()).map_err(|error| unreadable(error.into()))?;
        }
    }
    let mut aggregate = row.open().map_err(unreadable)?;
    add(&mut aggregate).map_err(unreadable)?;
    Ok(aggregate)
}

/// A row's value for a column, as it is stored.
fn stored<R: Row>(tx: &PgTx, row: &R, id: Uuid, column: Column<R>) -> Result<Value> {
    let value = row.get(column);
    match value {
        Value::Bytes(Some(plain)) if is_among::<R>(R::SEALED, column) => {
            Ok(tx.seal(&place::<R>(column), id, &plain)?.into())
        }
        value => Ok(value),
    }
}

fn is_among<R: Row>(columns: &[Column<R>], column: Column<R>) -> bool {
    columns.iter().any(|one| one.as_str() == column.as_str())
}

/// The rows that the transaction's actor reaches.
pub fn reached<R: Row>(tx: &PgTx) -> Select<R::Entity> {
    R::Entity::find().filter(R::reach(tx.actor()))
}

fn of_id<R: Row>(tx: &PgTx, id: Uuid) -> Result<Select<R::Entity>> {
    Ok(reached::<R>(tx).filter(column::<R>("id")?.eq(id)))
}

pub async fn find<R: Row>(tx: &PgTx, id: Id<R>) -> Result<Option<R::Aggregate>> {
    Ok(R::load(tx, of_id::<R>(tx, id.into())?).await?.pop())
}

/// Locks the selected rows and reads their aggregates. It waits for rows that another
/// transaction has locked, or skips them with `skip_locked`.
pub async fn locked<R: Row>(
    tx: &mut PgTx,
    select: Select<R::Entity>,
    skip_locked: bool,
) -> Result<Vec<Locked<R::Aggregate>>> {
    let select = if skip_locked {
        select.lock_with_behavior(R::LOCK, LockBehavior::SkipLocked)
    } else {
        select.lock(R::LOCK)
    };
    let found = if R::HAS_PARTS {
        let rows = select.all(tx.read()).await.map_err(|error| db(&reading::<R>(), error))?;
        let id = column::<R>("id")?;
        let ids: Vec<Value> = rows.iter().map(|row| row.get(id)).collect();
        let mut found =
            R::load(tx, R::Entity::find().filter(id.is_in(ids.iter().cloned()))).await?;
        // In the order of the query.
        found.sort_by_key(|one| ids.iter().position(|id| *id == Value::from(one.id().into())));
        found
    } else {
        R::load(tx, select).await?
    };
    Ok(found.into_iter().map(Locked::new).collect())
}

/// A page of the rows that are selected, by a time and then the id.
pub async fn page<R: Row>(
    tx: &PgTx,
    select: Select<R::Entity>,
    by: Column<R>,
    order: Order,
    request: &PageRequest,
    time: impl Fn(&R::Aggregate) -> DateTime<Utc>,
) -> Result<Page<R::Aggregate>> {
    let id = column::<R>("id")?;
    let mut select = select;
    if let Some((at, last)) = time_cursor(request)? {
        let place = Expr::tuple([Expr::col(by.as_column_ref()), Expr::col(id.as_column_ref())]);
        let cursor = Expr::tuple([Expr::val(at), Expr::val(last)]);
        select = select.filter(match order {
            Order::Desc => place.lt(cursor),
            _ => place.gt(cursor),
        });
    }
    let select = select.order_by(by, order.clone()).order_by(id, order);
    let found = R::load(tx, select.limit(u64::from(request.limit()) + 1)).await?;
    Ok(Page::from_overfetch(found, request, |last| time_cursor_of(time(last), last.id().into())))
}

/// A page of the selected rows by their ids, which are ordered by time.
pub async fn page_by_id<R: Row>(
    tx: &PgTx,
    select: Select<R::Entity>,
    order: Order,
    request: &PageRequest,
) -> Result<Page<R::Aggregate>> {
    let id = column::<R>("id")?;
    let after = id_cursor(request)?.map(|last| match order {
        Order::Desc => id.lt(last),
        _ => id.gt(last),
    });
    let select = select.filter(Condition::all().add_option(after)).order_by(id, order);
    let found = R::load(tx, select.limit(u64::from(request.limit()) + 1)).await?;
    Ok(Page::from_overfetch(found, request, |last| last.id().to_string()))
}

pub async fn lock<R: Row>(tx: &mut PgTx, id: Id<R>, seen: &Seen) -> Result<Locked<R::Aggregate>> {
    let not_found = || PortError::not_found(R::Aggregate::NAME);
    let select = of_id::<R>(tx, id.into())?.lock(R::LOCK);
    let row = select.one(tx.read()).await.map_err(|error| db(&reading::<R>(), error))?;
    let row = row.ok_or_else(not_found)?;
    // The parts are read after the lock, so that they belong to the locked version.
    let found = if R::HAS_PARTS {
        find::<R>(tx, id).await?.ok_or_else(not_found)?
    } else {
        opened(tx, row)?
    };
    if !seen.admits(found.version()) {
        let changes = match seen.newest() {
            Some(version) => changes_since::<R>(tx, &found, version).await?,
            None => Vec::new(),
        };
        return Err(PortError::stale(seen, found.version(), &changes));
    }
    Ok(Locked::new(found))
}

pub async fn insert<R: Row>(tx: &mut PgTx, aggregate: &R::Aggregate) -> Result<()> {
    if aggregate.version() != 1 {
        return Err(PortError::bug(format!("a new {} has a version", R::Aggregate::NAME)));
    }
    let (id, row) = (aggregate.id().into(), R::close(aggregate));
    let mut values = row.clone().into_active_model().reset_all();
    for sealed in R::SEALED {
        values.set(*sealed, stored(tx, &row, id, *sealed)?);
    }
    let insert = R::Entity::insert(values).into_query();
    tx.change(&writing::<R>(), insert).await?;
    R::save_parts(tx, aggregate).await?;
    // What it says is in the row, and what it said before a change in the entry of that.
    tx.changed(Change::of(aggregate, AuditAction::Create, BTreeMap::new()));
    Ok(())
}

pub async fn save<R: Row>(tx: &mut PgTx, aggregate: &mut Locked<R::Aggregate>) -> Result<()> {
    let (before, version) = (aggregate.stored(), aggregate.stored().version());
    if aggregate.version() != version || aggregate.id().into() != before.id().into() {
        return Err(PortError::bug(format!("a {} counted its version", R::Aggregate::NAME)));
    }
    if *before == **aggregate {
        return Ok(());
    }
    let id = before.id().into();
    let (old, new) = (R::close(before), R::close(aggregate));
    let said = difference(&said::<R>(before, &old), &said::<R>(aggregate, &new));
    let mut update = R::Entity::update_many();
    for column in Column::<R>::iter().filter(|column| old.get(*column) != new.get(*column)) {
        update = update.col_expr(column, Expr::val(stored(tx, &new, id, column)?));
    }
    let counted = column::<R>("version")?;
    let update = update
        .col_expr(counted, Expr::val(version + 1))
        .filter(column::<R>("id")?.eq(id))
        .filter(counted.eq(version))
        .into_query();
    if tx.change(&writing::<R>(), update).await? != 1 {
        return Err(PortError::bug(format!(
            "a {} was saved that nobody locked",
            R::Aggregate::NAME
        )));
    }
    R::save_parts(tx, aggregate).await?;
    aggregate.saved(version + 1);
    tx.changed(Change::of(&**aggregate, AuditAction::Update, said));
    Ok(())
}

pub async fn delete<R: Row>(tx: &mut PgTx, aggregate: Locked<R::Aggregate>) -> Result<()> {
    let gone = aggregate.stored();
    let delete = R::Entity::delete_many()
        .filter(column::<R>("id")?.eq(gone.id().into()))
        .filter(column::<R>("version")?.eq(gone.version()))
        .into_query();
    if tx.change(&writing::<R>(), delete).await? != 1 {
        return Err(PortError::bug(format!(
            "a {} was deleted that nobody locked",
            R::Aggregate::NAME
        )));
    }
    let said = difference(&said::<R>(gone, &R::close(gone)), &BTreeMap::new());
    tx.changed(Change::of(gone, AuditAction::Delete, said));
    Ok(())
}

/// The values of an aggregate by field path. Those of sealed and untold columns are
/// compared, and never shown.
type Said = BTreeMap<String, Told>;

#[derive(Clone, Debug, PartialEq)]
enum Told {
    Open(Json),
    Sealed(Vec<u8>),
}

fn said<R: Row>(aggregate: &R::Aggregate, row: &R) -> Said {
    let mut said = Said::new();
    for column in Column::<R>::iter().filter(|column| !["id", "version"].contains(&column.as_str()))
    {
        let name = column.as_str().to_owned();
        match row.get(column) {
            Value::Bytes(None) => {}
            Value::Bytes(Some(plain)) => drop(said.insert(name, Told::Sealed(plain))),
            value => {
                let value = sea_value_to_json_value(&value);
                if is_among::<R>(R::UNTOLD, column) {
                    said.insert(name, Told::Open(value).sealed());
                } else {
                    flatten(&mut said, name, value);
                }
            }
        }
    }
    for (path, value) in R::parts(aggregate) {
        flatten(&mut said, path, value);
    }
    let mut sealed = Said::new();
    for (path, value) in R::sealed_parts(aggregate) {
        flatten(&mut sealed, path, value);
    }
    said.extend(sealed.into_iter().map(|(path, value)| (path, value.sealed())));
    said
}

impl Told {
    fn sealed(self) -> Self {
        match self {
            Self::Open(value) => Self::Sealed(value.to_string().into_bytes()),
            sealed => sealed,
        }
    }
}

/// Objects are told field by field, and so are those in a list; a list of plain
/// values is told as a whole.
fn flatten(said: &mut Said, path: String, value: Json) {
    match value {
        Json::Null => {}
        Json::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                flatten(said, format!("{path}.{name}"), value);
            }
        }
        Json::Array(items) if items.iter().any(Json::is_object) => {
            for (index, value) in items.into_iter().enumerate() {
                flatten(said, format!("{path}[{index}]"), value);
            }
        }
        value => drop(said.insert(path, Told::Open(value))),
    }
}

/// The old and the new value of each field that differs.
fn difference(old: &Said, new: &Said) -> BTreeMap<String, Json> {
    let paths: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differs = paths.into_iter().filter(|path| old.get(*path) != new.get(*path));
    differs
        .map(|path| {
            let mut values = serde_json::Map::new();
            for (name, side) in [("old", old), ("new", new)] {
                if let Some(Told::Open(value)) = side.get(path) {
                    values.insert(name.to_owned(), value.clone());
                }
            }
            (path.clone(), Json::Object(values))
        })
        .collect()
}

/// What has changed since a version, from the audit entries of the later versions. The
/// first entry with a field has its old value.
async fn changes_since<R: Row>(
    tx: &PgTx,
    current: &R::Aggregate,
    version: i64,
) -> Result<Vec<FieldChange>> {
    #[derive(FromQueryResult)]
    struct Later {
        changed: Json,
    }
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT detail->'changed' AS changed FROM audit_entries \
         WHERE entity = $1 AND entity_id = $2 AND detail ? 'changed' \
         AND (detail->>'version')::bigint > $3 ORDER BY seq",
        [R::Aggregate::NAME.into(), current.id().to_string().into(), version.into()],
    );
    let doing = "reading what has changed since";
    let later = Later::find_by_statement(statement).all(tx.read()).await;
    let mut old = BTreeMap::new();
    for entry in later.map_err(|error| db(doing, error))? {
        let Json::Object(fields) = entry.changed else { continue };
        for (path, values) in fields {
            old.entry(path).or_insert(values);
        }
    }
    let said = said::<R>(current, &R::close(current));
    let told = old.into_iter().filter_map(|(path, values)| {
        let fields = values.as_object().filter(|fields| !fields.is_empty());
        // Of a sealed field the entry has no value.
        let Some(fields) = fields else { return Some(FieldChange { path, values: None }) };
        let old = fields.get("old").cloned().unwrap_or_default();
        let new = match said.get(&path) {
            Some(Told::Open(new)) => new.clone(),
            _ => Json::Null,
        };
        (old != new).then_some(FieldChange { path, values: Some((old, new)) })
    });
    Ok(told.collect())
}

/// A change of an aggregate, for the audit log.
pub(super) struct Change {
    entry: AuditEntry,
    version: i64,
    fields: BTreeMap<String, Json>,
}

impl Change {
    fn of<A: Aggregate>(
        aggregate: &A,
        action: AuditAction,
        fields: BTreeMap<String, Json>,
    ) -> Self {
        let mut entry = AuditEntry::new(action, A::NAME, aggregate.id());
        entry.patient = aggregate.patient();
        Self { entry, version: aggregate.version(), fields }
    }

    /// Whether an entry that the use case wrote is about the same act.
    pub fn is_told_by(&self, entry: &AuditEntry) -> bool {
        let changes = matches!(
            entry.action,
            AuditAction::Create | AuditAction::Update | AuditAction::Delete | AuditAction::Execute
        );
        changes
            && entry.outcome == AuditOutcome::Success
            && (entry.entity, &entry.entity_id) == (self.entry.entity, &self.entry.entity_id)
    }

    /// Adds the version and the fields to the entry of the act.
    pub fn tell(self, entry: &mut AuditEntry) {
        entry.patient = entry.patient.or(self.entry.patient);
        entry.detail.insert("version".to_owned(), self.version.into());
        if self.fields.is_empty() {
            return;
        }
        let changed = entry.detail.entry("changed").or_insert(Json::Null);
        if !changed.is_object() {
            *changed = Json::Object(Map::new());
        }
        let Json::Object(changed) = changed else { return };
        for (path, mut values) in self.fields {
            // Of two changes of a field the first knows the old value.
            if let Some(earlier) = changed.get(&path) {
                let old = earlier.get("old").cloned();
                if let Json::Object(values) = &mut values {
                    values.remove("old");
                    values.extend(old.map(|old| ("old".to_owned(), old)));
                }
            }
            changed.insert(path, values);
        }
    }

    /// An entry of its own.
    pub fn into_entry(self) -> AuditEntry {
        let mut entry = self.entry.clone();
        self.tell(&mut entry);
        entry
    }
}

/// Declares the transaction of a context's stores, with the repository of each aggregate
/// that is paired with its row.
///
/// ```ignore
/// pg::store!(Tx { Article => articles::Model, Plan => plans::Model });
/// ```
#[macro_export]
macro_rules! store {
    ($tx:ident { $($aggregate:ty => $row:ty),* $(,)? }) => {
        /// One unit of work of this context.
        pub struct $tx($crate::PgTx);

        impl $tx {
            pub async fn begin(pg: &$crate::Pg, actor: &kernel::Actor) -> ports::Result<Box<Self>> {
                Ok(Box::new(Self(pg.open(actor).await?)))
            }
        }

        impl std::ops::Deref for $tx {
            type Target = $crate::PgTx;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        impl std::ops::DerefMut for $tx {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.0
            }
        }

        #[async_trait::async_trait]
        impl ports::UnitOfWork for $tx {
            fn emit(&mut self, event: ports::Event) {
                self.0.emit(event);
            }

            fn audit(&mut self, entry: ports::AuditEntry) {
                self.0.audit(entry);
            }

            fn enqueue(&mut self, job: ports::JobRequest) {
                self.0.enqueue(job);
            }

            async fn claim(
                &mut self,
                key: &ports::IdempotencyKey,
                resource: kernel::Uuid,
            ) -> ports::Result<Option<kernel::Uuid>> {
                self.0.claim(key, resource).await
            }

            async fn commit(self: Box<Self>) -> ports::Result<()> {
                Box::new(self.0).commit().await
            }
        }

        $(
            #[async_trait::async_trait]
            impl ports::Repository<$aggregate> for $tx {
                async fn find(
                    &mut self,
                    id: <$aggregate as ports::Aggregate>::Id,
                ) -> ports::Result<Option<$aggregate>> {
                    $crate::repository::find::<$row>(&self.0, id).await
                }

                async fn lock(
                    &mut self,
                    id: <$aggregate as ports::Aggregate>::Id,
                    seen: &kernel::Seen,
                ) -> ports::Result<ports::Locked<$aggregate>> {
                    $crate::repository::lock::<$row>(&mut self.0, id, seen).await
                }

                async fn insert(&mut self, aggregate: &$aggregate) -> ports::Result<()> {
                    $crate::repository::insert::<$row>(&mut self.0, aggregate).await
                }

                async fn save(
                    &mut self,
                    aggregate: &mut ports::Locked<$aggregate>,
                ) -> ports::Result<()> {
                    $crate::repository::save::<$row>(&mut self.0, aggregate).await
                }

                async fn delete(
                    &mut self,
                    aggregate: ports::Locked<$aggregate>,
                ) -> ports::Result<()> {
                    $crate::repository::delete::<$row>(&mut self.0, aggregate).await
                }
            }
        )*
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(value: Json) -> Said {
        let mut said = Said::new();
        flatten(&mut said, "field".to_owned(), value);
        said
    }

    #[test]
    fn objects_and_their_lists_differ_by_field_and_plain_lists_as_a_whole() {
        let old = said(json!({ "a": 1, "b": { "c": [1, 2] }, "d": [{ "e": 1 }, { "e": 2 }] }));
        let new = said(json!({ "a": 1, "b": { "c": [1, 3] }, "d": [{ "e": 1 }] }));
        let expected = json!({
            "field.b.c": { "old": [1, 2], "new": [1, 3] },
            "field.d[1].e": { "old": 2 },
        });
        assert_eq!(json!(difference(&old, &new)), expected);
        assert!(difference(&old, &old).is_empty());
    }

    #[test]
    fn of_what_is_sealed_only_the_change_is_told() {
        let sealed = |text: &str| Said::from([("note".to_owned(), Told::Sealed(text.into()))]);
        assert_eq!(json!(difference(&sealed("a"), &sealed("b"))), json!({ "note": {} }));
        assert!(difference(&sealed("a"), &sealed("a")).is_empty());
    }

    fn change(fields: Json) -> Change {
        let Json::Object(fields) = fields else { panic!("an object") };
        let entry = AuditEntry::new(AuditAction::Update, "article", "1");
        Change { entry, version: 3, fields: fields.into_iter().collect() }
    }

    #[test]
    fn two_changes_of_a_field_are_told_from_the_first_old_to_the_last_new_value() {
        let mut entry = change(json!({ "title": { "old": "A", "new": "B" } })).into_entry();
        change(json!({ "title": { "old": "B", "new": "C" }, "body": {} })).tell(&mut entry);
        let changed = json!({ "title": { "old": "A", "new": "C" }, "body": {} });
        assert_eq!(Json::Object(entry.detail), json!({ "version": 3, "changed": changed }));
    }

    #[test]
    fn an_entry_tells_a_change_only_of_the_same_thing_and_where_it_succeeded() {
        let told = |entry: AuditEntry| change(json!({})).is_told_by(&entry);
        assert!(told(AuditEntry::new(AuditAction::Execute, "article", "1")));
        assert!(!told(AuditEntry::new(AuditAction::Update, "article", "2")));
        assert!(!told(AuditEntry::new(AuditAction::Update, "plan", "1")));
        assert!(!told(AuditEntry::new(AuditAction::Read, "article", "1")));
        assert!(!told(AuditEntry::new(AuditAction::Update, "article", "1").failed()));
    }
}
