//! Persons: names, addresses and the ways to reach them, each valid once it
//! exists.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use strum::EnumIter;

use crate::{
    FieldError, UsState, Word, text,
    text::{AddressLine, AddressLine2, City, PersonName, TextKind as _, ZipCode},
};

/// FHIR's administrative gender, which is also the sex that dosing and rules
/// ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, EnumIter, Word)]
#[word("AdministrativeSex")]
#[serde(rename_all = "lowercase")]
pub enum Sex {
    Male,
    Female,
    Other,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HumanName {
    pub given: String,
    pub family: String,
}

impl HumanName {
    pub fn parse(given: &str, family: &str) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut take = |path: &str, name: &str| {
            PersonName::take(path, name).map_err(|error| errors.push(error)).unwrap_or_default()
        };
        let (given, family) = (take("name.given", given), take("name.family", family));
        if errors.is_empty() { Ok(Self { given, family }) } else { Err(errors) }
    }

    /// What is wrong with a name that was kept under an older rule.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        Self::parse(&self.given, &self.family).map(drop)
    }
}

impl fmt::Display for HumanName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.given, self.family)
    }
}

/// A postal address in the United States.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub line1: String,
    pub line2: Option<String>,
    pub city: String,
    pub state: UsState,
    /// Five digits, or nine with a dash.
    pub postal_code: String,
}

impl Address {
    /// The country of every address; vendors ask for it.
    pub const COUNTRY: &'static str = "US";

    /// The address as it is kept, or everything that is wrong with it.
    pub fn checked(self) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut note = |found: Result<String, FieldError>| {
            found.map_err(|error| errors.push(error)).unwrap_or_default()
        };
        let line1 = note(AddressLine::take("address.line1", &self.line1));
        let line2 = self.line2.as_deref().unwrap_or_default();
        let line2 = note(AddressLine2::take("address.line2", line2));
        let city = note(City::take("address.city", &self.city));
        let postal_code = note(ZipCode::take("address.postal_code", &self.postal_code));
        if !errors.is_empty() {
            return Err(errors);
        }
        let line2 = Some(line2).filter(|line| !line.is_empty());
        Ok(Self { line1, line2, city, state: self.state, postal_code })
    }

    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        self.clone().checked().map(drop)
    }
}

/// A telephone number in E.164 form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a telephone number in E.164 form, as in +12125550123")]
pub struct InvalidPhoneNumber;

impl FromStr for PhoneNumber {
    type Err = InvalidPhoneNumber;

    fn from_str(value: &str) -> Result<Self, InvalidPhoneNumber> {
        let compact: String =
            value.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
        let normal = if compact.starts_with('+') { compact } else { format!("+1{compact}") };
        let digits = normal.strip_prefix('+').unwrap_or_default();
        let american = !digits.starts_with('1') || digits.len() == 11;
        let valid = (8..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        if valid && american { Ok(Self(normal)) } else { Err(InvalidPhoneNumber) }
    }
}

impl From<PhoneNumber> for String {
    fn from(value: PhoneNumber) -> Self {
        value.0
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An e-mail address, in lower case so that two spellings are one account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

impl EmailAddress {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct InvalidEmailAddress;

impl FromStr for EmailAddress {
    type Err = InvalidEmailAddress;

    fn from_str(value: &str) -> Result<Self, InvalidEmailAddress> {
        // Composed, so that two ways to type an accent are one account.
        let value = text::kept(value).to_lowercase();
        let (local, domain) = value.rsplit_once('@').ok_or(InvalidEmailAddress)?;
        let local_ok = !local.is_empty()
            && local.len() <= 64
            && local.chars().all(|c| match c.is_ascii() {
                true => c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c),
                // Hangul fillers count as letters and are invisible.
                false => c.is_alphanumeric() && text::is_text(c),
            })
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let domain_ok = domain.len() <= 253
            && domain.contains('.')
            && domain.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            });
        if local_ok && domain_ok { Ok(Self(value)) } else { Err(InvalidEmailAddress) }
    }
}

impl From<EmailAddress> for String {
    fn from(value: EmailAddress) -> Self {
        value.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_normalised_and_header_injection_is_refused() {
        let address: EmailAddress = " Ada@Example.COM ".parse().unwrap();
        assert_eq!(address.as_str(), "ada@example.com");
        let composed: EmailAddress = "Zoe\u{308}@example.com".parse().unwrap();
        assert_eq!(composed.as_str(), "zo\u{eb}@example.com");
        for bad in [
            "a\u{3164}@b.com",
            "a\u{115F}@b.com",
            "a\u{FFA0}@b.com",
            "a",
            "a@b",
            "a@b.",
            "@b.com",
            "a b@c.com",
            "a@b.com\r\nBcc: c@d.com",
            "a..b@c.com",
        ] {
            assert!(bad.parse::<EmailAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_not_a_link() {
        for good in ["Ada", "J.R.R.", "O’Brien-Smith", "St. John", "Zoë", "李", "Mary Ann 3rd"]
        {
            assert!(HumanName::parse(good, "Doe").is_ok(), "{good}");
        }
        for bad in ["http://evil.example", "evil.example", "www.evil.example/x", "a@b", "<b>"] {
            let errors = HumanName::parse(bad, "Doe").unwrap_err();
            assert_eq!((errors[0].path.as_str(), errors.len()), ("name.given", 1), "{bad}");
        }
    }

    #[test]
    fn a_name_shows_what_it_is() {
        for good in ["می\u{200c}نا", "Ñandú", "Иван"] {
            assert!(HumanName::parse(good, "Doe").is_ok(), "{good}");
        }
        let hidden = ["\u{200b}", "Ada\u{202e}", "A\u{2066}da", "\u{3164}", "A\u{e0041}"];
        for bad in hidden.into_iter().chain(["---", "A\u{200d}da", "Zoë\u{fe0f}", "Zoë\u{200d}"])
        {
            let errors = HumanName::parse(bad, "Doe").unwrap_err();
            assert_eq!((errors[0].path.as_str(), errors.len()), ("name.given", 1), "{bad:?}");
        }
    }

    #[test]
    fn an_american_number_gets_its_country_code() {
        let phone: PhoneNumber = "(212) 555-0123".parse().unwrap();
        assert_eq!(phone.as_str(), "+12125550123");
        for bad in ["", "123", "+0123456789", "+1212555", "212-555-01x3"] {
            assert!(bad.parse::<PhoneNumber>().is_err(), "{bad}");
        }
    }
}
