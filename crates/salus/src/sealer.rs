//! The task that chains the audit log while the server runs.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use compliance::{
    ChainStore, ComplianceError,
    sealer::{SealerState, Step, step},
};
use ports::{ChainKeys, Env, objects::Objects};
use tokio_util::sync::CancellationToken;

/// Entries wait no longer than this for the sealer, give or take its own work.
const EVERY: Duration = Duration::from_millis(250);
/// A tail that is cut off within this time of being chained leaves no trace,
/// so it is kept short; each anchor is a small object of its own.
const ANCHOR_EVERY: TimeDelta = TimeDelta::seconds(5);

/// Chains and anchors until told to stop, and then once more, so that a server
/// that stopped cleanly leaves nothing unchained and no head unanchored.
pub async fn run(
    env: Env,
    store: Arc<dyn ChainStore>,
    objects: Arc<dyn Objects>,
    keys: Arc<dyn ChainKeys>,
    stop: CancellationToken,
) {
    let mut state = SealerState::default();
    let mut failing = false;
    loop {
        let stopping = stop.is_cancelled();
        let anchor_every = if stopping { TimeDelta::zero() } else { ANCHOR_EVERY };
        let (store, objects, keys) = (store.as_ref(), objects.as_ref(), keys.as_ref());
        let done = step(&env, store, objects, keys, &mut state, anchor_every).await;
        report(&done, &mut failing);
        if stopping {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// A failure is logged when it begins and not at every step; readiness shows
/// that it lasts.
fn report(done: &Result<Step, ComplianceError>, failing: &mut bool) {
    match done {
        Ok(step) => {
            if step.broken {
                tracing::error!(
                    "the audit chain does not continue what was anchored; run `salus audit verify`"
                );
            }
            if std::mem::take(failing) {
                tracing::info!("the audit log is being chained again");
            }
        }
        Err(error) => {
            if !std::mem::replace(failing, true) {
                tracing::error!(error = %error, "the audit log cannot be chained");
            }
        }
    }
}
