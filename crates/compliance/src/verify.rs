//! Verification: walks the log in the order of the chain, recomputes every
//! hash and compares with the anchors. It finds altered, deleted and inserted
//! entries, altered and missing links, and a chain that was cut off or written
//! anew, and names the first of them.

use std::{collections::BTreeMap, fmt};

use kernel::AuditEntryId;
use ports::{ChainKeys, objects::Objects};

use crate::{
    Anchor, ChainStore, ComplianceError, Hash, Link, RecordedEntry, anchor,
    chain::{GENESIS, keyed_hash, plain_hash},
};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The entry is not what was chained.
    EntryAltered { position: i64, entry: AuditEntryId },
    /// The entry is gone; its link tells that it was there.
    EntryDeleted { position: i64, entry: AuditEntryId },
    /// The link does not follow from the one before it and its entry.
    LinkAltered { position: i64, entry: AuditEntryId },
    /// There is no link at this position, though there are links after it.
    LinkMissing { position: i64 },
    /// The chain at an anchored position is not the chain that was anchored.
    AnchorDiffers { position: i64, entry: AuditEntryId },
    /// The chain ends before a position that was anchored.
    CutOff { position: i64, anchored: i64, entry: AuditEntryId },
    /// The link was made without the key, and no signed anchor vouches for it.
    Unkeyed { position: i64, entry: AuditEntryId },
    /// The anchor was not signed by this key ring.
    AnchorForged { position: i64 },
    /// The entry is neither in the chain nor on its way into it: it was put in
    /// behind the writers' backs.
    EntryInserted { entry: AuditEntryId, seq: i64 },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EntryAltered { position, entry } => {
                write!(f, "entry {entry} at position {position} was altered")
            }
            Self::EntryDeleted { position, entry } => {
                write!(f, "entry {entry} at position {position} was deleted")
            }
            Self::LinkAltered { position, entry } => {
                write!(f, "the link of entry {entry} at position {position} was altered")
            }
            Self::LinkMissing { position } => {
                write!(f, "the link at position {position} is missing")
            }
            Self::AnchorDiffers { position, entry } => write!(
                f,
                "the chain was written anew at or before position {position}, where entry {entry} was anchored"
            ),
            Self::CutOff { position, anchored, entry } => write!(
                f,
                "the chain ends before position {position}, though it reached position {anchored} with entry {entry} when that was anchored"
            ),
            Self::Unkeyed { position, entry } => write!(
                f,
                "the link of entry {entry} at position {position} was made without the key, and no signed anchor vouches for it"
            ),
            Self::AnchorForged { position } => {
                write!(f, "the anchor of position {position} was not signed by this key ring")
            }
            Self::EntryInserted { entry, seq } => {
                write!(f, "entry {entry} (number {seq}) was inserted behind the chain")
            }
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Links that were walked.
    pub links: u64,
    /// Anchors that were compared.
    pub anchors: usize,
    pub head: Option<(i64, Hash)>,
    /// Entries that are on their way into the chain.
    pub waiting: u64,
    /// At most [`MAX_FINDINGS`], the first of the chain first.
    pub findings: Vec<Finding>,
    /// There were more findings than the report lists.
    pub more: bool,
}

pub const MAX_FINDINGS: usize = 100;

impl Report {
    pub fn is_intact(&self) -> bool {
        self.findings.is_empty()
    }

    /// The first broken entry.
    pub fn first(&self) -> Option<&Finding> {
        self.findings.first()
    }

    fn add(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.more = true;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (links, anchors) = (self.links, self.anchors);
        match self.first() {
            None => match &self.head {
                Some((position, hash)) => write!(
                    f,
                    "The audit log is intact: {links} entries and {anchors} anchors agree, {} entries wait to be chained; the head is position {position}, {hash}.",
                    self.waiting
                ),
                None => write!(f, "The audit log is intact: it is empty."),
            },
            Some(first) => {
                let count = self.findings.len();
                let more = if self.more { " or more" } else { "" };
                writeln!(
                    f,
                    "The audit log is BROKEN: {count}{more} findings over {links} entries and {anchors} anchors."
                )?;
                write!(f, "First broken entry: {first}.")?;
                for finding in &self.findings[1..] {
                    write!(f, "\n  also: {finding}")?;
                }
                Ok(())
            }
        }
    }
}

const STRIDE: u64 = 1_000;

/// Verifies the whole log.
pub async fn verify(
    store: &dyn ChainStore,
    objects: &dyn Objects,
    keys: &dyn ChainKeys,
) -> Result<Report, ComplianceError> {
    // The anchors are read before the snapshot is taken, so that each of them
    // was committed when the snapshot saw the chain.
    let mut walk = Walk::new(keys, anchor::all(objects).await?);
    let mut snapshot = store.snapshot().await?;
    let mut position = 0;
    loop {
        let links = snapshot.links_after(position, STRIDE).await?;
        let Some((last, _)) = links.last() else { break };
        position = last.position;
        for (link, entry) in &links {
            walk.visit(link, entry.as_ref());
        }
    }
    let mut report = walk.finish();
    for entry in snapshot.strays(MAX_FINDINGS as u64 + 1).await? {
        report.add(Finding::EntryInserted { entry: entry.id, seq: entry.seq });
    }
    report.waiting = snapshot.waiting().await?;
    Ok(report)
}

/// The walk along the chain, as a pure state machine.
pub struct Walk<'a> {
    keys: &'a dyn ChainKeys,
    anchors: BTreeMap<i64, Vec<Anchor>>,
    /// The last position for which a plain digest is enough.
    plain_until: i64,
    /// The key of the link before; they only grow.
    key: Option<u32>,
    unkeyed: bool,
    position: i64,
    chain_hash: Hash,
    report: Report,
}

impl<'a> Walk<'a> {
    pub fn new(keys: &'a dyn ChainKeys, anchors: Vec<Anchor>) -> Self {
        let mut report = Report { anchors: anchors.len(), ..Report::default() };
        let (anchors, forged): (Vec<_>, Vec<_>) =
            anchors.into_iter().partition(|anchor| anchor.is_genuine(keys));
        for anchor in forged {
            report.add(Finding::AnchorForged { position: anchor.position });
        }
        let adopted = anchors.iter().filter(|a| a.signature.is_some_and(|s| s.adopts));
        let plain_until = adopted.map(|anchor| anchor.position).min().unwrap_or(0);
        let mut by_position: BTreeMap<i64, Vec<Anchor>> = BTreeMap::new();
        for anchor in anchors {
            by_position.entry(anchor.position).or_default().push(anchor);
        }
        Self {
            keys,
            anchors: by_position,
            plain_until,
            key: None,
            unkeyed: false,
            position: 0,
            chain_hash: GENESIS,
            report,
        }
    }

    pub fn visit(&mut self, link: &Link, entry: Option<&RecordedEntry>) {
        let position = link.position;
        let gap = position != self.position + 1;
        if gap {
            self.report.add(Finding::LinkMissing { position: self.position + 1 });
        }
        // After a gap the hash before this link is not known, so that only the
        // entry itself can be compared.
        let follows = |entry_hash| {
            let (at, before) = (link.sealed_at, self.chain_hash);
            let hash = match link.key {
                None => Some(plain_hash(position, at, before, entry_hash)),
                // A key that was replaced vouches for nothing newer.
                Some(key) if self.key.is_some_and(|last| key < last) => None,
                Some(key) => keyed_hash(self.keys, key, position, at, before, entry_hash),
            };
            gap || hash == Some(link.chain_hash)
        };
        let recomputed = entry.map(RecordedEntry::digest);
        let finding = match recomputed {
            None => Some(Finding::EntryDeleted { position, entry: link.entry }),
            Some(hash) if hash == link.entry_hash => {
                (!follows(hash)).then_some(Finding::LinkAltered { position, entry: link.entry })
            }
            // Whichever of the two hashes the chain follows from tells whether
            // the entry or its link was changed.
            Some(hash) if !gap && follows(hash) => {
                Some(Finding::LinkAltered { position, entry: link.entry })
            }
            Some(_) => Some(Finding::EntryAltered { position, entry: link.entry }),
        };
        if let Some(finding) = finding {
            self.report.add(finding);
        }
        // The first of them is enough: all that follow are of the same making.
        if link.key.is_none() && position > self.plain_until && !self.unkeyed {
            self.unkeyed = true;
            self.report.add(Finding::Unkeyed { position, entry: link.entry });
        }
        self.key = self.key.max(link.key);
        for anchor in self.anchors.remove(&position).unwrap_or_default() {
            if anchor.chain_hash != link.chain_hash {
                self.report.add(Finding::AnchorDiffers { position, entry: anchor.entry });
            }
        }
        self.position = position;
        self.chain_hash = link.chain_hash;
        self.report.links += 1;
        self.report.head = Some((position, link.chain_hash));
    }

    pub fn finish(mut self) -> Report {
        let beyond = self.anchors.range(self.position + 1..).next();
        if let Some((anchored, anchors)) = beyond {
            self.report.add(Finding::CutOff {
                position: self.position + 1,
                anchored: *anchored,
                entry: anchors[0].entry,
            });
        }
        self.report
    }
}

#[cfg(test)]
mod tests;
