//! Which versions of a thing a change is meant for.

use std::fmt;

/// What a caller has seen of the thing that it changes. Versions count from
/// one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Whatever it is now, as long as it is there.
    Any,
    /// One of these; none of them where the list is empty.
    OneOf(Vec<i64>),
}

impl Seen {
    pub fn admits(&self, current: i64) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(versions) => versions.contains(&current),
        }
    }

    /// The newest version that the caller named.
    pub fn newest(&self) -> Option<i64> {
        match self {
            Self::Any => None,
            Self::OneOf(versions) => versions.iter().max().copied(),
        }
    }
}

impl From<i64> for Seen {
    fn from(version: i64) -> Self {
        Self::OneOf(vec![version])
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any version"),
            Self::OneOf(versions) => match self.newest() {
                None => f.write_str("no version of it"),
                Some(newest) if versions.len() == 1 => write!(f, "version {newest}"),
                Some(newest) => write!(f, "version {newest} or an older one"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_named_version_is_admitted_unless_any_is() {
        assert!(Seen::from(3).admits(3) && !Seen::from(3).admits(4));
        assert!(Seen::OneOf(vec![2, 4]).admits(4) && !Seen::OneOf(vec![2, 4]).admits(3));
        assert!(!Seen::OneOf(vec![]).admits(1));
        assert!(Seen::Any.admits(9));
    }
}
