//! The pharmacy directory: where prescriptions can be sent.

use std::{fmt, str::FromStr};

use kernel::{Address, Npi, PharmacyId, PhoneNumber};

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
    pub name: String,
    pub address: Address,
    pub phone: PhoneNumber,
    /// Whether it ships to patients.
    pub mail_order: bool,
    /// An inactive pharmacy takes no new prescriptions.
    pub active: bool,
}
