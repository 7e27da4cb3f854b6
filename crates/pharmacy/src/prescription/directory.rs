//! The pharmacy directory: where prescriptions can be sent.

use std::{collections::BTreeSet, fmt, str::FromStr};

use kernel::{
    Address, Dea, FieldError, Npi, PharmacyId, PhoneNumber, TextKind as _, UsState,
    text::PharmacyName,
};

/// The seven-digit number that NCPDP gives to a pharmacy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NcpdpId(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an NCPDP provider identifier has seven digits")]
pub struct InvalidNcpdpId;

impl NcpdpId {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the last digit is the one that the others ask for. Identifiers in
    /// use are known that fail this, so it is a reason to look again and none to
    /// refuse.
    pub fn has_its_check_digit(&self) -> bool {
        let digits: Vec<u32> = self.0.bytes().map(|byte| u32::from(byte - b'0')).collect();
        let [d1, d2, d3, d4, d5, d6, check] = digits[..] else { return false };
        (d1 + d3 + d5 + 2 * (d2 + d4 + d6)) % 10 == check
    }
}

impl FromStr for NcpdpId {
    type Err = InvalidNcpdpId;

    fn from_str(value: &str) -> Result<Self, InvalidNcpdpId> {
        if value.len() == 7 && value.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidNcpdpId)
        }
    }
}

impl fmt::Display for NcpdpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pharmacy {
    pub id: PharmacyId,
    pub ncpdp_id: NcpdpId,
    pub npi: Npi,
    /// Its registration with the DEA, where it has one.
    pub dea: Option<Dea>,
    pub name: String,
    pub address: Address,
    pub phone: PhoneNumber,
    pub mail_order: bool,
    /// The states to which it may send: that of its place, and those in which it
    /// holds a license of its own.
    pub licensed_in: BTreeSet<UsState>,
    /// One that is not takes no new prescription and sends nothing out.
    pub active: bool,
    pub version: i64,
}

impl Pharmacy {
    /// Whether it may fill for somebody who lives there.
    pub fn serves(&self, state: UsState) -> bool {
        self.active && self.licensed_in.contains(&state)
    }

    /// Everything that is wrong with what is said of it.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = self.address.validate().err().unwrap_or_default();
        PharmacyName::check(&mut errors, "name", &self.name);
        if self.licensed_in.is_empty() {
            errors.push(FieldError::new(
                "licensed_in",
                "required",
                "Name at least the state of its place; it fills for nobody elsewhere.",
            ));
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// What is probably a slip and may be right: it is kept, and said.
    pub fn warnings(&self) -> Vec<FieldError> {
        let mut warnings = Vec::new();
        if !self.ncpdp_id.has_its_check_digit() {
            warnings.push(FieldError::new(
                "ncpdp_id",
                "check_digit",
                "The last digit is not the check digit of the others; look it up once more.",
            ));
        }
        if !self.licensed_in.contains(&self.address.state) {
            warnings.push(FieldError::new(
                "licensed_in",
                "own_state",
                "The state of its own place is not among those that it is licensed in.",
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_digit_is_weighed_as_the_deas_and_only_warns() {
        for (id, holds) in [("0123454", true), ("0123455", false), ("7701630", false)] {
            assert_eq!(id.parse::<NcpdpId>().unwrap().has_its_check_digit(), holds, "{id}");
        }
        for bad in ["", "012345", "01234545", "012345a"] {
            assert!(bad.parse::<NcpdpId>().is_err(), "{bad}");
        }
    }
}
