//! Whether the database answers, so that those who need it learn at once that
//! it does not, and do not wait for a connection that nobody will give them.

use std::{convert::Infallible, sync::Arc, time::Duration};

use ports::PortError;
use sqlx::{
    ConnectOptions as _, Connection as _,
    postgres::{PgConnectOptions, PgConnection},
};
use tokio::{sync::watch, time::timeout};

use super::{Pg, error::is_lost};

/// How often the database is asked.
const EVERY: Duration = Duration::from_millis(250);
/// How long an answer may take. A machine under load is slow; one that refuses
/// the connection is told from it at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the last question brought. Until one was asked, the database counts as
/// there.
#[derive(Clone)]
pub(super) struct Pulse(Arc<watch::Sender<bool>>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(true)))
    }
}

impl Pulse {
    /// Waits until the database is known to be away.
    pub(super) async fn lost(&self) -> PortError {
        // The sender lives as long as this, so that there is no other end.
        let _ = self.0.subscribe().wait_for(|answers| !answers).await;
        PortError::Outage { context: "the database does not answer".to_owned(), cause: None }
    }
}

impl Pg {
    /// Whether the database answered when it was asked last.
    pub fn is_reachable(&self) -> bool {
        *self.pulse.0.borrow()
    }

    /// Asks the database again and again whether it is there; drop it to stop.
    pub async fn feel_pulse(&self) -> Infallible {
        let options = self.pool.get_postgres_connection_pool().connect_options();
        let mut connection = None;
        loop {
            let answers = match timeout(PATIENCE, ask(&mut connection, &options)).await {
                Ok(Ok(())) => true,
                // A server without a connection to spare answers.
                Ok(Err(error)) => is_full(&error) || !is_lost(&error),
                Err(_) => false,
            };
            if !answers {
                connection = None;
            }
            let changed = self.pulse.0.send_replace(answers) != answers;
            match (changed, answers) {
                (true, true) => tracing::info!("the database answers again"),
                (true, false) => tracing::error!("the database does not answer"),
                (false, _) => {}
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

async fn ask(
    connection: &mut Option<PgConnection>,
    options: &PgConnectOptions,
) -> sqlx::Result<()> {
    // That this connection is gone says nothing of the database.
    if let Some(mut open) = connection.take()
        && open.ping().await.is_ok()
    {
        *connection = Some(open);
        return Ok(());
    }
    let mut asked = options.connect().await?;
    asked.ping().await?;
    *connection = Some(asked);
    Ok(())
}

fn is_full(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some("53300")
}
