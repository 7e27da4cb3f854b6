//! The test cards by their published tokens.

/// A test card.
pub struct Card {
    pub brand: &'static str,
    pub last4: &'static str,
    pub funding: &'static str,
    pub behaviour: Behaviour,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    Good,
    /// It is refused already when it is attached to a customer.
    DeclinedAtOnce(&'static str),
    /// It can be saved, and is refused when it is charged.
    DeclinedLater(&'static str),
    /// The cardholder has to authenticate every payment.
    Authenticated,
}

/// The card behind a token such as `pm_card_visa`.
pub fn by_token(token: &str) -> Option<Card> {
    let name = token.strip_prefix("pm_card_")?;
    let card = |brand, last4, behaviour| Some(Card { brand, last4, funding: "credit", behaviour });
    let declined = |last4, code| card("visa", last4, Behaviour::DeclinedAtOnce(code));
    match name.strip_prefix("visa_").unwrap_or(name) {
        "visa" => card("visa", "4242", Behaviour::Good),
        "debit" => Some(Card {
            brand: "visa",
            last4: "5556",
            funding: "debit",
            behaviour: Behaviour::Good,
        }),
        "mastercard" => card("mastercard", "4444", Behaviour::Good),
        "amex" => card("amex", "8431", Behaviour::Good),
        "discover" => card("discover", "9424", Behaviour::Good),
        "authenticationRequired" => card("visa", "3184", Behaviour::Authenticated),
        "chargeCustomerFail" => card("visa", "0341", Behaviour::DeclinedLater("generic_decline")),
        "chargeDeclined" => declined("0002", "generic_decline"),
        "chargeDeclinedInsufficientFunds" => declined("9995", "insufficient_funds"),
        "chargeDeclinedLostCard" => declined("9987", "lost_card"),
        "chargeDeclinedStolenCard" => declined("9979", "stolen_card"),
        "chargeDeclinedExpiredCard" => declined("0069", "expired_card"),
        "chargeDeclinedIncorrectCvc" => declined("0127", "incorrect_cvc"),
        "chargeDeclinedProcessingError" => declined("0119", "processing_error"),
        _ => None,
    }
}

/// The error code that goes with a decline code, and whether the decline code
/// is told beside it.
pub fn error_code(decline: &str) -> (&str, bool) {
    match decline {
        "expired_card" | "incorrect_cvc" | "processing_error" => (decline, false),
        "authentication_required" => (decline, true),
        _ => ("card_declined", true),
    }
}

/// What the cardholder may be told.
pub fn message(decline: &str) -> &'static str {
    match decline {
        "insufficient_funds" => "Your card has insufficient funds.",
        "expired_card" => "Your card has expired.",
        "incorrect_cvc" => "Your card's security code is incorrect.",
        "processing_error" => {
            "An error occurred while processing your card. Try again in a little bit."
        }
        "authentication_required" => {
            "Your card was declined. This transaction requires authentication."
        }
        _ => "Your card was declined.",
    }
}
