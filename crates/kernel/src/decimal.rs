//! Decimal numbers with the digits that were written: `70.50` stays `70.50`, as
//! FHIR wants of its own decimals. They compare by value, so `70.5` equals it.

use std::{fmt, ops::Neg, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::Error as _};
use serde_json::Number;

/// At most 28 significant digits, none of them after the 28th decimal place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(rust_decimal::Decimal);

/// A number that has more digits than are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number of at most 28 digits")]
pub struct InexactDecimal;

impl Decimal {
    pub const ZERO: Self = Self(rust_decimal::Decimal::ZERO);

    pub fn is_whole(self) -> bool {
        self.0.is_integer()
    }

    /// The whole part, without decimal places.
    pub fn trunc(self) -> Self {
        Self(self.0.trunc())
    }

    pub fn floor(self) -> Self {
        Self(self.0.floor())
    }

    pub fn ceil(self) -> Self {
        Self(self.0.ceil())
    }

    pub fn to_i32(self) -> Option<i32> {
        self.is_whole().then(|| i32::try_from(self.0).ok()).flatten()
    }

    pub fn to_i64(self) -> Option<i64> {
        self.is_whole().then(|| i64::try_from(self.0).ok()).flatten()
    }

    /// The float nearest to it, for formulas that have no exact result.
    pub fn to_f64(self) -> f64 {
        // A decimal's text is always one that a float reads.
        self.to_string().parse().unwrap_or_default()
    }

    /// To so many decimal places, halves away from zero; all of them are
    /// written, as in `30.0`.
    pub fn rounded(self, places: u32) -> Self {
        let strategy = rust_decimal::RoundingStrategy::MidpointAwayFromZero;
        let mut rounded = self.0.round_dp_with_strategy(places, strategy);
        rounded.rescale(places);
        Self(rounded)
    }

    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    pub fn checked_mul(self, other: Self) -> Option<Self> {
        self.0.checked_mul(other.0).map(Self)
    }

    /// To 28 digits where the quotient has more; `None` by zero.
    pub fn checked_div(self, other: Self) -> Option<Self> {
        self.0.checked_div(other.0).map(Self)
    }

    /// Without the zeros at its end.
    pub fn normalized(self) -> Self {
        Self(self.0.normalize())
    }

    /// Reads what the library can keep exactly, which is some numbers of 29
    /// digits as well. A power of ten is written out.
    fn read(text: &str) -> Result<Self, InexactDecimal> {
        if !text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) {
            return Err(InexactDecimal);
        }
        let (digits, power) = match text.split_once(['e', 'E']) {
            None => (text, 0),
            Some((digits, power)) => (digits, power.parse::<i32>().map_err(|_| InexactDecimal)?),
        };
        let plain = rust_decimal::Decimal::from_str_exact(digits).map_err(|_| InexactDecimal)?;
        let places = i64::from(plain.scale()) - i64::from(power);
        let scaled = match u32::try_from(places) {
            Ok(places) => {
                let mut scaled = plain;
                scaled.set_scale(places).map_err(|_| InexactDecimal)?;
                scaled
            }
            Err(_) => {
                let zeros = u32::try_from(-places).map_err(|_| InexactDecimal)?;
                let factor = 10_i128.checked_pow(zeros).ok_or(InexactDecimal)?;
                let whole = plain.mantissa().checked_mul(factor).ok_or(InexactDecimal)?;
                rust_decimal::Decimal::try_from_i128_with_scale(whole, 0)
                    .map_err(|_| InexactDecimal)?
            }
        };
        Ok(Self(scaled))
    }

    /// The number as JSON has it, with these digits.
    pub fn to_number(self) -> Number {
        // A decimal's text is always one that JSON reads.
        self.to_string().parse().unwrap_or_else(|_| Number::from(0))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Decimal {
    type Err = InexactDecimal;

    /// Reads a number as JSON writes it, or says that it cannot be kept
    /// exactly. A power of ten is written out: `1.5e3` is `1500`.
    fn from_str(text: &str) -> Result<Self, InexactDecimal> {
        let read = Self::read(text)?;
        let power = read.0.mantissa().unsigned_abs().checked_ilog10();
        if power.is_none_or(|power| power < 28) { Ok(read) } else { Err(InexactDecimal) }
    }
}

impl TryFrom<&Number> for Decimal {
    type Error = InexactDecimal;

    fn try_from(number: &Number) -> Result<Self, InexactDecimal> {
        number.to_string().parse()
    }
}

impl Neg for Decimal {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl From<i32> for Decimal {
    fn from(value: i32) -> Self {
        Self(value.into())
    }
}

impl From<u16> for Decimal {
    fn from(value: u16) -> Self {
        Self(value.into())
    }
}

impl From<u32> for Decimal {
    fn from(value: u32) -> Self {
        Self(value.into())
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Self(value.into())
    }
}

impl From<f64> for Decimal {
    /// The shortest decimal that reads as this float; what is out of range
    /// becomes the end of the range, and what is no number becomes zero.
    fn from(value: f64) -> Self {
        if let Ok(exact) = value.to_string().parse() {
            return exact;
        }
        match rust_decimal::Decimal::try_from(value) {
            Ok(rounded) => Self(rounded),
            Err(_) if value >= 1.0 => Self(rust_decimal::Decimal::MAX),
            Err(_) if value <= -1.0 => Self(rust_decimal::Decimal::MIN),
            Err(_) => Self::ZERO,
        }
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number: Number = self.to_string().parse().map_err(S::Error::custom)?;
        number.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    /// What was stored once has to read: a number with more digits than are
    /// kept is rounded. What comes from outside is read by `FromStr`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?;
        Ok(Self::read(&number.to_string())
            .unwrap_or_else(|_| Self::from(number.as_f64().unwrap_or_default())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &str) -> String {
        text.parse::<Decimal>().unwrap().to_string()
    }

    #[test]
    fn the_written_digits_stay() {
        for text in ["70", "70.0", "70.50", "-0.10", "0", "1234567890123456789.123456789"] {
            assert_eq!(read(text), text);
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(
                json!(Decimal::try_from(value.as_number().unwrap()).unwrap()).to_string(),
                text
            );
            let stored: Decimal = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&stored).unwrap(), text);
        }
        for (text, plain) in [("1.5e3", "1500"), ("7E-2", "0.07"), ("1.50e1", "15.0")] {
            assert_eq!(read(text), plain, "{text}");
        }
        for bad in ["", "1_000", "x", "1e400", "0.00000000000000000000000000001", "1e", "--1"] {
            assert_eq!(bad.parse::<Decimal>(), Err(InexactDecimal), "{bad}");
        }
        assert_eq!(read(&"7".repeat(28)), "7".repeat(28));
        assert_eq!(read(&format!("0.{}", "7".repeat(28))), format!("0.{}", "7".repeat(28)));
        for long in ["7".repeat(29), format!("7.{}", "7".repeat(28)), "7".repeat(30)] {
            assert_eq!(long.parse::<Decimal>(), Err(InexactDecimal), "{long}");
        }
    }

    #[test]
    fn what_floats_stored_still_reads() {
        let stored = |text: &str| serde_json::from_str::<Decimal>(text).unwrap().to_string();
        assert_eq!(stored("81.646626599999997"), "81.646626599999997");
        assert_eq!(stored(&"7".repeat(29)), "7".repeat(29));
        assert_eq!(stored("1e300"), "79228162514264337593543950335");
        assert_eq!(stored("1e-300"), "0");
        assert_eq!(Decimal::from(30.0).to_string(), "30");
        assert_eq!(Decimal::from(18.5).to_string(), "18.5");
    }

    /// As within enums that are told apart by a field, which serde reads twice.
    #[test]
    fn a_decimal_reads_within_a_tagged_enum() {
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(tag = "type")]
        enum Kind {
            Number { least: Option<Decimal> },
        }
        let kind: Kind = serde_json::from_str(r#"{"type":"Number","least":0.10}"#).unwrap();
        assert_eq!(kind, Kind::Number { least: Some(Decimal::from(0.1)) });
    }

    #[test]
    fn rounding_is_away_from_zero_and_keeps_its_places() {
        assert_eq!("22.45".parse::<Decimal>().unwrap().rounded(1).to_string(), "22.5");
        assert_eq!(Decimal::from(30).rounded(1).to_string(), "30.0");
    }

    proptest! {
        #[test]
        fn any_number_of_json_keeps_its_value(whole in any::<i64>(), places in 0u32..9) {
            let text = rust_decimal::Decimal::new(whole, places).to_string();
            prop_assert_eq!(read(&text), text);
        }
    }
}
