//! Which transaction a new unit of work joins.
//!
//! * A handler of an event, and whatever it asks of other contexts on the way, works
//!   in the transaction that takes the delivery off the list: one connection, one
//!   commit.
//! * In a request or a job, units of work that follow one another share a
//!   transaction for as long as they only read; the first that changes something
//!   ends it with its commit. One that locked rows, failed or was dropped half-way
//!   ends with its unit of work, and so does one that nobody goes on with soon, as
//!   where a vendor is called in between. What Salus reads for itself on the way is
//!   noted, and written with that commit, with the next reading that is recorded, or
//!   before the request has its answer.

use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use kernel::{Actor, RequestContext};
use ports::Result;
use tokio::sync::Notify;

use super::{
    Pg,
    connection::Session,
    pending::Entry,
    readings::{self, Cause},
};

/// How long a transaction waits for the next unit of work.
const SOON: Duration = Duration::from_millis(50);

/// How many readings of Salus's own are noted at most.
const NOTES: usize = 1_000;

tokio::task_local! {
    static UNDER_WAY: UnderWay;
}

#[derive(Clone)]
enum UnderWay {
    Delivery(Weak<Session>),
    Request(Arc<Request>),
}

/// The transactions of a request or a job.
#[derive(Default)]
pub(super) struct Request {
    /// One that has only read, and that the next unit of work goes on with.
    kept: Mutex<Option<Arc<Session>>>,
    /// How many units of work are under way.
    open: AtomicUsize,
    put: Notify,
    /// The request that the caller made; empty in a job.
    by: OnceLock<RequestContext>,
    notes: Mutex<Notes>,
}

/// What Salus has read for itself and has yet to record.
#[derive(Default)]
struct Notes {
    /// Where it is recorded.
    pg: Option<Pg>,
    read: Vec<Entry>,
    /// As it was first written. Where it is not known whether that came to its end, it
    /// is written again as it was.
    folded: Vec<Entry>,
}

/// A unit of work of a request that is under way.
pub(super) struct Seat(Arc<Request>);

impl Seat {
    fn take(request: &Arc<Request>) -> (Self, bool) {
        let others = request.open.fetch_add(1, Ordering::Relaxed);
        (Self(Arc::clone(request)), others == 0)
    }

    pub fn request(&self) -> &Arc<Request> {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How a unit of work begins.
pub(super) enum Begin {
    /// As part of a transaction that somebody else ends.
    Joined(Arc<Session>),
    /// With a transaction of its own; where one was kept, with that.
    Own { seat: Option<Seat>, kept: Option<Arc<Session>> },
    /// While another of the same request is under way.
    Beside(Seat),
}

impl Request {
    /// Keeps a transaction for whoever comes next, where nobody else of the request
    /// is at work: a request holds one connection at a time, and not two.
    pub fn keep(&self, session: Arc<Session>) {
        if self.open.load(Ordering::Relaxed) == 0 {
            *locked(&self.kept) = Some(session);
            self.put.notify_one();
        }
    }

    /// Remembers the caller's request.
    pub fn is_of(&self, actor: &Actor) {
        if actor.request.request_id.is_some() {
            self.by.get_or_init(|| actor.request.clone());
        }
    }

    /// Notes what Salus has read for itself. Gives back what has to be recorded now.
    pub fn note(&self, pg: &Pg, entries: Vec<Entry>) -> Option<Vec<Entry>> {
        let mut notes = locked(&self.notes);
        if notes.read.len() + entries.len() > NOTES || !entries.iter().all(readings::is_own) {
            return Some(entries);
        }
        notes.pg.get_or_insert_with(|| pg.clone());
        notes.read.extend(entries);
        None
    }

    /// The entries of what is noted.
    pub fn noted(&self) -> Vec<Entry> {
        let notes = &mut *locked(&self.notes);
        let read = std::mem::take(&mut notes.read);
        notes.folded.extend(readings::fold(read, &Cause::Request(self.by.get())));
        notes.folded.clone()
    }

    /// Forgets the first so many entries, which are on disk.
    pub fn forget(&self, recorded: usize) {
        let folded = &mut locked(&self.notes).folded;
        folded.drain(..recorded.min(folded.len()));
    }

    /// Records what is still noted.
    async fn record(&self) -> Result<()> {
        let pg = locked(&self.notes).pg.clone();
        match pg {
            Some(pg) => pg.record(Vec::new(), Some(self)).await,
            None => Ok(()),
        }
    }

    fn take(&self) -> Option<Arc<Session>> {
        locked(&self.kept).take()
    }

    /// Lets go of what nobody has gone on with.
    async fn let_go(&self) -> std::convert::Infallible {
        loop {
            self.put.notified().await;
            // Whatever is put meanwhile is looked at after the same time.
            while tokio::time::timeout(SOON, self.put.notified()).await.is_ok() {}
            drop(self.take());
        }
    }
}

/// Runs `work` so that the units of work it begins join the session.
pub(super) async fn joining<T>(session: &Arc<Session>, work: impl Future<Output = T>) -> T {
    UNDER_WAY.scope(UnderWay::Delivery(Arc::downgrade(session)), work).await
}

/// Runs a request or a job, whose units of work share what they can. Says beside what
/// came of it whether all that Salus has read for it is in the audit log.
pub async fn sharing<T>(work: impl Future<Output = T>) -> (T, Result<()>) {
    let request = Arc::new(Request::default());
    let done = async {
        let work = AssertUnwindSafe(work).catch_unwind();
        tokio::select! {
            biased;
            done = work => done,
            never = request.let_go() => match never {},
        }
    };
    let done = UNDER_WAY.scope(UnderWay::Request(request.clone()), done).await;
    drop(request.take());
    let recorded = request.record().await;
    (done.unwrap_or_else(|panic| resume_unwind(panic)), recorded)
}

/// How a unit of work that is opened here begins.
pub(super) fn begin() -> Begin {
    match UNDER_WAY.try_with(Clone::clone) {
        Ok(UnderWay::Delivery(session)) => match session.upgrade() {
            Some(session) if !session.is_over() => Begin::Joined(session),
            _ => Begin::Own { seat: None, kept: None },
        },
        Ok(UnderWay::Request(request)) => match Seat::take(&request) {
            (seat, true) => Begin::Own { seat: Some(seat), kept: request.take() },
            (seat, false) => Begin::Beside(seat),
        },
        Err(_) => Begin::Own { seat: None, kept: None },
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
