//! Passwords: what a good one is, and the port that digests them.

use std::{collections::HashSet, fmt, sync::LazyLock};

use async_trait::async_trait;
use kernel::{EmailAddress, FieldError, HumanName};
use unicode_normalization::UnicodeNormalization as _;
use zxcvbn::{Score, zxcvbn};

/// A digest in PHC form; it never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    pub fn from_phc(phc: String) -> Self {
        Self(phc)
    }

    pub fn as_phc(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Digests passwords with a memory-hard function. An implementation keeps the
/// work off the threads that serve requests and bounds how much of it runs at
/// once.
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    async fn hash(&self, password: &str) -> ports::Result<PasswordHash>;

    /// Whether the password is the one behind the digest. Without a digest it
    /// does the same amount of work and answers `false`, so that the time of
    /// an answer does not tell whether an account exists.
    async fn verify(&self, password: &str, hash: Option<&PasswordHash>) -> ports::Result<bool>;
}

/// A list of breached passwords that the operator keeps.
#[async_trait]
pub trait BreachedPasswords: Send + Sync {
    async fn contain(&self, password: &str) -> ports::Result<bool>;
}

pub const MIN_LENGTH: usize = 12;
/// The upper bound keeps a request from buying unbounded hashing.
pub const MAX_LENGTH: usize = 128;

/// Passwords of twelve characters or more that stand in published breaches;
/// shorter ones are refused by their length.
static BREACHED: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    include_str!("breached_passwords.txt").lines().filter(|line| !line.is_empty()).collect()
});

/// The form in which a password is counted and digested (NFKC), so that one
/// that is typed on another keyboard is the same.
pub fn normalize(password: &str) -> String {
    password.nfkc().collect()
}

/// What an attacker tries first here, besides what is said of the person.
const PRODUCT: [&str; 4] = ["salus", "telehealth", "health", "clinic"];
/// How much of a password is estimated; it bounds the work.
const ESTIMATED: usize = 64;

/// Checks a new password, which is normalized, against the rules of NIST SP
/// 800-63B: length, known breaches, what is too close to the account and what
/// is guessed soon, and nothing about classes of characters.
pub fn check(
    path: &str,
    password: &str,
    email: &EmailAddress,
    name: Option<&HumanName>,
) -> Result<(), FieldError> {
    let length = password.chars().count();
    if length < MIN_LENGTH {
        return Err(FieldError::new(path, "too_short", "A password has at least 12 characters."));
    }
    if length > MAX_LENGTH {
        return Err(FieldError::new(path, "too_long", "A password has at most 128 characters."));
    }
    if password.chars().any(char::is_control) {
        return Err(FieldError::new(path, "invalid", "A password has no control characters."));
    }
    let folded = password.to_lowercase();
    let distinct: HashSet<char> = folded.chars().collect();
    if BREACHED.contains(folded.as_str()) || distinct.len() < 5 || is_run(&folded) {
        return Err(breached(path));
    }
    let (local, domain) = email.as_str().split_once('@').unwrap_or_default();
    if [local, domain].iter().any(|part| part.len() >= 4 && folded.contains(part)) {
        return Err(FieldError::new(
            path,
            "too_similar",
            "A password does not contain the e-mail address.",
        ));
    }
    let mut known: Vec<&str> = PRODUCT.to_vec();
    known.push(email.as_str());
    known.extend(email.as_str().split(['@', '.', '-', '_', '+']).filter(|part| part.len() > 2));
    known.extend(name.iter().flat_map(|name| [name.given.as_str(), name.family.as_str()]));
    let estimated: String = password.chars().take(ESTIMATED).collect();
    if zxcvbn(&estimated, &known).score() < Score::Four {
        return Err(FieldError::new(
            path,
            "too_weak",
            "This password is guessed soon. Take several words that do not belong together.",
        ));
    }
    Ok(())
}

/// What is said of a new password that is the old one: whoever changes it
/// thinks that somebody else may know it.
pub fn unchanged(path: &str) -> FieldError {
    FieldError::new(path, "unchanged", "This is the password that the account has already.")
}

/// What is said of a password that stands on a list.
pub fn breached(path: &str) -> FieldError {
    FieldError::new(path, "breached", "This password is among the first that an attacker tries.")
}

/// Whether the whole text only counts up or down, as in `abcdefghijkl`.
fn is_run(text: &str) -> bool {
    let codes: Vec<i64> = text.chars().map(|c| i64::from(u32::from(c))).collect();
    let mut steps = codes.windows(2).map(|pair| pair[1] - pair[0]);
    match steps.next() {
        Some(first) if first.abs() == 1 => steps.all(|step| step == first),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(password: &str) -> Option<String> {
        let email = "ada.byron@example.com".parse().unwrap();
        let name = HumanName { given: "Augusta".to_owned(), family: "Lovelace".to_owned() };
        check("password", &normalize(password), &email, Some(&name)).err().map(|error| error.code)
    }

    #[test]
    fn a_long_unusual_password_is_accepted_whatever_its_characters() {
        for good in ["correct horse battery staple", "zwölf Zeichen!", "0473925816402"] {
            assert_eq!(code(good), None, "{good}");
        }
    }

    #[test]
    fn weak_passwords_are_refused_each_for_its_reason() {
        assert_eq!(code("short-one!!").as_deref(), Some("too_short"));
        assert_eq!(code(&"ab cd ef ".repeat(20)).as_deref(), Some("too_long"));
        assert_eq!(code("with a\nnewline in").as_deref(), Some("invalid"));
        assert_eq!(code("PasswordPassword").as_deref(), Some("breached"));
        assert_eq!(code("aaaaaaaaaaaaaaaa").as_deref(), Some("breached"));
        assert_eq!(code("abcdefghijklmno").as_deref(), Some("breached"));
        assert_eq!(code("my Ada.Byron pass").as_deref(), Some("too_similar"));
    }

    #[test]
    fn what_is_guessed_soon_is_refused_though_it_is_long() {
        for weak in [
            "SalusSalusSalus",
            "Salus2026!Salus",
            "telehealth-salus",
            "1qaz2wsx3edc4rfv",
            "qwertyuiop[]asdf",
            "zxcvbnm,./asdfg",
            "abc123abc123abc123",
            "AugustaLovelace1",
            "byron.example.com",
            "P@ssw0rdP@ssw0rd",
        ] {
            assert!(code(weak).is_some(), "{weak}");
        }
    }

    #[test]
    fn a_password_is_counted_and_kept_in_one_form() {
        // The same word by two keyboards: composed, and letter by letter.
        assert_eq!(normalize("zwo\u{308}lf Zeichen!"), "zw\u{f6}lf Zeichen!");
        assert_eq!(normalize("\u{ff41}\u{ff42}\u{ff43}"), "abc", "full-width letters");
        // Eleven letters, one of them with a mark of its own.
        assert_eq!(code("e\u{301}qzvxkwmpt7").as_deref(), Some("too_short"));
    }

    #[test]
    fn the_list_of_breached_passwords_is_folded_and_long_enough_to_matter() {
        assert!(BREACHED.len() >= 100);
        for entry in BREACHED.iter() {
            assert_eq!(*entry, entry.to_lowercase());
            assert!(entry.chars().count() >= MIN_LENGTH, "{entry} is refused by its length");
        }
    }
}
