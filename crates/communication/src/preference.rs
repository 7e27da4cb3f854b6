//! What a person wants to be told, and how.

use std::collections::BTreeMap;

use kernel::FieldError;

use crate::{Channel, CommunicationError, NotificationKind};

/// One choice: whether a kind goes through a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preference {
    pub kind: NotificationKind,
    pub channel: Channel,
    pub enabled: bool,
}

/// A person's choices. What was never chosen is on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    chosen: BTreeMap<(NotificationKind, Channel), bool>,
}

impl Preferences {
    pub fn new(chosen: impl IntoIterator<Item = Preference>) -> Self {
        let chosen = chosen.into_iter().map(|p| ((p.kind, p.channel), p.enabled)).collect();
        Self { chosen }
    }

    pub fn allow(&self, kind: NotificationKind, channel: Channel) -> bool {
        kind.channels().contains(&channel)
            && (kind.mandatory(channel)
                || self.chosen.get(&(kind, channel)).copied().unwrap_or(true))
    }

    /// Takes over all of the changes or, where one is not possible, none.
    pub fn change(mut self, changes: &[Preference]) -> Result<Self, CommunicationError> {
        let mut errors = Vec::new();
        for (index, change) in changes.iter().enumerate() {
            let path = format!("preferences[{index}]");
            if !change.kind.channels().contains(&change.channel) {
                errors.push(FieldError::new(
                    format!("{path}.channel"),
                    "unavailable",
                    format!("{} does not go through {}.", change.kind, change.channel),
                ));
            } else if change.kind.mandatory(change.channel) && !change.enabled {
                errors.push(FieldError::new(
                    format!("{path}.enabled"),
                    "mandatory",
                    format!("{} cannot be switched off.", change.kind),
                ));
            } else {
                self.chosen.insert((change.kind, change.channel), change.enabled);
            }
        }
        if errors.is_empty() { Ok(self) } else { Err(CommunicationError::Invalid(errors)) }
    }

    /// The whole matrix as it applies, with what was never chosen.
    pub fn effective(&self) -> Vec<Preference> {
        NotificationKind::matrix()
            .map(|(kind, channel)| Preference { kind, channel, enabled: self.allow(kind, channel) })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(kind: NotificationKind, channel: Channel, enabled: bool) -> Preference {
        Preference { kind, channel, enabled }
    }

    #[test]
    fn a_switched_off_channel_leaves_the_other_on() {
        let preferences = Preferences::default()
            .change(&[choice(NotificationKind::ShipmentChanged, Channel::Mail, false)])
            .unwrap();
        assert!(!preferences.allow(NotificationKind::ShipmentChanged, Channel::Mail));
        assert!(preferences.allow(NotificationKind::ShipmentChanged, Channel::InApp));
        assert!(preferences.allow(NotificationKind::InvoicePaid, Channel::Mail));
    }

    #[test]
    fn one_impossible_change_refuses_all_and_names_each() {
        let refused = Preferences::default().change(&[
            choice(NotificationKind::ShipmentChanged, Channel::Mail, false),
            choice(NotificationKind::VerifyEmail, Channel::Mail, false),
            choice(NotificationKind::PasswordReset, Channel::InApp, true),
        ]);
        let Err(CommunicationError::Invalid(fields)) = refused else { panic!("{refused:?}") };
        let paths: Vec<&str> = fields.iter().map(|field| field.path.as_str()).collect();
        assert_eq!(paths, ["preferences[1].enabled", "preferences[2].channel"]);
    }

    #[test]
    fn a_mandatory_kind_goes_out_whatever_the_database_says() {
        let preferences =
            Preferences::new([choice(NotificationKind::VerifyEmail, Channel::Mail, false)]);
        assert!(preferences.allow(NotificationKind::VerifyEmail, Channel::Mail));
    }

    #[test]
    fn the_effective_matrix_is_complete() {
        let matrix = Preferences::default().effective();
        assert_eq!(matrix.len(), NotificationKind::matrix().count());
        assert!(matrix.iter().all(|preference| preference.enabled));
    }
}
