//! Hearing of decisions at the moment they can be read. PostgreSQL sends a
//! notice when the transaction that made the decision has committed, so nobody
//! asks again and again and thereby takes what is measured.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use kernel::Uuid;
use sqlx::{PgPool, postgres::PgListener};
use tokio::{sync::oneshot, time::timeout};

/// No decision is waited for longer.
const PATIENCE: Duration = Duration::from_secs(120);

const TRIGGER: [&str; 2] = [
    "CREATE FUNCTION bench_decided() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN
         PERFORM pg_notify('bench_decided', NEW.response_id::text);
         RETURN NULL;
     END $$",
    "CREATE TRIGGER bench_decided AFTER INSERT ON care_assessments
     FOR EACH ROW EXECUTE FUNCTION bench_decided()",
];

enum Entry {
    Decided(Instant),
    Awaited(oneshot::Sender<Instant>),
}

#[derive(Clone)]
pub struct Decisions(Arc<Mutex<HashMap<Uuid, Entry>>>);

impl Decisions {
    pub async fn listen(admin: &PgPool) -> anyhow::Result<Self> {
        for statement in TRIGGER {
            sqlx::query(statement).execute(admin).await.context("asking for notices")?;
        }
        let mut listener = PgListener::connect_with(admin).await?;
        listener.listen("bench_decided").await?;
        let decisions = Self(Arc::default());
        let heard = decisions.clone();
        tokio::spawn(async move {
            while let Ok(notice) = listener.recv().await {
                let now = Instant::now();
                let Ok(response) = notice.payload().parse() else { continue };
                heard.decided(response, now);
            }
        });
        Ok(decisions)
    }

    fn decided(&self, response: Uuid, at: Instant) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The decision may be there before the answer of the submission is.
        match entries.remove(&response) {
            Some(Entry::Awaited(waiting)) => drop(waiting.send(at)),
            Some(Entry::Decided(_)) | None => {
                entries.insert(response, Entry::Decided(at));
            }
        }
    }

    /// When the response was decided, waiting for it where it is not yet.
    pub async fn of(&self, response: Uuid) -> anyhow::Result<Instant> {
        let heard = {
            let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match entries.remove(&response) {
                Some(Entry::Decided(at)) => return Ok(at),
                Some(Entry::Awaited(_)) | None => {}
            }
            let (tell, heard) = oneshot::channel();
            entries.insert(response, Entry::Awaited(tell));
            heard
        };
        timeout(PATIENCE, heard)
            .await
            .with_context(|| format!("no decision on {response} in {} s", PATIENCE.as_secs()))?
            .context("the notices of the database are no longer heard")
    }
}
