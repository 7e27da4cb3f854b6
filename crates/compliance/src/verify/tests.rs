use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{chain, entry::tests::entry};

type Log = Vec<(Link, Option<RecordedEntry>)>;

fn log(count: i64) -> Log {
    let entries: Vec<_> = (1..=count).map(entry).collect();
    let links = chain::link(None, &entries, entries[0].occurred_at);
    links.into_iter().zip(entries.into_iter().map(Some)).collect()
}

fn anchor_of(log: &Log, index: usize) -> Anchor {
    let link = &log[index].0;
    Anchor {
        position: link.position,
        entry: link.entry,
        chain_hash: link.chain_hash,
        sealed_at: link.sealed_at,
        anchored_at: link.sealed_at,
    }
}

fn walk(log: &Log, anchors: Vec<Anchor>) -> Report {
    let mut walk = Walk::new(anchors);
    for (link, entry) in log {
        walk.visit(link, entry.as_ref());
    }
    walk.finish()
}

#[test]
fn an_untouched_log_is_intact() {
    let log = log(20);
    let anchors = vec![anchor_of(&log, 4), anchor_of(&log, 19)];
    let report = walk(&log, anchors);
    assert!(report.is_intact(), "{report}");
    assert_eq!(report.links, 20);
    assert_eq!(report.head, Some((20, log[19].0.chain_hash)));
}

#[test]
fn a_chain_that_was_written_anew_differs_from_its_anchor() {
    let original = log(10);
    let anchors = vec![anchor_of(&original, 2), anchor_of(&original, 7)];
    let mut entries: Vec<_> = original.iter().filter_map(|(_, entry)| entry.clone()).collect();
    entries[5].outcome = "denied".into();
    let now = entries[0].occurred_at;
    let links = chain::link(None, &entries, now);
    let forged: Log = links.into_iter().zip(entries.into_iter().map(Some)).collect();
    assert!(walk(&forged, vec![]).is_intact(), "only the anchor can tell");
    let report = walk(&forged, anchors.clone());
    assert_eq!(report.findings, [Finding::AnchorDiffers { position: 8, entry: anchors[1].entry }]);
}

#[test]
fn a_cut_tail_shows_by_its_anchor() {
    let mut log = log(10);
    let anchor = anchor_of(&log, 8);
    let entry = anchor.entry;
    log.truncate(6);
    let report = walk(&log, vec![anchor.clone()]);
    assert_eq!(report.findings, [Finding::CutOff { position: 7, anchored: 9, entry }]);
    log.clear();
    let report = walk(&log, vec![anchor]);
    assert_eq!(report.findings, [Finding::CutOff { position: 1, anchored: 9, entry }]);
    assert!(report.to_string().contains("before position 1"), "{report}");
}

proptest! {
    #[test]
    fn one_change_is_named_where_it_was_made(
        count in 2_i64..40,
        index in any::<proptest::sample::Index>(),
        change in 0_u8..5,
    ) {
        let mut log = log(count);
        let index = index.index(log.len());
        let (position, id) = (log[index].0.position, log[index].0.entry);
        let expected = match change {
            0 => {
                log[index].1.as_mut().unwrap().entity_id.push('x');
                Finding::EntryAltered { position, entry: id }
            }
            1 => {
                log[index].1 = None;
                Finding::EntryDeleted { position, entry: id }
            }
            2 => {
                log[index].0.entry_hash.0[3] ^= 1;
                Finding::LinkAltered { position, entry: id }
            }
            3 => {
                log[index].0.chain_hash.0[3] ^= 1;
                Finding::LinkAltered { position, entry: id }
            }
            _ => {
                let anchor = anchor_of(&log, log.len() - 1);
                log.remove(index);
                let report = walk(&log, vec![anchor]);
                let first = report.first().cloned();
                let expected = if position == count {
                    Finding::CutOff { position, anchored: count, entry: id }
                } else {
                    Finding::LinkMissing { position }
                };
                prop_assert_eq!(first, Some(expected));
                return Ok(());
            }
        };
        let report = walk(&log, vec![]);
        prop_assert_eq!(report.first(), Some(&expected));
    }

    #[test]
    fn two_entries_that_changed_places_are_found(count in 2_usize..20, at in any::<proptest::sample::Index>()) {
        let mut log = log(count as i64);
        let at = at.index(count - 1);
        let moved = log[at].1.take();
        log[at].1 = log[at + 1].1.replace(moved.unwrap());
        let report = walk(&log, vec![]);
        prop_assert_eq!(
            report.first(),
            Some(&Finding::EntryAltered { position: at as i64 + 1, entry: log[at].0.entry })
        );
    }
}

#[test]
fn a_long_list_of_findings_is_cut_and_says_so() {
    let mut log = log(150);
    for (_, entry) in &mut log {
        entry.as_mut().unwrap().entity = "other".into();
    }
    let report = walk(&log, vec![]);
    assert_eq!(report.findings.len(), MAX_FINDINGS);
    assert!(report.more);
    let first = Finding::EntryAltered { position: 1, entry: AuditEntryId(Uuid::from_u128(0xa001)) };
    assert_eq!(report.first(), Some(&first));
}
