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
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

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
    /// Who asks; nobody in a job.
    by: OnceLock<RequestContext>,
    /// What Salus has read for itself and has yet to record.
    notes: Mutex<Option<(Pg, Vec<Entry>)>>,
}

/// How a unit of work begins.
pub(super) enum Begin {
    /// As part of a transaction that somebody else ends.
    Joined(Arc<Session>),
    /// With a transaction of its own, of a request or not; where one was kept, with
    /// that.
    Own { request: Option<Arc<Request>>, kept: Option<Arc<Session>> },
}

impl Request {
    pub fn enter(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub fn leave(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether a unit of work is under way.
    pub fn is_at_work(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }

    /// Keeps a transaction for whoever comes next, where nobody else of the request
    /// is at work: a request holds one connection at a time, and not two.
    pub fn keep(&self, session: Arc<Session>) {
        if !self.is_at_work() {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
            self.put.notify_one();
        }
    }

    pub fn is_of(&self, actor: &Actor) {
        if actor.request.request_id.is_some() {
            self.by.get_or_init(|| actor.request.clone());
        }
    }

    /// Notes what Salus has read for itself. Gives back what has to be recorded now.
    pub fn note(request: Option<&Self>, pg: &Pg, entries: Vec<Entry>) -> Option<Vec<Entry>> {
        let Some(request) = request.filter(|_| entries.iter().all(readings::is_own)) else {
            return Some(entries);
        };
        let mut notes = request.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, noted) = notes.get_or_insert_with(|| (pg.clone(), Vec::new()));
        if noted.len() + entries.len() > NOTES {
            return Some(entries);
        }
        noted.extend(entries);
        None
    }

    /// What is noted, as it is recorded, and how many notes that are.
    pub fn noted(&self) -> (Vec<Entry>, usize) {
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = notes.as_ref().map(|(_, noted)| noted.clone()).unwrap_or_default();
        let count = noted.len();
        (readings::fold(noted, &Cause::Request(self.by.get())), count)
    }

    /// Forgets the first notes, which are recorded.
    pub fn forget(&self, count: usize) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, noted)) = notes.as_mut() {
            noted.drain(..count.min(noted.len()));
        }
    }

    /// Records what is still noted.
    async fn record(&self) -> Result<()> {
        let notes = |notes: &Option<(Pg, _)>| notes.as_ref().map(|(pg, _)| pg.clone());
        let pg = notes(&self.notes.lock().unwrap_or_else(PoisonError::into_inner));
        match pg {
            Some(pg) => pg.record(Vec::new(), Some(self)).await,
            None => Ok(()),
        }
    }

    fn take(&self) -> Option<Arc<Session>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()
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

/// Runs a request or a job, whose units of work share what they can. What came of it
/// is given once all that Salus has read for it is in the audit log.
pub async fn sharing<T>(work: impl Future<Output = T>) -> Result<T> {
    let request = Arc::new(Request::default());
    let done = async {
        tokio::select! {
            biased;
            done = work => done,
            never = request.let_go() => match never {},
        }
    };
    let done = UNDER_WAY.scope(UnderWay::Request(request.clone()), done).await;
    drop(request.take());
    request.record().await.map(|()| done)
}

/// How a unit of work that is opened here begins.
pub(super) fn begin() -> Begin {
    match UNDER_WAY.try_with(Clone::clone) {
        Ok(UnderWay::Delivery(session)) => match session.upgrade() {
            Some(session) if !session.is_over() => Begin::Joined(session),
            _ => Begin::Own { request: None, kept: None },
        },
        Ok(UnderWay::Request(request)) => {
            let kept = request.take();
            Begin::Own { request: Some(request), kept }
        }
        Err(_) => Begin::Own { request: None, kept: None },
    }
}
