use kernel::Money;
use poem_openapi::Object;

/// An amount of money.
#[derive(Clone, Debug, Object)]
pub struct Amount {
    /// In minor units of the currency: cents.
    pub minor: i64,
    /// The ISO 4217 code, as in `USD`.
    pub currency: String,
}

impl From<Money> for Amount {
    fn from(money: Money) -> Self {
        Self { minor: money.minor, currency: money.currency.code().to_owned() }
    }
}
