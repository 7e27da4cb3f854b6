use ports::PortError;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};

/// Maps a database failure. One of the connection is an outage. A unique or check violation, a serialization
/// failure and a deadlock are conflicts that name the constraint; the rest is
/// ours.
pub fn db(doing: &str, error: DbErr) -> PortError {
    if is_outage(&error) {
        return PortError::outage(format!("the database was not reached while {doing}"), error);
    }
    if let DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) =
        &error
        && let sqlx::Error::Database(cause) = cause.as_ref()
    {
        match cause.code().as_deref() {
            Some("23505" | "23P01") => {
                let constraint = cause.constraint().unwrap_or("a unique rule");
                return PortError::Conflict(constraint.to_owned());
            }
            Some("40001" | "40P01") => {
                return PortError::Conflict("a concurrent transaction".to_owned());
            }
            // A chart was closed between the check and the write. A write that is
            // scoped wrongly ends here too, so it is logged.
            Some("42501") if cause.message().contains("row-level security") => {
                tracing::warn!(doing, "row-level security refused a write");
                return PortError::Conflict("whose chart it is".to_owned());
            }
            // A NUL character, or a time that PostgreSQL has no room for. The
            // surface refuses both by name; this holds for every other way in.
            Some("22021" | "22P05") => {
                return PortError::invalid("", "nul_character", "A text holds a NUL character.");
            }
            // A use case names the field at fault; this is for one that forgot.
            Some("23503") => {
                let message = "A reference names what is not there.";
                return PortError::invalid("", "unknown_reference", message);
            }
            Some("22008") => {
                return PortError::invalid("", "out_of_range", "A date or a time is out of range.");
            }
            _ => {}
        }
    }
    PortError::internal(format!("the database failed while {doing}"), error)
}

/// Whether the database could not be reached, or ended the connection.
fn is_outage(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout | ConnAcquireErr::ConnectionClosed) => {
            true
        }
        DbErr::Conn(RuntimeErr::SqlxError(cause))
        | DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause)) => is_lost(cause),
        _ => false,
    }
}

/// The same of the driver's own error.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // Class 08 is the connection; 57P01 to 57P03 and 57P05 are a server
        // that stops, crashed, starts or ends an idle session; 53300 is one
        // without a connection to spare.
        sqlx::Error::Database(cause) => cause.code().is_some_and(|code| {
            code.starts_with("08")
                || ["57P01", "57P02", "57P03", "57P05", "53300"].contains(&code.as_ref())
        }),
        _ => false,
    }
}

/// Whether the connection had ended before it was used, as after a restart of the
/// database.
pub(super) fn is_dead(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(cause) => {
            cause.code().is_some_and(|code| ["57P01", "57P02", "57P05"].contains(&code.as_ref()))
        }
        _ => false,
    }
}

/// For conditional updates: no row changed means that someone else was first.
pub fn expect_changed(rows: u64, what: &str) -> Result<(), PortError> {
    if rows == 0 { Err(PortError::Conflict(what.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kernel::{DomainError as _, ErrorKind};

    use super::*;

    #[test]
    fn a_lost_connection_is_an_outage_and_a_broken_rule_is_not() {
        let driver = |error| RuntimeErr::SqlxError(Arc::new(error));
        let lost = || driver(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()));
        for error in [
            DbErr::Conn(lost()),
            DbErr::Exec(lost()),
            DbErr::Query(driver(sqlx::Error::PoolTimedOut)),
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        ] {
            assert_eq!(db("testing", error.clone()).kind(), ErrorKind::Unavailable, "{error}");
        }
        for error in [DbErr::Query(driver(sqlx::Error::RowNotFound)), DbErr::RecordNotInserted] {
            assert_eq!(db("testing", error.clone()).kind(), ErrorKind::Internal, "{error}");
        }
    }
}
