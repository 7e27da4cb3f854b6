//! Bodies as they arrive: no further than their limit, and no slower than a
//! client on a bad line sends. Time counts only while an operation waits for
//! more, so that a server that is busy cuts nobody off.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use poem::{Body, http::StatusCode};
use tokio::sync::Mutex;

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

/// A body on its way in, shared by the operation that reads it and by whoever
/// answers.
#[derive(Clone)]
pub struct Arriving(Arc<Mutex<State>>);

struct State {
    parts: BoxStream<'static, io::Result<Bytes>>,
    received: usize,
    /// How long the server has waited for parts.
    waited: Duration,
    ended: bool,
    fault: Option<Fault>,
}

impl Arriving {
    /// How much of a body that no operation wanted is still taken in, so that
    /// the connection can be used again.
    const LEFT_OVER: usize = 64 * 1024;
    /// The same of a body beyond its limit. Most clients read the answer only after they
    /// have sent the whole body, and see a broken connection if they cannot.
    const LEFT_OVER_OF_TOO_LARGE: usize = 4 * 1024 * 1024;
    const LEFT_OVER_TIME: Duration = Duration::from_millis(250);

    pub fn new(body: Body) -> Self {
        let ended = body.is_empty();
        let parts = body.into_bytes_stream().boxed();
        let (received, waited) = (0, Duration::ZERO);
        Self(Arc::new(Mutex::new(State { parts, received, waited, ended, fault: None })))
    }

    /// The body held to a limit and a pace.
    pub fn guarded(&self, limit: usize, pace: Pace) -> Body {
        Body::from_bytes_stream(stream::try_unfold(self.clone(), move |arriving| async move {
            let part = arriving.0.lock().await.next(limit, pace).await?;
            Ok::<_, io::Error>(part.map(|part| (part, arriving)))
        }))
    }

    pub async fn fault(&self) -> Option<Fault> {
        self.0.lock().await.fault
    }

    /// Takes in what an operation left of a small body. Whether the body is at
    /// its end; where it is not, the connection is of no more use.
    pub async fn drained(&self, pace: Pace) -> bool {
        let mut state = self.0.lock().await;
        let left_over = match state.fault {
            None => Self::LEFT_OVER,
            Some(Fault::TooLarge) => Self::LEFT_OVER_OF_TOO_LARGE,
            Some(Fault::TooSlow) => return false,
        };
        let limit = state.received.saturating_add(left_over);
        let rest = async {
            while !state.ended {
                if state.next(limit, pace).await.is_err() {
                    break;
                }
            }
            state.ended
        };
        tokio::time::timeout(Self::LEFT_OVER_TIME, rest).await.unwrap_or_default()
    }
}

impl State {
    async fn next(&mut self, limit: usize, pace: Pace) -> io::Result<Option<Bytes>> {
        let asked = Instant::now();
        let left = pace.allows(self.received).saturating_sub(self.waited);
        let Ok(next) = tokio::time::timeout(left, self.parts.next()).await else {
            return self.refuse(Fault::TooSlow);
        };
        let Some(part) = next.transpose()? else {
            self.ended = true;
            return Ok(None);
        };
        self.received = self.received.saturating_add(part.len());
        if self.received > limit {
            return self.refuse(Fault::TooLarge);
        }
        self.waited += asked.elapsed();
        Ok(Some(part))
    }

    fn refuse(&mut self, why: Fault) -> io::Result<Option<Bytes>> {
        self.fault.get_or_insert(why);
        Err(io::Error::other("the body is not read further"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { grace: Duration::from_millis(200), bytes_per_second: 1_000 };

    async fn read(body: Body, limit: usize) -> (bool, Option<Fault>) {
        let arriving = Arriving::new(body);
        let done = arriving.guarded(limit, PACE).into_vec().await.is_ok();
        (done, arriving.fault().await)
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

    #[tokio::test]
    async fn what_is_left_of_a_small_body_is_taken_in_and_a_large_one_is_given_up() {
        for (sizes, at_its_end) in [(vec![], true), (vec![10, 10], true), (vec![40_000; 2], false)]
        {
            let arriving = Arriving::new(parts(sizes.clone(), Duration::ZERO));
            assert_eq!(arriving.drained(PACE).await, at_its_end, "{sizes:?}");
        }
        let arriving = Arriving::new(parts(vec![20, 1_000_000, 1_000_000], Duration::ZERO));
        assert!(arriving.guarded(10, PACE).into_vec().await.is_err());
        assert!(arriving.drained(PACE).await, "the client of a body that is too large can end it");
        let never = Body::from_bytes_stream(stream::pending::<io::Result<Bytes>>());
        assert!(!Arriving::new(never).drained(PACE).await);
    }
}
