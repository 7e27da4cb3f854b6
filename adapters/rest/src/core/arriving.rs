//! Bodies as they arrive: no further than their limit, and no slower than a
//! client on a bad line sends. Time counts only while an operation waits for
//! more, so that a server that is busy cuts nobody off.

use std::{
    io,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use poem::{Body, http::StatusCode};

/// How slowly a body may come.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// What every body has before its rate counts.
    pub grace: Duration,
    /// What each further second has to bring.
    pub bytes_per_second: u64,
}

impl Pace {
    /// How long the server waits in all for a body of which so much is there.
    fn allows(self, received: usize) -> Duration {
        let rate = self.bytes_per_second.max(1) as f64;
        self.grace + Duration::from_secs_f64(received as f64 / rate)
    }
}

/// Why the rest of a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    TooLarge,
    TooSlow,
}

impl Fault {
    /// The status, the code and the words of the answer.
    pub fn said(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "payload too large"),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "The body came more slowly than it may.",
            ),
        }
    }
}

/// Where the fault of a body is left for whoever answers.
pub type FaultOf = Arc<OnceLock<Fault>>;

/// The body held to a limit and a pace.
pub fn guarded(body: Body, limit: usize, pace: Pace, fault: FaultOf) -> Body {
    let arriving = Box::pin(body.into_bytes_stream());
    let start = (arriving, 0_usize, Duration::ZERO);
    Body::from_bytes_stream(stream::try_unfold(start, move |(mut arriving, received, waited)| {
        let fault = fault.clone();
        async move {
            let refuse = |why: Fault| {
                let _ = fault.set(why);
                io::Error::other("the body is not read further")
            };
            let asked = Instant::now();
            let left = pace.allows(received).saturating_sub(waited);
            let next = tokio::time::timeout(left, arriving.next());
            let Some(part) = next.await.map_err(|_| refuse(Fault::TooSlow))? else {
                return Ok(None);
            };
            let part = part?;
            let received = received.saturating_add(part.len());
            if received > limit {
                return Err(refuse(Fault::TooLarge));
            }
            let waited = waited + asked.elapsed();
            Ok::<_, io::Error>(Some((part, (arriving, received, waited))))
        }
    }))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const PACE: Pace = Pace { grace: Duration::from_millis(200), bytes_per_second: 1_000 };

    async fn read(body: Body, limit: usize) -> (bool, Option<Fault>) {
        let fault = FaultOf::default();
        let done = guarded(body, limit, PACE, fault.clone()).into_vec().await.is_ok();
        (done, fault.get().copied())
    }

    /// Parts that come that far apart.
    fn parts(sizes: Vec<usize>, apart: Duration) -> Body {
        Body::from_bytes_stream(stream::iter(sizes).then(move |size| async move {
            tokio::time::sleep(apart).await;
            Ok::<_, io::Error>(Bytes::from(vec![b'x'; size]))
        }))
    }

    #[tokio::test]
    async fn a_body_ends_at_its_limit() {
        assert_eq!(read(Body::from(vec![0; 10]), 10).await, (true, None));
        assert_eq!(read(Body::from(vec![0; 11]), 10).await, (false, Some(Fault::TooLarge)));
        let split = parts(vec![6, 6], Duration::ZERO);
        assert_eq!(read(split, 10).await, (false, Some(Fault::TooLarge)));
    }

    #[tokio::test]
    async fn a_body_that_trickles_is_cut_and_one_that_flows_is_not() {
        // 100 ms for each 10 bytes is ten times slower than the pace.
        let trickle = parts(vec![10; 50], Duration::from_millis(100));
        assert_eq!(read(trickle, 1_000_000).await, (false, Some(Fault::TooSlow)));
        // Longer than the grace, and as fast as is asked.
        let flow = parts(vec![100; 8], Duration::from_millis(50));
        assert_eq!(read(flow, 1_000_000).await, (true, None));
    }
}
