//! The pharmacies of the demo. The first one, which has the lowest id, ships
//! and takes what nobody chose a pharmacy for; the eRx emulator stands behind
//! all of them. Their identifiers are made up and have valid check digits.

use kernel::{Actor, Address, PharmacyId, UsState, Uuid};
use pharmacy::{
    PharmacyError,
    prescription::{Pharmacy, PrescriptionStore, read::put_pharmacy},
};
use ports::PortError;

const fn pharmacy_id(number: u128) -> PharmacyId {
    PharmacyId(Uuid::from_u128(0x5a1c_0006_0000_4000_8000_0000_0000_0000 + number))
}

/// The pharmacy that ships.
pub const MAIL_ORDER: PharmacyId = pharmacy_id(1);

struct Entry {
    id: PharmacyId,
    ncpdp_id: &'static str,
    npi: &'static str,
    name: &'static str,
    line1: &'static str,
    city: &'static str,
    state: UsState,
    postal_code: &'static str,
    phone: &'static str,
    mail_order: bool,
}

const PHARMACIES: [Entry; 3] = [
    Entry {
        id: MAIL_ORDER,
        ncpdp_id: "9900017",
        npi: "1999900016",
        name: "Harbor Mail Pharmacy",
        line1: "400 Commerce Park Drive",
        city: "Columbus",
        state: UsState::Oh,
        postal_code: "43215",
        phone: "+16145550100",
        mail_order: true,
    },
    Entry {
        id: pharmacy_id(2),
        ncpdp_id: "9900025",
        npi: "1999900024",
        name: "Beacon Street Pharmacy",
        line1: "85 Beacon Street",
        city: "Boston",
        state: UsState::Ma,
        postal_code: "02108",
        phone: "+16175550120",
        mail_order: false,
    },
    Entry {
        id: pharmacy_id(3),
        ncpdp_id: "9900033",
        npi: "1999900032",
        name: "Mission Pharmacy",
        line1: "2100 Mission Street",
        city: "San Francisco",
        state: UsState::Ca,
        postal_code: "94110",
        phone: "+14155550130",
        mail_order: false,
    },
];

impl Entry {
    fn pharmacy(&self) -> Result<Pharmacy, PharmacyError> {
        let broken = |what: &str| PortError::bug(format!("{} has a bad {what}", self.name));
        Ok(Pharmacy {
            id: self.id,
            ncpdp_id: self.ncpdp_id.parse().map_err(|_| broken("NCPDP id"))?,
            npi: self.npi.parse().map_err(|_| broken("NPI"))?,
            name: self.name.to_owned(),
            address: Address {
                line1: self.line1.to_owned(),
                line2: None,
                city: self.city.to_owned(),
                state: self.state,
                postal_code: self.postal_code.to_owned(),
            },
            phone: self.phone.parse().map_err(|_| broken("telephone"))?,
            mail_order: self.mail_order,
            active: true,
        })
    }
}

/// Puts the demo's pharmacies into the directory. An entry that is there stays
/// as it is.
pub async fn sow(store: &dyn PrescriptionStore) -> Result<(), PharmacyError> {
    let actor = Actor::system("seed.pharmacy");
    for entry in &PHARMACIES {
        let known = store.begin(&actor).await?.pharmacy(entry.id).await?.is_some();
        if !known {
            put_pharmacy(store, &actor, &entry.pharmacy()?).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_a_valid_pharmacy() {
        for entry in &PHARMACIES {
            let pharmacy = entry.pharmacy().unwrap();
            assert!(pharmacy.address.validate().is_ok());
            assert!(pharmacy.id >= MAIL_ORDER);
        }
    }
}
