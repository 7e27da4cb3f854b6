use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    anchor::Signature,
    chain::{
        self,
        tests::{KEYS, Keys},
    },
    entry::tests::entry,
};

type Log = Vec<(Link, Option<RecordedEntry>)>;

fn log(count: i64) -> Log {
    let entries: Vec<_> = (1..=count).map(entry).collect();
    let links = chain::link(&KEYS, None, &entries, entries[0].occurred_at).unwrap();
    links.into_iter().zip(entries.into_iter().map(Some)).collect()
}

/// The same as it was made before there was a key.
fn plain_log(count: i64) -> Log {
    let mut log = log(count);
    let mut before = GENESIS;
    for (link, _) in &mut log {
        before = plain_hash(link.position, link.sealed_at, before, link.entry_hash);
        (link.chain_hash, link.key) = (before, None);
    }
    log
}

fn anchor_of(log: &Log, index: usize) -> Anchor {
    let link = &log[index].0;
    Anchor {
        position: link.position,
        entry: link.entry,
        chain_hash: link.chain_hash,
        sealed_at: link.sealed_at,
        anchored_at: link.sealed_at,
        signature: None,
    }
}

fn signed(mut anchor: Anchor, keys: &Keys, adopts: bool) -> Anchor {
    let mac = keys.mac(keys.0, &anchor.message(keys.0, adopts)).unwrap();
    anchor.signature = Some(Signature { key: keys.0, adopts, mac: Hash(mac) });
    anchor
}

fn walk(log: &Log, anchors: Vec<Anchor>) -> Report {
    let mut walk = Walk::new(&KEYS, anchors);
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
    let links = chain::link(&KEYS, None, &entries, now).unwrap();
    let forged: Log = links.into_iter().zip(entries.clone().into_iter().map(Some)).collect();
    assert!(walk(&forged, vec![]).is_intact(), "with the key, only the anchor can tell");
    let report = walk(&forged, anchors.clone());
    assert_eq!(report.findings, [Finding::AnchorDiffers { position: 8, entry: anchors[1].entry }]);

    // Without the key there is no chain to write, anchored or not.
    let links = chain::link(&Keys(1, "theirs"), None, &entries, now).unwrap();
    let forged: Log = links.into_iter().zip(entries.into_iter().map(Some)).collect();
    let first = walk(&forged, vec![]).first().cloned();
    assert_eq!(first, Some(Finding::LinkAltered { position: 1, entry: forged[0].0.entry }));
}

#[test]
fn a_chain_of_plain_digests_holds_where_a_signed_anchor_vouches_for_it() {
    let mut log = plain_log(6);
    let unkeyed = |position: usize| Finding::Unkeyed {
        position: position as i64,
        entry: AuditEntryId(Uuid::from_u128(0xa000 + position as u128)),
    };
    assert_eq!(walk(&log, vec![]).findings, [unkeyed(1)]);
    assert_eq!(walk(&log, vec![anchor_of(&log, 5)]).findings, [unkeyed(1)]);
    let merely_signed = signed(anchor_of(&log, 5), &KEYS, false);
    assert_eq!(walk(&log, vec![merely_signed]).findings, [unkeyed(1)]);
    let adopted = signed(anchor_of(&log, 5), &KEYS, true);
    assert!(walk(&log, vec![adopted.clone()]).is_intact());

    // What follows has the key; a plain link after it is of somebody else.
    let more: Vec<_> = (7..=9).map(entry).collect();
    let head = chain::Head::from(&log[5].0);
    let links = chain::link(&KEYS, Some(&head), &more, head.sealed_at).unwrap();
    log.extend(links.into_iter().zip(more.into_iter().map(Some)));
    assert!(walk(&log, vec![adopted.clone()]).is_intact());
    let (before, last) = (log[7].0.chain_hash, &mut log[8].0);
    last.chain_hash = plain_hash(9, last.sealed_at, before, last.entry_hash);
    last.key = None;
    assert_eq!(walk(&log, vec![adopted]).findings, [unkeyed(9)]);
}

#[test]
fn an_anchor_that_was_made_up_or_changed_shows() {
    let log = log(4);
    let genuine = signed(anchor_of(&log, 3), &KEYS, false);
    assert!(walk(&log, vec![genuine.clone()]).is_intact());
    let made_up = signed(anchor_of(&log, 3), &Keys(1, "theirs"), false);
    let mut moved = genuine.clone();
    moved.position = 3;
    let mut adopting = genuine;
    adopting.signature = adopting.signature.map(|s| Signature { adopts: true, ..s });
    for (anchor, position) in [(made_up, 4), (moved, 3), (adopting, 4)] {
        let report = walk(&log, vec![anchor]);
        assert_eq!(report.findings, [Finding::AnchorForged { position }]);
    }
}

#[test]
fn a_key_that_was_replaced_makes_no_newer_links() {
    let entries: Vec<_> = (1..=4).map(entry).collect();
    let now = entries[0].occurred_at;
    let (old, new) = (Keys(1, "ours"), Keys(2, "ours"));
    let mut links = chain::link(&old, None, &entries[..1], now).unwrap();
    for (keys, entry) in [&new, &new, &old].iter().zip(&entries[1..]) {
        let head = links.last().map(chain::Head::from);
        links.extend(chain::link(*keys, head.as_ref(), std::slice::from_ref(entry), now).unwrap());
    }
    let mut walk = Walk::new(&new, vec![]);
    for (link, entry) in links.iter().zip(&entries) {
        walk.visit(link, Some(entry));
    }
    let altered = Finding::LinkAltered { position: 4, entry: entries[3].id };
    assert_eq!(walk.finish().findings, [altered]);
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
