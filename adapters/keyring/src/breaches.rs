//! A list of breached passwords in a file that is too large for memory.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use identity::password::BreachedPasswords;
use ports::{PortError, Result};
use sha1::{Digest as _, Sha1};

use crate::KeyringError;

/// A digest in hexadecimal.
const DIGEST: usize = 40;
/// No line of the published list is as long.
const LINE: usize = 96;

/// SHA-1 digests in hexadecimal, one a line and in order, whatever follows them
/// on the line: the format in which Have I Been Pwned publishes its list. A
/// look-up is a binary search in the file, some thirty-five short reads in
/// forty gigabytes.
pub struct BreachList {
    path: PathBuf,
    file: Arc<File>,
    length: u64,
}

impl BreachList {
    /// # Errors
    ///
    /// When the file cannot be read, or does not begin with a digest.
    pub fn open(path: &Path) -> std::result::Result<Self, KeyringError> {
        let unreadable = |cause| KeyringError::Io {
            path: path.to_owned(),
            what: "the list of breached passwords cannot be read",
            cause,
        };
        let file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let list = Self { path: path.to_owned(), file: Arc::new(file), length };
        let first = digest_at(&list.file, 0).map_err(unreadable)?;
        let is_hex = |line: &[u8; DIGEST]| line.iter().all(u8::is_ascii_hexdigit);
        if first.as_ref().is_some_and(is_hex) {
            Ok(list)
        } else {
            Err(KeyringError::NoBreachList { path: list.path })
        }
    }
}

/// The digest at the beginning of a line; `None` at the end of the file.
fn digest_at(file: &File, start: u64) -> io::Result<Option<[u8; DIGEST]>> {
    let mut digest = [0; DIGEST];
    let mut read = 0;
    while read < DIGEST {
        match file.read_at(&mut digest[read..], start + read as u64)? {
            0 => return Ok(None),
            more => read += more,
        }
    }
    digest.make_ascii_uppercase();
    Ok(Some(digest))
}

/// Where the first line begins that starts at or after a place.
fn line_from(file: &File, place: u64, length: u64) -> io::Result<u64> {
    if place == 0 {
        return Ok(0);
    }
    // The byte before says whether a line starts right here.
    let mut at = place - 1;
    let mut buffer = [0; LINE];
    while at < length {
        let read = file.read_at(&mut buffer, at)?;
        if read == 0 {
            break;
        }
        if let Some(end) = buffer[..read].iter().position(|byte| *byte == b'\n') {
            return Ok(at + end as u64 + 1);
        }
        at += read as u64;
    }
    Ok(length)
}

fn contains(file: &File, length: u64, wanted: &[u8; DIGEST]) -> io::Result<bool> {
    // The wanted line, if there is one, starts at or after `low` and before `high`.
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = low + (high - low) / 2;
        let start = line_from(file, middle, length)?;
        if start >= high {
            // No line starts in the upper half.
            high = middle;
            continue;
        }
        match digest_at(file, start)? {
            None => high = middle,
            Some(found) => match found.cmp(wanted) {
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Less => low = start + 1,
                std::cmp::Ordering::Greater => high = middle,
            },
        }
    }
    Ok(false)
}

#[async_trait]
impl BreachedPasswords for BreachList {
    async fn contain(&self, password: &str) -> Result<bool> {
        let wanted = hex(&Sha1::digest(password.as_bytes()));
        let (file, length) = (Arc::clone(&self.file), self.length);
        tokio::task::spawn_blocking(move || contains(&file, length, &wanted))
            .await
            .map_err(|error| PortError::internal("searching the breached passwords", error))?
            .map_err(|error| {
                let what = format!("reading {}", self.path.display());
                PortError::internal(what, error)
            })
    }
}

fn hex(bytes: &[u8]) -> [u8; DIGEST] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = [0; DIGEST];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn list(passwords: &[String], end: &str) -> (tempfile::NamedTempFile, BreachList) {
        let mut lines: Vec<String> = passwords
            .iter()
            .enumerate()
            .map(|(count, password)| {
                let digest = hex(&Sha1::digest(password.as_bytes()));
                format!("{}:{}", String::from_utf8_lossy(&digest), 10_u64.pow(count as u32 % 9))
            })
            .collect();
        lines.sort();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(lines.join(end).as_bytes()).unwrap();
        let list = BreachList::open(file.path()).unwrap();
        (file, list)
    }

    #[tokio::test]
    async fn the_digest_is_that_of_the_published_list() {
        // The digest of `password`, which heads every such list.
        let digest = hex(&Sha1::digest(b"password"));
        assert_eq!(&digest, b"5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8");
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8:9545824").unwrap();
        let list = BreachList::open(file.path()).unwrap();
        assert!(list.contain("password").await.unwrap(), "small letters are digits too");
        assert!(!list.contain("passwort").await.unwrap());
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        assert!(BreachList::open(file.path()).is_err(), "an empty file");
        file.write_all("correct horse battery staple, in the clear and long\n".as_bytes()).unwrap();
        assert!(BreachList::open(file.path()).is_err(), "passwords in the clear");
        assert!(BreachList::open(Path::new("/nowhere/at/all")).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// What is on the list is found wherever it stands, and nothing else.
        #[test]
        fn exactly_what_is_listed_is_found(count in 1_usize..200, crlf: bool, last_line: bool) {
            let passwords: Vec<String> = (0..count).map(|n| format!("listed-{n}")).collect();
            let end = if crlf { "\r\n" } else { "\n" };
            let (mut file, mut kept) = list(&passwords, end);
            if last_line {
                file.write_all(end.as_bytes()).unwrap();
                kept = BreachList::open(file.path()).unwrap();
            }
            for n in 0..count {
                let wanted = |word: &str| hex(&Sha1::digest(format!("{word}-{n}").as_bytes()));
                prop_assert!(contains(&kept.file, kept.length, &wanted("listed")).unwrap());
                prop_assert!(!contains(&kept.file, kept.length, &wanted("other")).unwrap());
            }
        }
    }
}
