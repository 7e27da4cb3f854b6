//! Codes of the field: a coding as FHIR has it, and identifiers that carry a
//! check digit or a fixed shape and are therefore valid once they exist.

use crate::Word;
use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

/// Code systems by their FHIR URIs.
pub mod system {
    pub const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
    pub const NDC: &str = "http://hl7.org/fhir/sid/ndc";
    pub const ICD10CM: &str = "http://hl7.org/fhir/sid/icd-10-cm";
    pub const SNOMED: &str = "http://snomed.info/sct";
    pub const LOINC: &str = "http://loinc.org";
    pub const NPI: &str = "http://hl7.org/fhir/sid/us-npi";
    pub const NUCC: &str = "http://nucc.org/provider-taxonomy";
    pub const UNITS: &str = "http://unitsofmeasure.org";
}

/// A code of a system, with the words it had when it was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Coding {
    pub system: String,
    pub code: String,
    pub display: String,
}

impl Coding {
    pub fn new(
        system: impl Into<String>,
        code: impl Into<String>,
        display: impl Into<String>,
    ) -> Self {
        Self { system: system.into(), code: code.into(), display: display.into() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct InvalidCode(pub &'static str);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident, $word:literal, $check:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidCode;

            fn from_str(value: &str) -> Result<Self, InvalidCode> {
                let check: fn(&str) -> bool = $check;
                if check(value) { Ok(Self(value.to_owned())) } else { Err(InvalidCode($word)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidCode;

            fn try_from(value: String) -> Result<Self, InvalidCode> {
                value.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

codes! {
    /// The code of something that a plan unlocks, as in `video_visits`: 1 to 64
    /// lower-case letters, digits and underscores, a letter first.
    FeatureCode, "feature code", is_feature_code;
    /// A National Provider Identifier: ten digits, the last of them Luhn's
    /// over the number with the prefix 80840.
    Npi, "NPI", is_npi;
    /// A DEA registration number: two letters and seven digits with their
    /// check digit.
    Dea, "DEA number", is_dea;
    /// An RxNorm concept identifier.
    RxNorm, "RxNorm concept identifier", |value| is_digits(value, 1, 8);
    /// A National Drug Code in its eleven-digit form.
    Ndc, "NDC of eleven digits", |value| is_digits(value, 11, 11);
    /// The seven-digit number that NCPDP gives to a pharmacy.
    NcpdpId, "NCPDP provider identifier", |value| is_digits(value, 7, 7);
    /// A ZIP code: five digits, or nine with a dash after the fifth.
    PostalCode, "ZIP code", is_postal_code;
    /// An ICD-10-CM code with its dot.
    Icd10, "ICD-10-CM code", is_icd10;
}

impl NcpdpId {
    /// Whether the last digit is the one that the others ask for. Identifiers in
    /// use are known that fail this, so it is a reason to look again and none to
    /// refuse.
    pub fn has_its_check_digit(&self) -> bool {
        let digits: Vec<u32> = self.0.bytes().map(|byte| u32::from(byte - b'0')).collect();
        let [d1, d2, d3, d4, d5, d6, check] = digits[..] else { return false };
        (d1 + d3 + d5 + 2 * (d2 + d4 + d6)) % 10 == check
    }
}

impl Ndc {
    /// Reads a package code as it is printed: eleven digits, or three groups with
    /// hyphens of which one lacks its leading zero (4-4-2, 5-3-2, 5-4-1). Ten
    /// digits without hyphens could be any of these, and are refused.
    pub fn printed(text: &str) -> Result<Self, InvalidCode> {
        let text = text.trim();
        let groups: Vec<&str> = text.split('-').collect();
        match groups[..] {
            [_] => text.parse(),
            [labeler, product, package]
                if matches!(
                    (labeler.len(), product.len(), package.len()),
                    (4, 4, 2) | (5, 3, 2) | (5, 4, 1) | (5, 4, 2)
                ) =>
            {
                format!("{labeler:0>5}{product:0>4}{package:0>2}").parse()
            }
            _ => Err(InvalidCode("NDC of eleven digits, or with hyphens")),
        }
    }
}

fn is_postal_code(value: &str) -> bool {
    match value.split_once('-') {
        None => is_digits(value, 5, 5),
        Some((five, four)) => is_digits(five, 5, 5) && is_digits(four, 4, 4),
    }
}

fn is_digits(value: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_feature_code(value: &str) -> bool {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    value.len() <= 64
        && value.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && value.bytes().all(rest)
}

fn is_npi(value: &str) -> bool {
    // Luhn over "80840" adds a constant of 24 to the sum over the ten digits.
    is_digits(value, 10, 10) && (luhn_sum(value) + 24).is_multiple_of(10)
}

fn luhn_sum(digits: &str) -> u32 {
    digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, byte)| {
            let digit = u32::from(byte - b'0');
            match index % 2 {
                0 => digit,
                _ => digit * 2 / 10 + digit * 2 % 10,
            }
        })
        .sum()
}

fn is_dea(value: &str) -> bool {
    let bytes = value.as_bytes();
    if bytes.len() != 9
        || !bytes[0].is_ascii_uppercase()
        || !(bytes[1].is_ascii_uppercase() || bytes[1] == b'9')
        || !bytes[2..].iter().all(u8::is_ascii_digit)
    {
        return false;
    }
    let digit = |index: usize| u32::from(bytes[index + 2] - b'0');
    let sum = digit(0) + digit(2) + digit(4) + 2 * (digit(1) + digit(3) + digit(5));
    sum % 10 == digit(6)
}

fn is_icd10(value: &str) -> bool {
    let (category, rest) = value.split_once('.').unwrap_or((value, ""));
    let bytes = category.as_bytes();
    bytes.len() == 3
        && bytes[0].is_ascii_uppercase()
        && bytes[1].is_ascii_digit()
        && bytes[2].is_ascii_alphanumeric()
        && rest.len() <= 4
        && rest.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        && value.contains('.') != rest.is_empty()
}

/// The schedule of a controlled substance (21 U.S.C. 812).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    EnumIter,
    IntoStaticStr,
)]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE")]
pub enum DeaSchedule {
    /// Not a controlled substance.
    None,
    Ii,
    Iii,
    Iv,
    V,
}

impl DeaSchedule {
    pub fn is_controlled(self) -> bool {
        self != Self::None
    }
}

/// The units that NCPDP messages count in, by their codes of the NCI
/// thesaurus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, Word)]
pub enum QuantityUnit {
    Tablet,
    Capsule,
    Milliliter,
    Gram,
    Each,
}

impl QuantityUnit {
    /// The code that goes into `QuantityUnitOfMeasure`.
    pub const fn ncpdp(self) -> &'static str {
        match self {
            Self::Tablet => "C48542",
            Self::Capsule => "C48480",
            Self::Milliliter => "C28254",
            Self::Gram => "C48155",
            Self::Each => "C64933",
        }
    }

    pub fn from_ncpdp(code: &str) -> Option<Self> {
        [Self::Tablet, Self::Capsule, Self::Milliliter, Self::Gram, Self::Each]
            .into_iter()
            .find(|unit| unit.ncpdp() == code)
    }

    /// The unit that a word in a treatment names, in the singular or plural.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase();
        let singular = word.strip_suffix('s').unwrap_or(&word);
        Some(match singular {
            "tablet" => Self::Tablet,
            "capsule" => Self::Capsule,
            "ml" | "milliliter" => Self::Milliliter,
            "g" | "gram" => Self::Gram,
            "each" | "pen" | "tube" | "patch" => Self::Each,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postal_code_has_five_or_nine_digits() {
        for good in ["02139", "02139-4307"] {
            assert!(good.parse::<PostalCode>().is_ok(), "{good}");
        }
        for bad in ["2139", "021394307", "02139-", "0213a", "02139-430"] {
            assert!(bad.parse::<PostalCode>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_check_digit_of_ncpdp_is_weighed_as_the_deas_and_only_warns() {
        for (id, holds) in [("0123454", true), ("0123455", false), ("7701630", false)] {
            assert_eq!(id.parse::<NcpdpId>().unwrap().has_its_check_digit(), holds, "{id}");
        }
        for bad in ["", "012345", "01234545", "012345a"] {
            assert!(bad.parse::<NcpdpId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_printed_package_code_gets_the_zero_that_it_lacks() {
        for (printed, code) in [
            ("0093-3017-56", "00093301756"),
            ("13668-005-01", "13668000501"),
            ("00904-5899-4", "00904589904"),
            ("00093-3017-56", "00093301756"),
            (" 00093301756 ", "00093301756"),
        ] {
            assert_eq!(Ndc::printed(printed).unwrap().as_str(), code, "{printed}");
        }
        for bad in ["0093301756", "0093-3017", "009-33017-56", "0093-3017-56-1", "a093-3017-56", ""]
        {
            assert!(Ndc::printed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_npi_needs_its_check_digit() {
        // The worked example of the NPI check digit is 123456789 with 3.
        assert!("1234567893".parse::<Npi>().is_ok());
        for bad in ["1234567890", "123456789", "12345678933", "123456789a"] {
            assert!(bad.parse::<Npi>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_dea_number_needs_its_check_digit() {
        // (1 + 3 + 5) + 2 × (2 + 4 + 6) = 33, so the last digit is 3.
        assert!("AB1234563".parse::<Dea>().is_ok());
        for bad in ["AB1234567", "ab1234563", "AB123456", "A11234563"] {
            assert!(bad.parse::<Dea>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_icd_10_code_has_a_category_and_perhaps_a_subcategory() {
        for good in ["L64.9", "F32.A", "N52.9", "I10", "S72.001A"] {
            assert!(good.parse::<Icd10>().is_ok(), "{good}");
        }
        for bad in ["", "L6", "L64.", "64.9", "L64.99999"] {
            assert!(bad.parse::<Icd10>().is_err(), "{bad}");
        }
    }
}
