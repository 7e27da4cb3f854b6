//! A payment method: a card that the gateway keeps for the patient.

use chrono::{DateTime, Utc};
use kernel::{FieldError, PatientId, PaymentMethodId};

use crate::{
    error::BillingError,
    gateway::{CardDetails, Decline},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentMethodState {
    /// Stored before the gateway is asked to attach it.
    Pending,
    Active {
        card: CardDetails,
    },
    /// The card network refused it.
    Refused {
        decline: Decline,
    },
    /// Taken away by the patient; old payments still point to it.
    Removed {
        card: CardDetails,
        at: DateTime<Utc>,
    },
}

impl PaymentMethodState {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active { .. } => "active",
            Self::Refused { .. } => "refused",
            Self::Removed { .. } => "removed",
        }
    }

    pub fn card(&self) -> Option<&CardDetails> {
        match self {
            Self::Active { card } | Self::Removed { card, .. } => Some(card),
            Self::Pending | Self::Refused { .. } => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentMethod {
    pub id: PaymentMethodId,
    pub patient: PatientId,
    /// What the browser got from the gateway for the card; it is of use only
    /// together with our credentials.
    pub token: String,
    pub state: PaymentMethodState,
    pub is_default: bool,
    pub created_at: DateTime<Utc>,
    pub version: i64,
}

impl PaymentMethod {
    pub fn intend(
        id: PaymentMethodId,
        patient: PatientId,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, BillingError> {
        let token = token.trim();
        let valid = (5..=255).contains(&token.len())
            && token.starts_with("pm_")
            && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !valid {
            return Err(BillingError::Invalid(vec![FieldError::new(
                "payment_method",
                "invalid",
                "This is not a tokenised payment method; it starts with pm_.",
            )]));
        }
        Ok(Self {
            id,
            patient,
            token: token.to_owned(),
            state: PaymentMethodState::Pending,
            is_default: false,
            created_at: now,
            version: 0,
        })
    }

    pub fn is_active(&self) -> bool {
        matches!(self.state, PaymentMethodState::Active { .. })
    }

    /// The first active method of a patient becomes the default.
    pub fn activate(mut self, card: CardDetails, first: bool) -> Result<Self, BillingError> {
        match self.state {
            PaymentMethodState::Pending => {
                self.state = PaymentMethodState::Active { card };
                self.is_default = first;
                Ok(self)
            }
            ref state => Err(BillingError::PaymentMethodState(state.word())),
        }
    }

    pub fn refuse(mut self, decline: Decline) -> Result<Self, BillingError> {
        match self.state {
            PaymentMethodState::Pending => {
                self.state = PaymentMethodState::Refused { decline };
                Ok(self)
            }
            ref state => Err(BillingError::PaymentMethodState(state.word())),
        }
    }
}

/// Which of the methods change, in the order to save them, so that there is
/// never more than one default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed(pub Vec<PaymentMethod>);

/// Makes `id` the default among all methods of a patient.
pub fn set_default(
    methods: &[PaymentMethod],
    id: PaymentMethodId,
) -> Result<Changed, BillingError> {
    let chosen = find(methods, id)?;
    if !chosen.is_active() {
        return Err(BillingError::NotFound("payment method"));
    }
    if chosen.is_default {
        return Ok(Changed(Vec::new()));
    }
    let before = methods
        .iter()
        .filter(|method| method.is_default)
        .map(|method| PaymentMethod { is_default: false, ..method.clone() });
    let after = PaymentMethod { is_default: true, ..chosen.clone() };
    Ok(Changed(before.chain([after]).collect()))
}

/// Takes `id` away. The last method stays while a subscription needs it; when
/// the default goes, the newest of the others takes its place.
pub fn remove(
    methods: &[PaymentMethod],
    id: PaymentMethodId,
    live_subscription: bool,
    now: DateTime<Utc>,
) -> Result<Changed, BillingError> {
    let gone = find(methods, id)?;
    let PaymentMethodState::Active { card } = &gone.state else {
        return Err(BillingError::NotFound("payment method"));
    };
    let heir = methods
        .iter()
        .filter(|method| method.id != id && method.is_active())
        .max_by_key(|method| (method.is_default, method.created_at, method.id));
    if heir.is_none() && live_subscription {
        return Err(BillingError::PaymentMethodNeeded);
    }
    let removed = PaymentMethod {
        state: PaymentMethodState::Removed { card: card.clone(), at: now },
        is_default: false,
        ..gone.clone()
    };
    let promoted = heir
        .filter(|_| gone.is_default)
        .map(|method| PaymentMethod { is_default: true, ..method.clone() });
    Ok(Changed([removed].into_iter().chain(promoted).collect()))
}

fn find(methods: &[PaymentMethod], id: PaymentMethodId) -> Result<&PaymentMethod, BillingError> {
    methods.iter().find(|method| method.id == id).ok_or(BillingError::NotFound("payment method"))
}

#[cfg(test)]
mod tests {
    use kernel::Uuid;
    use proptest::prelude::*;

    use super::*;

    fn method(id: u128, first: bool) -> PaymentMethod {
        let card = CardDetails {
            gateway_id: format!("pm_{id}"),
            brand: "visa".into(),
            last4: "4242".into(),
            exp_month: 4,
            exp_year: 2030,
        };
        let now = DateTime::UNIX_EPOCH + chrono::Duration::seconds(id as i64);
        let (id, patient) = (PaymentMethodId(Uuid::from_u128(id)), PatientId(Uuid::from_u128(99)));
        PaymentMethod::intend(id, patient, "pm_card_visa", now)
            .unwrap()
            .activate(card, first)
            .unwrap()
    }

    fn id(value: u128) -> PaymentMethodId {
        PaymentMethodId(Uuid::from_u128(value))
    }

    #[test]
    fn only_tokens_are_taken_never_a_card_number() {
        for bad in ["", "4242424242424242", "pm_", "pm_a b", "tok_visa", "pm_x/../y"] {
            let result =
                PaymentMethod::intend(id(1), PatientId(Uuid::nil()), bad, DateTime::UNIX_EPOCH);
            assert!(result.is_err(), "{bad}");
        }
    }

    #[test]
    fn the_only_method_stays_while_a_subscription_needs_it() {
        let methods = [method(1, true)];
        let now = DateTime::UNIX_EPOCH;
        assert!(matches!(
            remove(&methods, id(1), true, now),
            Err(BillingError::PaymentMethodNeeded)
        ));
        let Changed(changed) = remove(&methods, id(1), false, now).unwrap();
        assert_eq!(changed[0].state.word(), "removed");
        assert!(remove(&changed, id(1), false, now).is_err());
    }

    #[test]
    fn when_the_default_goes_the_newest_other_takes_its_place() {
        let methods = [method(1, true), method(2, false), method(3, false)];
        let Changed(changed) = remove(&methods, id(1), true, DateTime::UNIX_EPOCH).unwrap();
        let words: Vec<_> = changed.iter().map(|method| (method.id, method.is_default)).collect();
        assert_eq!(words, [(id(1), false), (id(3), true)]);
    }

    proptest! {
        #[test]
        fn there_is_exactly_one_default_while_there_is_a_method(
            steps in prop::collection::vec((1u128..6, any::<bool>()), 0..20),
        ) {
            let mut methods: Vec<_> = (1..6).map(|id| method(id, id == 1)).collect();
            for (target, removes) in steps {
                let changed = if removes {
                    remove(&methods, id(target), false, DateTime::UNIX_EPOCH)
                } else {
                    set_default(&methods, id(target))
                };
                for changed in changed.map(|Changed(list)| list).unwrap_or_default() {
                    let place = methods.iter_mut().find(|method| method.id == changed.id).unwrap();
                    *place = changed;
                    prop_assert!(methods.iter().filter(|method| method.is_default).count() <= 1);
                }
                let active = methods.iter().filter(|method| method.is_active()).count();
                let defaults =
                    methods.iter().filter(|method| method.is_default && method.is_active()).count();
                prop_assert_eq!(defaults, usize::from(active > 0));
            }
        }
    }
}
