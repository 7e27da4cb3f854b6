//! Money in minor units. No float comes near it, and amounts of different
//! currencies never meet.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An ISO 4217 code of a currency with two decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    Usd,
    Cad,
    Eur,
    Gbp,
}

impl Currency {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Cad => "CAD",
            Self::Eur => "EUR",
            Self::Gbp => "GBP",
        }
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(value: &str) -> Result<Self, MoneyError> {
        match value.to_ascii_uppercase().as_str() {
            "USD" => Ok(Self::Usd),
            "CAD" => Ok(Self::Cad),
            "EUR" => Ok(Self::Eur),
            "GBP" => Ok(Self::Gbp),
            _ => Err(MoneyError::UnknownCurrency),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("the currencies differ")]
    CurrencyMismatch,
    #[error("the amount is out of range")]
    Overflow,
    #[error("the currency is not supported")]
    UnknownCurrency,
}

/// An amount in minor units (cents).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    pub minor: i64,
    pub currency: Currency,
}

impl Money {
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    pub const fn usd(minor: i64) -> Self {
        Self::new(minor, Currency::Usd)
    }

    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same(other)?;
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }

    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same(other)?;
        let minor = self.minor.checked_sub(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }

    pub fn times(self, quantity: i64) -> Result<Self, MoneyError> {
        let minor = self.minor.checked_mul(quantity).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }

    /// The share `numerator / denominator` of this amount, rounded half away
    /// from zero, computed in 128 bits so that it cannot overflow on the way.
    pub fn share(self, numerator: i64, denominator: i64) -> Result<Self, MoneyError> {
        if denominator == 0 {
            return Err(MoneyError::Overflow);
        }
        let product = i128::from(self.minor) * i128::from(numerator);
        let denominator = i128::from(denominator);
        let (product, denominator) =
            if denominator < 0 { (-product, -denominator) } else { (product, denominator) };
        let half = if product >= 0 { denominator / 2 } else { -(denominator / 2) };
        let minor =
            i64::try_from((product + half) / denominator).map_err(|_| MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }

    fn same(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency { Ok(()) } else { Err(MoneyError::CurrencyMismatch) }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minor < 0 { "-" } else { "" };
        let absolute = self.minor.unsigned_abs();
        write!(f, "{sign}{}.{:02} {}", absolute / 100, absolute % 100, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_share_rounds_half_away_from_zero() {
        assert_eq!(Money::usd(5).share(1, 2).unwrap(), Money::usd(3));
        assert_eq!(Money::usd(-5).share(1, 2).unwrap(), Money::usd(-3));
        assert_eq!(Money::usd(4).share(1, 3).unwrap(), Money::usd(1));
    }

    #[test]
    fn currencies_never_mix() {
        let euro = Money::zero(Currency::Eur);
        assert_eq!(Money::usd(1).checked_add(euro), Err(MoneyError::CurrencyMismatch));
    }

    proptest! {
        #[test]
        fn complementary_shares_differ_from_the_whole_by_at_most_one_minor_unit(
            minor in -1_000_000_000i64..1_000_000_000, part in 0i64..10_000, whole in 1i64..10_000,
        ) {
            let part = part.min(whole);
            let amount = Money::usd(minor);
            let sum = amount.share(part, whole).unwrap().minor
                + amount.share(whole - part, whole).unwrap().minor;
            prop_assert!((sum - minor).abs() <= 1);
        }
    }
}
