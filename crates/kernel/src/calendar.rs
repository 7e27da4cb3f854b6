//! The years that dates are kept in.

use chrono::Datelike;

/// Whether a date has a year that RFC 3339 and FHIR can write: four digits, and
/// no year 0.
pub fn year_fits(date: &impl Datelike) -> bool {
    (1..=9999).contains(&date.year())
}
