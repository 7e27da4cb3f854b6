//! The plain operations on an aggregate. A context's transaction lists the
//! repositories that it has and, beside them, only its real queries; the adapter
//! implements the operations once for every aggregate.

use std::{
    fmt::Display,
    ops::{Deref, DerefMut},
};

use async_trait::async_trait;
use kernel::{FieldError, PatientId, Seen, Uuid};
use serde_json::Value;

use crate::{PortError, Result};

/// What is stored, locked and versioned as one. `#[derive(Aggregate)]` implements it.
pub trait Aggregate: Clone + PartialEq + Send + Sync + 'static {
    type Id: Copy + Display + Into<Uuid> + Send + Sync + 'static;

    /// What the audit log calls it, as in `article`.
    const NAME: &'static str;

    fn id(&self) -> Self::Id;

    /// Counts the changes, from 1. The repository counts; a transition of the
    /// aggregate leaves it alone.
    fn version(&self) -> i64;

    fn set_version(&mut self, version: i64);

    /// Whose record it is, where it is a patient's.
    fn patient(&self) -> Option<PatientId>;
}

/// An aggregate whose row is locked until the transaction ends: as it is stored, and as it
/// will be saved.
#[derive(Debug)]
pub struct Locked<A> {
    stored: A,
    now: A,
}

impl<A: Aggregate> Locked<A> {
    pub fn new(stored: A) -> Self {
        Self { now: stored.clone(), stored }
    }

    pub fn stored(&self) -> &A {
        &self.stored
    }

    pub fn set(&mut self, now: A) {
        self.now = now;
    }

    /// For a repository: the aggregate as it is now is stored as this version.
    pub fn saved(&mut self, version: i64) {
        self.now.set_version(version);
        self.stored = self.now.clone();
    }

    pub fn into_inner(self) -> A {
        self.now
    }
}

impl<A> Deref for Locked<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.now
    }
}

impl<A> DerefMut for Locked<A> {
    fn deref_mut(&mut self) -> &mut A {
        &mut self.now
    }
}

/// The commit audits each change: the version, and the old and new value of each field
/// that differs. They are added to the entry that the use case writes about the same
/// aggregate; without one the repository writes its own.
#[async_trait]
pub trait Repository<A: Aggregate>: Send {
    /// `None` also for what the transaction's actor may not see.
    async fn find(&mut self, id: A::Id) -> Result<Option<A>>;

    /// Fails with `NotFound`, or with `Stale` and what has changed where the caller
    /// has seen another version than the current one.
    async fn lock(&mut self, id: A::Id, seen: &Seen) -> Result<Locked<A>>;

    async fn insert(&mut self, aggregate: &A) -> Result<()>;

    /// Writes what differs from what was found; where nothing does, it writes nothing
    /// and the version stays.
    async fn save(&mut self, aggregate: &mut Locked<A>) -> Result<()>;

    async fn delete(&mut self, aggregate: Locked<A>) -> Result<()>;
}

/// The aggregate of this id, or `NotFound`.
pub async fn get<A: Aggregate>(tx: &mut (impl Repository<A> + ?Sized), id: A::Id) -> Result<A> {
    tx.find(id).await?.ok_or_else(|| PortError::not_found(A::NAME))
}

/// Locks the aggregate of this id; see [`Repository::lock`].
pub async fn lock<A: Aggregate>(
    tx: &mut (impl Repository<A> + ?Sized),
    id: A::Id,
    seen: &Seen,
) -> Result<Locked<A>> {
    tx.lock(id, seen).await
}

/// The same, with `None` where there is no such aggregate for the transaction's actor.
pub async fn lock_existing<A: Aggregate>(
    tx: &mut (impl Repository<A> + ?Sized),
    id: A::Id,
    seen: &Seen,
) -> Result<Option<Locked<A>>> {
    match tx.lock(id, seen).await {
        Err(PortError::NotFound { .. }) => Ok(None),
        found => found.map(Some),
    }
}

/// Inserts it where there is none of its id yet.
pub async fn insert_missing<A: Aggregate>(
    tx: &mut (impl Repository<A> + ?Sized),
    aggregate: &A,
) -> Result<()> {
    match tx.find(aggregate.id()).await? {
        Some(_) => Ok(()),
        None => tx.insert(aggregate).await,
    }
}

/// A field whose value changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    pub path: String,
    /// The old and the new value, `null` where there is none; `None` for a field
    /// that is sealed.
    pub values: Option<(Value, Value)>,
}

impl PortError {
    /// What a caller is told whose change came too late: the current version, and
    /// each field that has changed since the one that was read.
    pub fn stale(seen: &Seen, current: i64, changes: &[FieldChange]) -> Self {
        let message = format!(
            "The change is meant for {seen}, and version {current} is the current one; read it \
             again."
        );
        let mut told = vec![FieldError::new("header.If-Match", "changed", message)];
        for change in changes {
            let message = match &change.values {
                Some((old, new)) => format!("{} → {}", brief(old), brief(new)),
                None => "It has another value now.".to_owned(),
            };
            told.push(FieldError::new(&change.path, "changed", message));
        }
        Self::Stale(told)
    }
}

/// A value as a person reads it in a message; the whole of a long one is in the
/// thing itself.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use kernel::DomainError as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_long_value_is_told_by_its_beginning() {
        assert_eq!(brief(&json!("ä".repeat(9))), format!("\"{}\"", "ä".repeat(9)));
        assert_eq!(brief(&json!("ä".repeat(900))).chars().count(), 201);
    }

    #[test]
    fn whoever_comes_too_late_hears_each_field_and_of_a_sealed_one_no_value() {
        let change = |path: &str, values| FieldChange { path: path.into(), values };
        let error = PortError::stale(
            &Seen::from(1),
            3,
            &[
                change("name", Some((json!("A"), json!("B")))),
                change("prices.yearly", Some((Value::Null, json!("9.00 USD")))),
                change("note", None),
            ],
        );
        let told: Vec<_> =
            error.fields().iter().map(|f| (f.path.as_str(), f.message.as_str())).collect();
        assert_eq!(told[0].0, "header.If-Match");
        assert!(told[0].1.contains("version 3 is the current one"), "{}", told[0].1);
        assert_eq!(
            told[1..],
            [
                ("name", "\"A\" → \"B\""),
                ("prices.yearly", "null → \"9.00 USD\""),
                ("note", "It has another value now."),
            ]
        );
    }
}
