//! The pharmacies of the demo. The first one, which has the lowest id, ships
//! and takes what nobody chose a pharmacy for; the eRx emulator stands behind
//! all of them. Their identifiers are made up and have valid check digits.

use kernel::{Actor, Address, PharmacyId, UsState, Uuid};
use pharmacy::{
    PharmacyError,
    prescription::{Pharmacy, PrescriptionStore, read::put_pharmacy},
};
use ports::{AuditAction, AuditEntry, PortError};

use super::identity::PHARMACIST;

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
        ncpdp_id: "9900019",
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
        ncpdp_id: "9900021",
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
            dea: None,
            // Whoever ships does so to every state, and a counter to its own.
            licensed_in: if self.mail_order {
                UsState::all().collect()
            } else {
                [self.state].into()
            },
            active: true,
            version: 1,
        })
    }
}

/// Puts the demo's pharmacies into the directory, and the demo's pharmacist into
/// the one that ships. An entry that is there stays as it is, unless it is from
/// before licenses were kept and nobody has changed it.
pub async fn sow(store: &dyn PrescriptionStore) -> Result<(), PharmacyError> {
    let actor = Actor::system("seed.pharmacy");
    for entry in &PHARMACIES {
        let wanted = entry.pharmacy()?;
        let known: Option<Pharmacy> = store.begin(&actor).await?.find(entry.id).await?;
        let is_older = |known: &Pharmacy| {
            known.version == 1 && known.licensed_in.len() < wanted.licensed_in.len()
        };
        if known.is_some_and(|known| !is_older(&known)) {
            continue;
        }
        put_pharmacy(store, &actor, &wanted).await?;
        if entry.id == MAIL_ORDER {
            let mut tx = store.begin(&actor).await?;
            tx.set_pharmacists(MAIL_ORDER, &[PHARMACIST]).await?;
            let staffed = AuditEntry::new(AuditAction::Update, "pharmacy", MAIL_ORDER);
            tx.audit(staffed.detail("pharmacists", vec![PHARMACIST.to_string()]));
            tx.commit().await?;
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
            assert!(pharmacy.validate().is_ok());
            assert!(pharmacy.warnings().is_empty(), "{:?}", pharmacy.warnings());
            assert!(pharmacy.id >= MAIL_ORDER);
        }
    }
}
