//! Background tasks that must not end while the server runs.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use tokio_util::sync::CancellationToken;

/// The pause before a task that ended is run again: the first, and the longest
/// of those that double until it holds.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A task that ran as long as this has held.
const HELD: Duration = Duration::from_secs(30);

/// Whether a task runs, for those who ask whether the server is ready. A task
/// that was never run counts as running.
#[derive(Clone, Debug, Default)]
pub struct Liveness(Arc<Mutex<Option<String>>>);

impl Liveness {
    pub fn is_alive(&self) -> bool {
        self.why_dead().is_none()
    }

    /// Why the task does not run, where it does not.
    pub fn why_dead(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says that the task runs.
    pub fn runs(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn died(&self, why: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }
}

/// Runs a task until `stop`, and again whenever it ended, failed or panicked.
/// The task itself calls [`Liveness::runs`] once it has what it needs. A
/// failure is logged when it begins and not at every attempt.
pub async fn supervise<F, E>(
    name: &str,
    liveness: &Liveness,
    stop: &CancellationToken,
    task: impl Fn() -> F,
) where
    F: Future<Output = Result<(), E>>,
    E: fmt::Display,
{
    let mut pause = FIRST_PAUSE;
    while !stop.is_cancelled() {
        let began = Instant::now();
        let why = match AssertUnwindSafe(task()).catch_unwind().await {
            Ok(Ok(())) => "it ended".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it panicked".to_owned(),
        };
        if stop.is_cancelled() {
            return;
        }
        if liveness.is_alive() {
            tracing::error!(task = name, why, "a background task ended; it is run again");
        }
        liveness.died(&why);
        if began.elapsed() >= HELD {
            pause = FIRST_PAUSE;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_fails_or_panics_runs_again_and_is_dead_until_it_does() {
        let (liveness, stop) = (Liveness::default(), CancellationToken::new());
        let runs = AtomicU32::new(0);
        let dead = Mutex::new(Vec::new());
        supervise("a test", &liveness, &stop, || {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            let (liveness, stop, dead) = (&liveness, &stop, &dead);
            async move {
                dead.lock().unwrap().push(liveness.why_dead());
                match run {
                    0 => Ok(()),
                    1 => Err("no connection"),
                    2 => panic!("a bug"),
                    _ => {
                        liveness.runs();
                        assert!(liveness.is_alive());
                        stop.cancel();
                        Ok(())
                    }
                }
            }
        })
        .await;
        let dead = dead.into_inner().unwrap();
        let words: Vec<_> = dead.iter().map(Option::as_deref).collect();
        let expected = [None, Some("it ended"), Some("no connection"), Some("it panicked")];
        assert_eq!(words, expected);
        assert!(liveness.is_alive());
    }
}
