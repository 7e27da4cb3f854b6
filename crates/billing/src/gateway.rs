//! The socket for a payment gateway.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{InvoiceId, Money, PatientId, PaymentId, PaymentMethodId, Word};
use ports::Result;
use serde::{Deserialize, Serialize};

use crate::contest::GatewayContest;

/// What a refusal of the card network means for trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[serde(rename_all = "snake_case")]
pub enum DeclineKind {
    /// It may pass on another day, as with insufficient funds.
    Soft,
    /// It will never pass with this card, as with one reported stolen; trying
    /// again only harms the merchant's standing with the networks.
    Hard,
    /// The bank asks the cardholder to authenticate.
    Authentication,
}

/// A refusal in the words of the card network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decline {
    /// The network's word, as in `insufficient_funds`.
    pub code: String,
    /// A sentence for the cardholder.
    pub message: String,
}

impl Decline {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// Words that are not known are taken as soft: the retry schedule ends
    /// anyway, while a card given up wrongly costs the patient the treatment.
    pub fn kind(&self) -> DeclineKind {
        match self.code.as_str() {
            "authentication_required" | "authentication_not_handled" => DeclineKind::Authentication,
            "card_not_supported"
            | "currency_not_supported"
            | "expired_card"
            | "fraudulent"
            | "incorrect_cvc"
            | "incorrect_number"
            | "invalid_account"
            | "invalid_cvc"
            | "invalid_expiry_month"
            | "invalid_expiry_year"
            | "invalid_number"
            | "lost_card"
            | "merchant_blacklist"
            | "new_account_information_available"
            | "no_action_taken"
            | "not_permitted"
            | "pickup_card"
            | "restricted_card"
            | "revocation_of_all_authorizations"
            | "revocation_of_authorization"
            | "security_violation"
            | "service_not_allowed"
            | "stolen_card"
            | "stop_payment_order"
            | "testmode_decline"
            | "transaction_not_allowed" => DeclineKind::Hard,
            _ => DeclineKind::Soft,
        }
    }
}

/// What may be shown of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardDetails {
    /// The gateway's id of the payment method.
    pub gateway_id: String,
    pub brand: String,
    pub last4: String,
    pub exp_month: u8,
    pub exp_year: u16,
}

/// How a card was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attached {
    Card(CardDetails),
    Declined(Decline),
}

/// Where a payment stands at the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntentStatus {
    Succeeded {
        amount: Money,
    },
    Processing,
    /// The cardholder has to authenticate.
    RequiresAction,
    Declined(Decline),
    Canceled,
}

/// A payment as the gateway has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayIntent {
    /// The gateway's id.
    pub id: String,
    /// Our payment, where the intent was made for one.
    pub payment: Option<PaymentId>,
    pub status: IntentStatus,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeRequest {
    /// It is the idempotency key too, so that one payment is one charge.
    pub payment: PaymentId,
    pub invoice: InvoiceId,
    pub amount: Money,
    /// The gateway's id of the customer.
    pub customer: String,
    /// The gateway's id of the payment method.
    pub payment_method: String,
}

/// A card network's front door. A call that may have had its effect without
/// our hearing of it fails with `PortError::Unknown`; a declined card is an
/// answer, not a failure.
#[async_trait]
pub trait PaymentGateway: Send + Sync {
    /// The gateway's customer for this patient, made where there is none yet.
    /// Only the opaque id of the patient goes out, no name and no address.
    async fn ensure_customer(&self, patient: PatientId) -> Result<String>;

    /// Attaches what the browser tokenised to the customer. `method` is the
    /// idempotency key.
    async fn attach_payment_method(
        &self,
        method: PaymentMethodId,
        customer: &str,
        token: &str,
    ) -> Result<Attached>;

    /// Detaches it; one that is detached already is no failure.
    async fn detach_payment_method(&self, gateway_id: &str) -> Result<()>;

    /// Creates and confirms a payment while the cardholder is away.
    async fn create_and_confirm_payment_intent(
        &self,
        request: &ChargeRequest,
    ) -> Result<GatewayIntent>;

    async fn retrieve_payment_intent(&self, id: &str) -> Result<GatewayIntent>;

    /// The intent that was made for one of our payments, found by what was
    /// written on it and not by its id, which we may never have heard.
    async fn find_payment_intent(
        &self,
        payment: PaymentId,
        customer: &str,
        since: DateTime<Utc>,
    ) -> Result<Option<GatewayIntent>>;

    /// Every dispute, every warning of fraud and every refund of a payment, as it
    /// is now.
    async fn contests(&self, intent: &str) -> Result<Vec<GatewayContest>>;

    /// Cancels an intent that waits for the cardholder. The answer says where
    /// it stands then, which is not canceled if the cardholder was faster.
    async fn cancel_payment_intent(&self, id: &str) -> Result<GatewayIntent>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declines_are_sorted_by_what_the_network_said() {
        let kind = |code: &str| Decline::new(code, "").kind();
        assert_eq!(kind("insufficient_funds"), DeclineKind::Soft);
        assert_eq!(kind("generic_decline"), DeclineKind::Soft);
        assert_eq!(kind("a_word_of_tomorrow"), DeclineKind::Soft);
        assert_eq!(kind("stolen_card"), DeclineKind::Hard);
        assert_eq!(kind("authentication_required"), DeclineKind::Authentication);
    }
}
