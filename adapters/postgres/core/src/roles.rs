//! The two roles: the owner, which migrates, and the server's, which serves.

use ports::Result;
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DbBackend, Statement, TransactionTrait as _,
};

use super::{Pg, error::db};

/// What the server's role must not be able to do, and how it is said.
const WALLS: [(&str, &str); 7] = [
    (
        "(SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)",
        "is a superuser or passes by row-level security",
    ),
    (
        "(SELECT rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user)",
        "may create roles or databases",
    ),
    (
        "EXISTS (SELECT FROM pg_class c WHERE c.relnamespace::regnamespace::text \
             IN ('public', 'graphile_worker') AND pg_has_role(c.relowner, 'MEMBER')) \
         OR (SELECT pg_has_role(datdba, 'MEMBER') FROM pg_database \
             WHERE datname = current_database())",
        "owns the database or its tables, or may become their owner",
    ),
    (
        "EXISTS (SELECT FROM pg_namespace WHERE nspname IN ('public', 'graphile_worker') \
             AND has_schema_privilege(oid, 'CREATE')) \
         OR has_database_privilege(current_database(), 'CREATE')",
        "may create tables",
    ),
    ("has_database_privilege(current_database(), 'TEMPORARY')", "may create temporary tables"),
    (
        "EXISTS (SELECT FROM pg_class c WHERE c.relkind IN ('r', 'p') \
             AND c.relnamespace::regnamespace::text IN ('public', 'graphile_worker') \
             AND has_table_privilege(c.oid, 'TRUNCATE, TRIGGER'))",
        "may empty tables or change their triggers",
    ),
    (
        "EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace \
             AND c.relname IN ('audit_entries', 'audit_chain') \
             AND has_table_privilege(c.oid, 'UPDATE, DELETE'))",
        "may change or delete entries of the audit log",
    ),
];

impl Pg {
    /// Lets the server's role in, as the owner that migrated. The role is
    /// created where the owner may do that.
    pub async fn admit(owner: &DatabaseConnection, role: &str) -> Result<()> {
        let doing = "granting the server's role what it needs";
        let tx = owner.begin().await.map_err(|error| db(doing, error))?;
        let named = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT set_config('salus.server_role', $1, true)",
            [role.into()],
        );
        tx.query_one_raw(named).await.map_err(|error| db(doing, error))?;
        tx.execute_unprepared(include_str!("roles.sql")).await.map_err(|error| db(doing, error))?;
        tx.commit().await.map_err(|error| db(doing, error))
    }

    /// The name of the role that a pool is connected as.
    pub async fn role(pool: &DatabaseConnection) -> Result<String> {
        let doing = "asking for the database's role";
        let asked = Statement::from_string(DbBackend::Postgres, "SELECT current_user::text AS me");
        let row = pool.query_one_raw(asked).await.map_err(|error| db(doing, error))?;
        row.map_or(Ok(String::new()), |row| row.try_get("", "me")).map_err(|error| db(doing, error))
    }

    /// What the role of this pool may do that a server must not, each as a
    /// sentence; nothing where it is a role to serve with.
    pub async fn role_faults(pool: &DatabaseConnection) -> Result<Vec<String>> {
        let doing = "asking what the database's role may do";
        let role = Self::role(pool).await?;
        let columns: Vec<_> = WALLS.iter().map(|(holds, _)| format!("({holds})")).collect();
        let sql = format!("SELECT ARRAY[{}] AS faults", columns.join(", "));
        let asked = Statement::from_string(DbBackend::Postgres, sql);
        let row = pool.query_one_raw(asked).await.map_err(|error| db(doing, error))?;
        let faults: Vec<bool> = match row {
            Some(row) => row.try_get("", "faults").map_err(|error| db(doing, error))?,
            None => Vec::new(),
        };
        Ok(WALLS
            .iter()
            .zip(faults)
            .filter(|(_, fault)| *fault)
            .map(|((_, what), _)| format!("the database's role {role} {what}"))
            .collect())
    }
}
