//! Notices between the nodes that share a database.

use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::watch;

use super::Pg;

/// How long a lost connection is left before another is tried.
const RETRY: Duration = Duration::from_millis(200);

impl Pg {
    /// Calls `heard` for every notice on one of the channels until `stop` says
    /// so. After a lost connection it calls once for what may have been missed, and
    /// until then nothing is served from memory.
    pub async fn on_notice(
        &self,
        channels: &[&str],
        heard: impl Fn() + Send,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            let error = tokio::select! {
                error = self.listen(channels, &heard) => error,
                _ = stop.wait_for(|stopped| *stopped) => return,
            };
            tracing::warn!(%error, ?channels, "the notices of the database are not heard");
            self.hearing.set(false);
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                _ = stop.wait_for(|stopped| *stopped) => return,
            }
        }
    }

    async fn listen(&self, channels: &[&str], heard: &impl Fn()) -> sqlx::Error {
        let listening = async {
            let pool = self.pool.get_postgres_connection_pool();
            let mut listener = PgListener::connect_with(pool).await?;
            listener.listen_all(channels.iter().copied()).await?;
            // Something may have changed before this node listened.
            heard();
            self.hearing.set(true);
            loop {
                // Nothing stands for a connection that was lost and made anew.
                listener.try_recv().await?;
                heard();
            }
        };
        match listening.await {
            Ok(never) => never,
            Err(error) => error,
        }
    }
}
