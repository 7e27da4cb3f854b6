use kernel::{Money, text::CurrencyCode};
use poem_openapi::Object;

use super::Text;

/// An amount of money.
#[derive(Clone, Debug, Object)]
pub struct Amount {
    /// In minor units of the currency: cents.
    pub minor: i64,
    /// The ISO 4217 code, as in `USD`.
    pub currency: Text<CurrencyCode>,
}

impl From<Money> for Amount {
    fn from(money: Money) -> Self {
        Self { minor: money.minor, currency: money.currency.code().into() }
    }
}
