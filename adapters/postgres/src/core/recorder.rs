//! Audit entries of what only reads. A reading is on disk in the audit log before
//! its answer leaves, and it does not pay a commit of its own for that: whatever
//! waits is written together, by one writer.

use std::time::Duration;

use ports::{PortError, Result};
use sea_orm::DatabaseConnection;
use tokio::sync::{mpsc, oneshot};

use super::{
    connection::executed,
    error::db,
    pending::{Entry, Pending},
};

/// How many readings may wait; one more is refused.
const ROOM: usize = 4_096;
/// How many entries one statement writes.
const MOST: usize = 1_000;
/// A commit whose end is not known is repeated so often, and after this long.
const REPEATS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);

/// The entries of one unit of work, and who waits for them.
struct Asked {
    entries: Vec<Entry>,
    done: oneshot::Sender<Result<()>>,
}

pub(super) struct Recorder(mpsc::Sender<Asked>);

impl Recorder {
    /// Starts the writer, which ends with the last of those who ask it.
    pub fn start(pool: DatabaseConnection) -> Self {
        let (sender, mut waiting) = mpsc::channel(ROOM);
        tokio::spawn(async move {
            let mut asked = Vec::new();
            while waiting.recv_many(&mut asked, MOST).await > 0 {
                write(&pool, std::mem::take(&mut asked)).await;
            }
        });
        Self(sender)
    }

    /// Returns once the entries are on disk.
    pub async fn record(&self, entries: Vec<Entry>) -> Result<()> {
        let (done, written) = oneshot::channel();
        let full = |_| PortError::Outage {
            context: "too many readings wait for the audit log".to_owned(),
            cause: None,
        };
        self.0.try_send(Asked { entries, done }).map_err(full)?;
        let gone = |error| PortError::internal("the writer of the audit log is gone", error);
        written.await.map_err(gone)?
    }
}

async fn write(pool: &DatabaseConnection, asked: Vec<Asked>) {
    let all = || asked.iter().flat_map(|each| each.entries.iter().cloned());
    if insert(pool, all).await.is_ok() {
        for each in asked {
            // Whoever asked may have gone away.
            let _ = each.done.send(Ok(()));
        }
        return;
    }
    // One that cannot be written fails for itself alone.
    for Asked { entries, done } in asked {
        let _ = done.send(insert(pool, || entries.iter().cloned()).await);
    }
}

/// Writes the entries; where it is not known whether a commit came to its end, once
/// more with the same ids.
async fn insert<I: Iterator<Item = Entry>>(
    pool: &DatabaseConnection,
    entries: impl Fn() -> I,
) -> Result<()> {
    let doing = "writing audit entries";
    let mut repeats = 0;
    loop {
        let mut statement = Pending::recording(entries());
        let done = statement.build().execute(pool.get_postgres_connection_pool()).await;
        match done.map_err(|error| db(doing, executed(error))) {
            Ok(_) => return Ok(()),
            Err(PortError::Outage { .. }) if repeats < REPEATS => repeats += 1,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
