//! Forms and their versions.

use chrono::{DateTime, Utc};
use kernel::{CategoryId, FieldError, FormId, FormVersionId};
use ports::Aggregate;

use crate::{
    FormDefinition, IntakeError, check,
    diff::{ChangeKind, ItemChange, diff},
};

/// The form of a category; what it asks is in its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    pub id: FormId,
    pub category: CategoryId,
    pub slug: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionStatus {
    Draft,
    /// It is the one that patients answer now.
    Published {
        at: DateTime<Utc>,
    },
    /// A later version took its place; responses still point to it.
    Retired {
        published_at: DateTime<Utc>,
        at: DateTime<Utc>,
    },
}

impl VersionStatus {
    pub fn published_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Draft => None,
            Self::Published { at } => Some(*at),
            Self::Retired { published_at, .. } => Some(*published_at),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Aggregate)]
#[aggregate("form_version")]
pub struct FormVersion {
    pub id: FormVersionId,
    pub form: Form,
    /// Counts up from 1 within the form.
    pub number: i32,
    pub status: VersionStatus,
    pub definition: FormDefinition,
    /// The version that was published when this one was drafted, or that its
    /// author has taken in since.
    pub based_on: Option<FormVersionId>,
    /// The revision: it counts the changes of the draft, and of its status.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
}

impl FormVersion {
    /// Gives the draft another definition, if `seen` is the revision that it
    /// has.
    pub fn revise(
        &mut self,
        seen: i64,
        definition: FormDefinition,
        based_on: Option<FormVersionId>,
        now: DateTime<Utc>,
    ) -> Result<(), IntakeError> {
        self.expect(seen, Some(&definition))?;
        let too_large = check::check_size(&definition);
        if !too_large.is_empty() {
            return Err(IntakeError::InvalidDefinition(too_large));
        }
        self.based_on = based_on.or(self.based_on);
        (self.definition, self.changed_at) = (definition, now);
        Ok(())
    }

    /// Refuses to go on with what was published, which never changes, and when
    /// the revision is not the one that was seen. Held against what is asked
    /// for, it says where the two differ.
    pub fn expect(&self, seen: i64, asked: Option<&FormDefinition>) -> Result<(), IntakeError> {
        if self.status != VersionStatus::Draft {
            return Err(IntakeError::AlreadyPublished);
        }
        if self.version == seen {
            return Ok(());
        }
        let told = |change: ItemChange| {
            let message = match change.kind {
                ChangeKind::Added => "It is not in the draft now.".to_owned(),
                ChangeKind::Removed => "It is in the draft now.".to_owned(),
                ChangeKind::Moved => "It stands elsewhere in the draft now.".to_owned(),
                ChangeKind::Changed => {
                    format!("The draft has another {} now.", change.fields.join(", "))
                }
            };
            let path = match change.link_id.as_str() {
                "" => "definition".to_owned(),
                link_id => format!("definition.items.{link_id}"),
            };
            FieldError::new(path, "changed", message)
        };
        let fields = asked.map_or_else(Vec::new, |asked| {
            diff(&self.definition, asked).into_iter().map(told).collect()
        });
        let (current, at) = (self.version, self.changed_at);
        Err(IntakeError::RevisionChanged { current, at, fields })
    }

    /// Makes the version the one that patients answer from now on, and retires
    /// the one before it. It must know the version whose place it takes.
    pub fn publish(
        &mut self,
        current: Option<&mut Self>,
        now: DateTime<Utc>,
    ) -> Result<(), IntakeError> {
        if self.status != VersionStatus::Draft {
            return Err(IntakeError::AlreadyPublished);
        }
        let errors = check::check(&self.definition);
        if !errors.is_empty() {
            return Err(IntakeError::InvalidDefinition(errors));
        }
        if let Some(current) = current {
            if Some(current.id) != self.based_on {
                return Err(IntakeError::Superseded(current.number));
            }
            if let VersionStatus::Published { at } = current.status {
                current.status = VersionStatus::Retired { published_at: at, at: now };
            }
        }
        self.status = VersionStatus::Published { at: now };
        Ok(())
    }

    pub fn is_published(&self) -> bool {
        matches!(self.status, VersionStatus::Published { .. })
    }
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;

    use super::*;
    use crate::{Item, ItemKind};

    fn version(number: i32) -> FormVersion {
        FormVersion {
            id: FormVersionId(Uuid::from_u128(number.unsigned_abs().into())),
            form: Form {
                id: FormId(Uuid::nil()),
                category: CategoryId(Uuid::nil()),
                slug: "acne".into(),
            },
            number,
            status: VersionStatus::Draft,
            definition: FormDefinition {
                title: "Acne".into(),
                description: None,
                items: vec![Item {
                    required: true,
                    ..Item::new(
                        "since",
                        "Since when?",
                        ItemKind::Date { earliest: None, latest: None },
                    )
                }],
                rules: vec![],
            },
            based_on: (number > 1)
                .then(|| FormVersionId(Uuid::from_u128(u128::from(number.unsigned_abs()) - 1))),
            version: 1,
            created_at: DateTime::UNIX_EPOCH,
            changed_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn publishing_retires_the_version_before_and_happens_once() {
        let now = DateTime::UNIX_EPOCH;
        let (mut first, mut second) = (version(1), version(2));
        first.publish(None, now).unwrap();
        assert!(first.is_published());
        second.publish(Some(&mut first), now).unwrap();
        assert!(second.is_published());
        assert_eq!(first.status, VersionStatus::Retired { published_at: now, at: now });
        assert!(matches!(
            version(1).publish(Some(&mut second), now),
            Err(IntakeError::Superseded(2))
        ));
        assert!(second.is_published());
        assert!(matches!(second.publish(None, now), Err(IntakeError::AlreadyPublished)));
    }

    #[test]
    fn a_draft_changes_from_the_revision_that_was_seen_and_never_once_published() {
        let now = DateTime::UNIX_EPOCH;
        let mut draft = FormVersion { version: 2, ..version(1) };
        let definition = draft.definition.clone();
        draft.revise(2, definition.clone(), None, now).unwrap();
        let mut other = definition.clone();
        other.items[0].text = "For how long?".into();
        let Err(IntakeError::RevisionChanged { current: 2, fields, .. }) =
            draft.revise(1, other, None, now)
        else {
            panic!("accepted");
        };
        let told: Vec<_> = fields.iter().map(|field| (&*field.path, &*field.message)).collect();
        assert_eq!(told, [("definition.items.since", "The draft has another text now.")]);
        assert_eq!(draft.definition, definition);
        draft.publish(None, now).unwrap();
        let refused = draft.revise(2, definition, None, now);
        assert!(matches!(refused, Err(IntakeError::AlreadyPublished)));
    }

    #[test]
    fn a_broken_definition_is_not_published() {
        let mut broken = version(1);
        broken.definition.items.clear();
        assert!(matches!(
            broken.publish(None, DateTime::UNIX_EPOCH),
            Err(IntakeError::InvalidDefinition(_))
        ));
    }
}
