use kernel::PageRequest;
use poem_openapi::param::Query;

/// The two query parameters of every list.
pub struct PageQuery;

impl PageQuery {
    /// Reads `limit` (1 to 200, 50 without one) and `cursor` (what the page
    /// before gave as `next`).
    pub fn read(limit: Query<Option<u32>>, cursor: Query<Option<String>>) -> PageRequest {
        PageRequest::new(limit.0, cursor.0)
    }
}
