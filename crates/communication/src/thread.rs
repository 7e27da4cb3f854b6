//! A thread: one patient, one provider and what they write about.

use chrono::{DateTime, Utc};
use kernel::{AccountId, Actor, PatientId, ProviderId, SubscriptionId, ThreadId, Word};
use serde::{Deserialize, Serialize};

/// What a thread is about; it is chosen from a list because a free subject
/// would carry PHI into lists and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Word)]
#[word("TopicWord")]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    General,
    Treatment,
    SideEffect,
    Refill,
    Shipping,
    Billing,
}

/// One of the two who take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Patient,
    Provider,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    pub id: ThreadId,
    pub patient: PatientId,
    pub provider: ProviderId,
    pub topic: Topic,
    /// The subscription that it is about, where it is about one.
    pub subscription: Option<SubscriptionId>,
    pub created_at: DateTime<Utc>,
}

impl Thread {
    /// The side of an account, or `None` when it takes no part.
    pub fn side_of(&self, account: AccountId) -> Option<Side> {
        if account == self.patient.account() {
            Some(Side::Patient)
        } else if account == self.provider.account() {
            Some(Side::Provider)
        } else {
            None
        }
    }

    /// The side on which the actor may act now: a provider who lost that role
    /// keeps no access to what was written to the role.
    pub fn side_of_actor(&self, actor: &Actor) -> Option<Side> {
        let side = self.side_of(actor.account()?)?;
        let holds_role = match side {
            Side::Patient => actor.as_patient() == Some(self.patient),
            Side::Provider => actor.as_provider() == Some(self.provider),
        };
        holds_role.then_some(side)
    }

    /// Who receives what the given side writes.
    pub fn recipient_of(&self, sender: Side) -> AccountId {
        match sender {
            Side::Patient => self.provider.account(),
            Side::Provider => self.patient.account(),
        }
    }
}

/// A thread as it stands in its reader's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadSummary {
    pub thread: Thread,
    pub last_message_at: DateTime<Utc>,
    /// How many messages the reader has not read.
    pub unread: u64,
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use kernel::{ActorKind, RequestContext, Role, SessionId, Uuid};

    use super::*;

    fn actor(account: AccountId, role: Role) -> Actor {
        Actor {
            kind: ActorKind::Account {
                account,
                session: SessionId(Uuid::from_u128(9)),
                roles: Arc::new(BTreeSet::from([role])),
            },
            permissions: Arc::default(),
            request: RequestContext::default(),
        }
    }

    #[test]
    fn only_the_two_take_part_and_only_in_their_role() {
        let patient = PatientId(Uuid::from_u128(1));
        let provider = ProviderId(Uuid::from_u128(2));
        let thread = Thread {
            id: ThreadId(Uuid::from_u128(3)),
            patient,
            provider,
            topic: Topic::General,
            subscription: None,
            created_at: DateTime::UNIX_EPOCH,
        };
        let side = |account, role| thread.side_of_actor(&actor(account, role));
        assert_eq!(side(patient.account(), Role::Patient), Some(Side::Patient));
        assert_eq!(side(provider.account(), Role::Provider), Some(Side::Provider));
        assert_eq!(side(provider.account(), Role::Support), None);
        assert_eq!(side(patient.account(), Role::Provider), None);
        assert_eq!(side(AccountId(Uuid::from_u128(4)), Role::Admin), None);
        assert_eq!(thread.side_of_actor(&Actor::system("communication.test")), None);
        assert_eq!(thread.recipient_of(Side::Patient), provider.account());
        assert_eq!(thread.recipient_of(Side::Provider), patient.account());
    }
}
