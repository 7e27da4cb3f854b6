use chrono::{DateTime, Utc};
use kernel::{PageRequest, Uuid};
use ports::{PortError, Result};

/// What a page's cursor says. One that no page gave is refused, for the first
/// page instead would make a caller read the same rows for ever.
pub fn cursor<T>(page: &PageRequest, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
    let Some(text) = page.cursor.as_deref() else { return Ok(None) };
    let message = "Pass the cursor as the page before gave it.";
    read(text).map(Some).ok_or_else(|| PortError::invalid("cursor", "invalid", message))
}

/// A cursor that is the id of the last row.
pub fn id_cursor(page: &PageRequest) -> Result<Option<Uuid>> {
    cursor(page, |text| text.parse().ok())
}

/// A cursor of the last row's time and id, as [`time_cursor_of`] writes it.
pub fn time_cursor(page: &PageRequest) -> Result<Option<(DateTime<Utc>, Uuid)>> {
    cursor(page, read_time_cursor)
}

pub fn read_time_cursor(text: &str) -> Option<(DateTime<Utc>, Uuid)> {
    let (at, id) = text.split_once('|')?;
    // PostgreSQL has not all the years that can be written here.
    let at = DateTime::from_timestamp_micros(at.parse().ok()?).filter(kernel::year_fits)?;
    Some((at, id.parse().ok()?))
}

pub fn time_cursor_of(at: DateTime<Utc>, id: Uuid) -> String {
    format!("{}|{id}", at.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_what_was_written_and_nothing_else() {
        let at = DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap();
        let id = Uuid::from_u128(7);
        let page = |text: &str| PageRequest::new(None, Some(text.to_owned()));
        assert_eq!(time_cursor(&page(&time_cursor_of(at, id))).unwrap(), Some((at, id)));
        assert_eq!(time_cursor(&PageRequest::default()).unwrap(), None);
        for forged in
            ["", "x", "1|2", "99999999999999999999|7", "-5000000000000000000|7", &id.to_string()]
        {
            assert!(matches!(time_cursor(&page(forged)), Err(PortError::Invalid(_))), "{forged}");
        }
        assert!(matches!(id_cursor(&page("1' OR 1")), Err(PortError::Invalid(_))));
    }
}
