//! What is prescribed: the product, how much of it and how it is taken.

use std::{fmt, str::FromStr};

use kernel::{
    DeaSchedule, DoseForm, FieldError, Ndc, QuantityUnit, RxNorm, TextKind as _, TreatedWith,
    text::Sig,
};

use serde::{Deserialize, Serialize};

use crate::safety::Formulary;

/// One packaged product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Medication {
    /// The clinical or branded drug.
    pub rxnorm: RxNorm,
    pub ndc: Ndc,
    /// The name in full, as in `finasteride 1 MG Oral Tablet`.
    pub display: String,
    /// The strength of one unit, as in `1 MG`.
    pub strength: String,
    pub schedule: DeaSchedule,
}

impl Medication {
    /// The product alone, to be held against what was bought.
    pub fn product(&self) -> TreatedWith {
        TreatedWith {
            drugs: Formulary::shipped().drugs_of(&self.rxnorm, &self.display),
            form: DoseForm::of_name(&self.display),
            doses: None,
        }
    }
}

/// An amount in thousandths of a unit, because 2.5 mL is an amount and floats
/// do not belong on a prescription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an amount is positive, at most 99999 and has at most three decimals")]
pub struct InvalidAmount;

impl Amount {
    const MOST: u32 = 99_999_000;

    pub fn from_thousandths(value: u32) -> Result<Self, InvalidAmount> {
        if value == 0 || value > Self::MOST { Err(InvalidAmount) } else { Ok(Self(value)) }
    }

    pub fn whole(value: u32) -> Result<Self, InvalidAmount> {
        value.checked_mul(1000).ok_or(InvalidAmount).and_then(Self::from_thousandths)
    }

    pub fn thousandths(self) -> u32 {
        self.0
    }

    /// The amount rounded up to whole units, as stock counts it.
    pub fn units(self) -> u32 {
        self.0.div_ceil(1000)
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> Self {
        amount.to_string()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        if rest == 0 {
            write!(f, "{whole}")
        } else {
            let decimals = format!("{rest:03}");
            write!(f, "{whole}.{}", decimals.trim_end_matches('0'))
        }
    }
}

impl FromStr for Amount {
    type Err = InvalidAmount;

    fn from_str(value: &str) -> Result<Self, InvalidAmount> {
        let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty()
            || whole.len() > 5
            || decimals.len() > 3
            || !digits(whole)
            || !digits(decimals)
            || (value.contains('.') && decimals.is_empty())
        {
            return Err(InvalidAmount);
        }
        let whole: u32 = whole.parse().map_err(|_| InvalidAmount)?;
        let decimals: u32 = format!("{decimals:0<3}").parse().map_err(|_| InvalidAmount)?;
        Self::from_thousandths(whole * 1000 + decimals)
    }
}

/// How the medication is taken and how much of it one fill holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dosing {
    /// The directions to the patient.
    pub sig: String,
    pub quantity: Amount,
    pub unit: QuantityUnit,
    /// How many days one fill lasts.
    pub days_supply: u16,
    /// Refills after the first fill.
    pub refills: u8,
}

impl Dosing {
    /// The longest supply of one fill; what mail-order pharmacies dispense at
    /// most.
    pub const MOST_DAYS: u16 = 100;
    /// A prescription holds for a year, so twelve fills of a month at most.
    pub const MOST_REFILLS: u8 = 11;

    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        Sig::check(&mut errors, "sig", &self.sig);
        if self.days_supply == 0 || self.days_supply > Self::MOST_DAYS {
            errors.push(FieldError::new(
                "days_supply",
                "out_of_range",
                "One fill lasts from 1 to 100 days.",
            ));
        }
        if self.refills > Self::MOST_REFILLS {
            errors.push(FieldError::new(
                "refills",
                "out_of_range",
                "A prescription allows at most 11 refills.",
            ));
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_amount_is_written_without_needless_zeros() {
        for (text, thousandths) in [("30", 30_000), ("2.5", 2_500), ("0.75", 750), ("1.005", 1_005)]
        {
            let amount: Amount = text.parse().unwrap();
            assert_eq!(amount.thousandths(), thousandths);
            assert_eq!(amount.to_string(), text);
        }
        for bad in ["", "0", ".5", "1.", "1.2345", "-1", "100000", "1e3", " 1"] {
            assert!(bad.parse::<Amount>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn amounts_survive_their_text(value in 1u32..=Amount::MOST) {
            let amount = Amount::from_thousandths(value).unwrap();
            prop_assert_eq!(amount.to_string().parse::<Amount>().unwrap(), amount);
        }
    }
}
