//! Versions as entity tags: a reader gets one as `ETag` and sends it back as
//! `If-Match`, so that a change meets the version that was seen.

use kernel::FieldError;

use super::Problem;

pub fn entity_tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// The version that an `If-Match` header names.
pub fn seen_version(if_match: &str) -> Result<i64, Problem> {
    let tag = if_match.trim();
    tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag).parse().map_err(
        |_| {
            let message = "The ETag that it was read with, as in \"3\".";
            let field = FieldError::new("header.If-Match", "invalid", message);
            Problem::bad_request("if_match_invalid", message, &[field])
        },
    )
}
