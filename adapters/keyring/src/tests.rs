use std::{fs, os::unix::fs::PermissionsExt};

use proptest::prelude::*;

use super::*;

fn ring() -> (tempfile::TempDir, Keyring) {
    let dir = tempfile::tempdir().unwrap();
    let ring = Keyring::open_or_create(dir.path().join("keys")).unwrap();
    (dir, ring)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_opens_in_its_place_only(
        plain in proptest::collection::vec(any::<u8>(), 0..300),
        place in "[a-z_.]{1,20}/[0-9a-f-]{4,36}",
        other in "[a-z_.]{1,20}/[0-9a-f-]{4,36}",
    ) {
        let (_dir, ring) = ring();
        let sealed = ring.seal(&place, &plain).unwrap();
        prop_assert_eq!(ring.open(&place, &sealed).unwrap(), plain.clone());
        prop_assert_ne!(ring.seal(&place, &plain).unwrap(), sealed.clone());
        if other != place {
            prop_assert!(ring.open(&other, &sealed).is_err());
        }
        if plain.len() > 3 {
            prop_assert!(!sealed.0.windows(plain.len()).any(|window| window == plain));
        }
    }

    #[test]
    fn a_changed_byte_does_not_open(
        plain in proptest::collection::vec(any::<u8>(), 0..60),
        position in any::<proptest::sample::Index>(),
        flip in 1_u8..,
    ) {
        let (_dir, ring) = ring();
        let mut sealed = ring.seal("message.body/1", &plain).unwrap();
        let position = position.index(sealed.0.len());
        sealed.0[position] ^= flip;
        prop_assert!(ring.open("message.body/1", &sealed).is_err());
    }

    #[test]
    fn a_cut_value_does_not_open(length in 0_usize..200) {
        let (_dir, ring) = ring();
        let mut sealed = ring.seal("message.body/1", &[7; 120]).unwrap();
        prop_assume!(length < sealed.0.len());
        sealed.0.truncate(length);
        prop_assert!(ring.open("message.body/1", &sealed).is_err());
    }

    #[test]
    fn a_blind_index_is_equal_for_equal_values_of_one_purpose(
        a in "[a-z@.]{0,12}", b in "[a-z@.]{0,12}",
    ) {
        let (_dir, ring) = ring();
        let index = |purpose: &str, value: &str| ring.blind_index(purpose, value).unwrap();
        prop_assert_eq!(index("email", &a), index("email", &a));
        prop_assert_eq!(index("email", &a) == index("email", &b), a == b);
        prop_assert_ne!(index("email", &a), index("phone", &a));
    }
}

#[test]
fn what_was_sealed_before_a_rotation_still_opens() {
    let (dir, ring) = ring();
    let before = ring.seal("a/1", b"before").unwrap();
    let index = ring.blind_index("email", "a@b.c").unwrap();
    assert_eq!(ring.rotate().unwrap(), 2);
    let after = ring.seal("a/1", b"after").unwrap();
    assert_eq!(after.0[1..5], 2_u32.to_be_bytes());

    let again = Keyring::open_or_create(dir.path().join("keys")).unwrap();
    assert_eq!(again.key_ids(), [1, 2]);
    for ring in [&ring, &again] {
        assert_eq!(ring.open("a/1", &before).unwrap(), b"before");
        assert_eq!(ring.open("a/1", &after).unwrap(), b"after");
        assert_eq!(ring.blind_index("email", "a@b.c").unwrap(), index);
    }
}

#[test]
fn a_running_process_finds_the_key_of_a_rotation_elsewhere() {
    let (dir, server) = ring();
    let command = Keyring::open_or_create(dir.path().join("keys")).unwrap();
    command.rotate().unwrap();
    let sealed = command.seal("a/1", b"new").unwrap();
    assert_eq!(server.open("a/1", &sealed).unwrap(), b"new");
    assert_eq!(server.active(), 2);
}

#[test]
fn another_ring_opens_nothing() {
    let (_one, ring_one) = ring();
    let (_two, ring_two) = ring();
    let sealed = ring_one.seal("a/1", b"x").unwrap();
    assert!(ring_two.open("a/1", &sealed).is_err());
    assert_ne!(
        ring_one.blind_index("email", "x").unwrap(),
        ring_two.blind_index("email", "x").unwrap()
    );
}

#[test]
fn a_ring_that_others_can_read_is_refused() {
    let (dir, _ring) = ring();
    let keys = dir.path().join("keys");
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for entry in fs::read_dir(&keys).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    for (name, wide, right) in
        [("", 0o750, 0o700), ("key-00000001", 0o640, 0o600), ("index.key", 0o604, 0o600)]
    {
        let path = keys.join(name);
        set(&path, wide);
        let refused = Keyring::open_or_create(&keys);
        assert!(matches!(refused, Err(KeyringError::TooOpen { .. })), "{name}");
        set(&path, right);
        assert!(Keyring::open_or_create(&keys).is_ok());
    }
}

#[test]
fn a_lost_key_is_refused_and_an_interrupted_creation_is_finished() {
    for lost in ["key-00000001", "index.key"] {
        let (dir, ring) = ring();
        ring.rotate().unwrap();
        let keys = dir.path().join("keys");
        fs::remove_file(keys.join(lost)).unwrap();
        let refused = Keyring::open_or_create(&keys);
        assert!(matches!(refused, Err(KeyringError::Missing { .. })), "{lost}");
    }

    let (dir, ring) = ring();
    let keys = dir.path().join("keys");
    let sealed = ring.seal("a/1", b"x").unwrap();
    fs::remove_file(keys.join("ring")).unwrap();
    fs::remove_file(keys.join("index.key")).unwrap();
    fs::write(keys.join(".index.key.part"), b"half").unwrap();
    let finished = Keyring::open_or_create(&keys).unwrap();
    assert_eq!(finished.open("a/1", &sealed).unwrap(), b"x");
}

#[test]
fn processes_that_start_at_once_share_one_ring() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    let rings: Vec<Keyring> = std::thread::scope(|scope| {
        let starts: Vec<_> =
            (0..8).map(|_| scope.spawn(|| Keyring::open_or_create(&keys).unwrap())).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    let sealed = rings[0].seal("a/1", b"x").unwrap();
    for ring in &rings {
        assert_eq!(ring.open("a/1", &sealed).unwrap(), b"x");
    }
}

#[test]
fn the_keys_of_the_audit_chain_rotate_and_older_ones_still_vouch() {
    let (dir, ring) = ring();
    let before = ring.mac(1, b"link").unwrap();
    assert_eq!(ChainKeys::active(&ring), 1);
    assert_eq!(ring.mac(2, b"link"), None);
    ring.rotate().unwrap();
    assert_eq!(ChainKeys::active(&ring), 2);
    assert_eq!(ring.mac(1, b"link"), Some(before));
    assert_ne!(ring.mac(2, b"link"), Some(before));
    // The key is none of those that seal.
    drop(ring);
    fs::remove_file(dir.path().join("keys/chain-00000001")).unwrap();
    let lost = Keyring::open_or_create(dir.path().join("keys"));
    assert!(matches!(lost, Err(KeyringError::Missing { .. })));
}

#[test]
fn a_ring_from_before_the_audit_chain_had_a_key_gets_one() {
    let (dir, ring) = ring();
    let sealed = ring.seal("message.body/1", b"hello").unwrap();
    drop(ring);
    for name in ["chain", "chain-00000001"] {
        fs::remove_file(dir.path().join("keys").join(name)).unwrap();
    }
    let ring = Keyring::open_or_create(dir.path().join("keys")).unwrap();
    assert_eq!(ring.open("message.body/1", &sealed).unwrap(), b"hello");
    assert!(ring.mac(1, b"link").is_some());
}
