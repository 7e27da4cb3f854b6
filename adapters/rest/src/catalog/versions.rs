//! Versions as entity tags.

use kernel::FieldError;

use crate::core::Problem;

pub fn tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// The version that an `If-Match` header names.
pub fn seen(if_match: &str) -> Result<i64, Problem> {
    let tag = if_match.trim();
    tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag).parse().map_err(
        |_| {
            let message = "The ETag that the entry was read with, as in \"3\".";
            let field = FieldError::new("header.If-Match", "invalid", message);
            Problem::bad_request("if_match_invalid", message, &[field])
        },
    )
}
