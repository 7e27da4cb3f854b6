//! Audit entries of what only reads. A reading is on disk in the audit log before
//! its answer leaves, and it does not pay a commit of its own for that: whatever
//! has come while the last batch was written is the next one.

use std::time::Duration;

use ports::{PortError, Result};
use sqlx::{
    ConnectOptions as _, Postgres, QueryBuilder,
    postgres::{PgConnectOptions, PgConnection},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    connection::executed,
    error::{db, is_lost},
    pending::{Entry, Pending},
};

/// How many readings may wait; one more is refused.
const ROOM: usize = 4_096;
/// The entries of how many units of work one statement writes.
const MOST: usize = 1_000;
/// A commit whose end is not known is repeated so often, and after this long.
const REPEATS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);
/// A database that takes longer than this to answer counts as away.
const PATIENCE: Duration = Duration::from_secs(10);

/// The entries of one unit of work, and who waits for them.
struct Asked {
    entries: Vec<Entry>,
    done: oneshot::Sender<Result<()>>,
}

pub(super) struct Recorder(mpsc::Sender<Asked>);

impl Recorder {
    /// Starts the writer, which ends with the last of those who ask it.
    pub fn start(options: PgConnectOptions) -> Self {
        let (sender, mut waiting) = mpsc::channel(ROOM);
        let mut writer = Writer { options, connection: None };
        tokio::spawn(async move {
            let mut asked = Vec::new();
            while waiting.recv_many(&mut asked, MOST).await > 0 {
                writer.write(std::mem::take(&mut asked)).await;
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

/// Has a connection of its own, so that no request waits for it with the last one of
/// the pool.
struct Writer {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Writer {
    async fn write(&mut self, asked: Vec<Asked>) {
        let all = || asked.iter().flat_map(|each| each.entries.iter().cloned());
        let done = self.insert(all).await;
        if matches!(done, Ok(()) | Err(PortError::Outage { .. })) {
            for each in asked {
                // The request may have been canceled.
                let _ = each.done.send(done.clone());
            }
            return;
        }
        // One that cannot be written fails for itself alone.
        for Asked { entries, done } in asked {
            let _ = done.send(self.insert(|| entries.iter().cloned()).await);
        }
    }

    /// Writes the entries; where it is not known whether a commit came to its end, once
    /// more with the same ids.
    async fn insert<I: Iterator<Item = Entry>>(&mut self, entries: impl Fn() -> I) -> Result<()> {
        let mut repeats = 0;
        loop {
            let done = self.send(Pending::recording(entries())).await;
            match done.map_err(|error| db("writing audit entries", executed(error))) {
                Err(PortError::Outage { .. }) if repeats < REPEATS => repeats += 1,
                done => return done,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn send(&mut self, mut statement: QueryBuilder<Postgres>) -> sqlx::Result<()> {
        let connection = self.connection.take();
        let write = async {
            let mut connection = match connection {
                Some(connection) => connection,
                None => self.options.connect().await?,
            };
            let done = statement.build().execute(&mut connection).await;
            Ok::<_, sqlx::Error>((connection, done))
        };
        let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
        let (connection, done) = timeout(PATIENCE, write).await.map_err(late)??;
        if !done.as_ref().is_err_and(is_lost) {
            self.connection = Some(connection);
        }
        done.map(drop)
    }
}
