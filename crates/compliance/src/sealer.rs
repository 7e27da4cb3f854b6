//! The sealer chains what was committed. Writers only add their entries and
//! never wait for it: one sealer at a time takes the entries that are not yet
//! chained, in the order of their numbers as far as they are visible. An entry
//! that commits late with a low number is chained after those that overtook it.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use ports::{ChainKeys, Env, objects::Objects};

use crate::{Anchor, ComplianceError, Hash, Head, Link, RecordedEntry, anchor, chain};

/// One transaction of the sealer. It is no unit of work of the business: what
/// it writes is about the audit log and so leaves no entry in it.
#[async_trait]
pub trait ChainTx: Send {
    /// Becomes the one sealer until the transaction ends; `false` when there
    /// is another.
    async fn become_sealer(&mut self) -> ports::Result<bool>;

    async fn head(&mut self) -> ports::Result<Option<Head>>;

    /// Committed entries that are not chained yet, by their number.
    async fn unchained(&mut self, limit: u64) -> ports::Result<Vec<RecordedEntry>>;

    /// Adds links, and takes their entries off the list of the unchained.
    async fn append(&mut self, links: &[Link], entries: &[RecordedEntry]) -> ports::Result<()>;

    async fn commit(self: Box<Self>) -> ports::Result<()>;
}

#[async_trait]
pub trait ChainStore: Send + Sync {
    async fn begin_sealing(&self) -> ports::Result<Box<dyn ChainTx>>;

    /// How long the oldest unchained entry has waited; zero when there is none.
    async fn lag(&self) -> ports::Result<Duration>;

    /// Sees the chain and the log as they are now, whatever happens after.
    async fn snapshot(&self) -> ports::Result<Box<dyn ChainSnapshot>>;
}

/// The chain and the log as they were at one instant.
#[async_trait]
pub trait ChainSnapshot: Send {
    /// Links after a position in order, each with its entry if it is there.
    async fn links_after(
        &mut self,
        position: i64,
        limit: u64,
    ) -> ports::Result<Vec<(Link, Option<RecordedEntry>)>>;

    /// Entries that are neither chained nor waiting to be, oldest first.
    async fn strays(&mut self, limit: u64) -> ports::Result<Vec<RecordedEntry>>;

    /// How many entries wait to be chained.
    async fn waiting(&mut self) -> ports::Result<u64>;
}

const BATCH: u64 = 500;

/// What a sealer remembers from step to step.
#[derive(Debug, Default)]
pub struct SealerState {
    anchored: Option<Anchor>,
    /// The head that this sealer saw last.
    seen: Option<Head>,
    started: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Step {
    pub linked: usize,
    pub anchored: bool,
    /// The chain is shorter than what was anchored, or differs from it. The
    /// log goes on being chained, and verification will name the place.
    pub broken: bool,
}

/// Chains all that waits, and anchors the head when the last anchor is older
/// than `anchor_every`; pass zero to anchor at once, as when the server stops.
pub async fn step(
    env: &Env,
    store: &dyn ChainStore,
    objects: &dyn Objects,
    keys: &dyn ChainKeys,
    state: &mut SealerState,
    anchor_every: TimeDelta,
) -> Result<Step, ComplianceError> {
    let mut done = Step::default();
    if !state.started {
        state.anchored = anchor::latest(objects).await?;
    }
    loop {
        let mut tx = store.begin_sealing().await?;
        if !tx.become_sealer().await? {
            return Ok(done);
        }
        let mut head = tx.head().await?;
        if !state.started {
            let anchored = state.anchored.as_ref();
            let anchored = anchored.map(|anchor| (anchor.position, anchor.chain_hash));
            done.broken |= disagrees(anchored, head.as_ref());
            if let Some(head) = head
                && head.key.is_none()
                && !anchor::any_signed(objects).await?
            {
                state.anchored = Some(anchor::put(objects, keys, &head, true, env.now()).await?);
            }
            state.started = true;
        }
        // What this sealer saw is still there, or somebody cut it off since.
        let seen = state.seen.map(|seen| (seen.position, seen.chain_hash));
        done.broken |= disagrees(seen, head.as_ref());
        let entries = tx.unchained(BATCH).await?;
        let links = chain::link(keys, head.as_ref(), &entries, env.now())?;
        if let Some(last) = links.last() {
            tx.append(&links, &entries).await?;
            head = Some(last.into());
        }
        tx.commit().await?;
        state.seen = head;
        done.linked += links.len();
        if links.len() as u64 == BATCH {
            continue;
        }
        if let Some(head) = head
            && is_due(state.anchored.as_ref(), &head, env.now(), anchor_every)
        {
            state.anchored = Some(anchor::put(objects, keys, &head, false, env.now()).await?);
            done.anchored = true;
        }
        return Ok(done);
    }
}

/// Whether the chain no longer reaches a position that it had, or has another
/// hash there.
fn disagrees(known: Option<(i64, Hash)>, head: Option<&Head>) -> bool {
    known.is_some_and(|(position, hash)| match head {
        None => true,
        Some(head) if head.position == position => head.chain_hash != hash,
        Some(head) => head.position < position,
    })
}

fn is_due(anchored: Option<&Anchor>, head: &Head, now: DateTime<Utc>, every: TimeDelta) -> bool {
    anchored.is_none_or(|anchor| {
        anchor.chain_hash != head.chain_hash && now - anchor.anchored_at >= every
    })
}
