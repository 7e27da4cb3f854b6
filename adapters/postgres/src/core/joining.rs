//! Which transaction a new unit of work joins. A handler of an event, and whatever
//! it asks of other contexts on the way, works in the transaction that takes the
//! delivery off the list: one connection, one snapshot, one commit.

use std::sync::{Arc, Weak};

use super::connection::Session;

tokio::task_local! {
    static UNDER_WAY: Weak<Session>;
}

/// Runs `work` so that the units of work it begins join the session.
pub(super) async fn joining<T>(session: &Arc<Session>, work: impl Future<Output = T>) -> T {
    UNDER_WAY.scope(Arc::downgrade(session), work).await
}

/// The session that a unit of work which begins here joins.
pub(super) fn under_way() -> Option<Arc<Session>> {
    let session = UNDER_WAY.try_with(Weak::upgrade).ok().flatten()?;
    (!session.is_over()).then_some(session)
}
