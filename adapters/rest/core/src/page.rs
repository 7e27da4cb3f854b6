use kernel::{ErrorKind, FieldError, PageRequest};
use poem_openapi::param::Query;

use super::Problem;

/// The two query parameters of every list.
pub struct PageQuery;

impl PageQuery {
    /// Reads `limit` (1 to 200, 50 without one) and `cursor` (what the page
    /// before gave as `next`, which the store reads).
    pub fn read(
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<PageRequest, Problem> {
        const MOST: u32 = PageRequest::MAX_LIMIT;
        if limit.0.is_some_and(|limit| !(1..=MOST).contains(&limit)) {
            let error =
                FieldError::new("limit", "out_of_range", format!("A number from 1 to {MOST}."));
            let detail = "The query does not have the operation's form.";
            return Err(Problem::with_fields(
                ErrorKind::Invalid,
                "invalid_query",
                detail,
                &[error],
            ));
        }
        Ok(PageRequest::new(limit.0, cursor.0))
    }
}
