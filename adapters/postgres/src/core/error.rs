use ports::PortError;
use sea_orm::{DbErr, RuntimeErr};

/// Maps a database failure. A unique or check violation, a serialization
/// failure and a deadlock are conflicts that name the constraint; the rest is
/// ours.
pub fn db(doing: &str, error: DbErr) -> PortError {
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

/// For conditional updates: no row changed means that someone else was first.
pub fn expect_changed(rows: u64, what: &str) -> Result<(), PortError> {
    if rows == 0 { Err(PortError::Conflict(what.to_owned())) } else { Ok(()) }
}
