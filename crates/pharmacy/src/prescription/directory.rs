//! The pharmacy directory: where prescriptions can be sent.

use std::collections::BTreeSet;

use kernel::{
    Address, Dea, FieldError, NcpdpId, Npi, PharmacyId, PhoneNumber, TextKind as _, UsState,
    text::PharmacyName,
};
use ports::Aggregate;

#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("pharmacy")]
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
