//! The administration of the pharmacy directory: which pharmacies there are, to
//! which states they may send, and who works there.

use std::collections::BTreeSet;

use async_trait::async_trait;
use kernel::{
    AccountId, Actor, Address, Dea, FieldError, NcpdpId, Npi, Page, PageRequest, Permission,
    PharmacyId, PhoneNumber, Seen, TextKind as _, UsState, text::PharmacyName,
};
use ports::{AuditAction, AuditEntry, Env, PortError, repository::get, repository::lock};

use super::{Pharmacy, PrescriptionStore};
use crate::PharmacyError;

/// The unique rule of the database that one NCPDP identifier is one pharmacy.
pub const NCPDP_KEY: &str = "pharmacies_ncpdp_id_key";

/// What an administrator says of a pharmacy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PharmacySpec {
    pub ncpdp_id: NcpdpId,
    pub npi: Npi,
    pub dea: Option<Dea>,
    pub name: String,
    pub address: Address,
    pub phone: PhoneNumber,
    pub mail_order: bool,
    pub licensed_in: BTreeSet<UsState>,
    pub active: bool,
}

impl PharmacySpec {
    fn pharmacy(self, id: PharmacyId, version: i64) -> Result<Pharmacy, PharmacyError> {
        let invalid = PharmacyError::Invalid;
        let pharmacy = Pharmacy {
            id,
            ncpdp_id: self.ncpdp_id,
            npi: self.npi,
            dea: self.dea,
            name: self.name,
            address: self.address,
            phone: self.phone,
            mail_order: self.mail_order,
            licensed_in: self.licensed_in,
            active: self.active,
            version,
        };
        pharmacy.validate().map_err(invalid)?;
        let name = PharmacyName::take("name", &pharmacy.name)?;
        let address = pharmacy.address.checked().map_err(invalid)?;
        Ok(Pharmacy { name, address, ..pharmacy })
    }
}

/// Who may be said to work in a pharmacy; identity knows.
#[async_trait]
pub trait Pharmacists: Send + Sync {
    /// Whether this is the active account of somebody whose role is to work in
    /// pharmacies.
    async fn is_pharmacist(&self, account: AccountId) -> ports::Result<bool>;
}

/// Every pharmacy, active or not, by name.
pub async fn all(
    store: &dyn PrescriptionStore,
    actor: &Actor,
    page: &PageRequest,
) -> Result<Page<Pharmacy>, PharmacyError> {
    actor.require(Permission::PharmacyAdminister)?;
    Ok(store.begin(actor).await?.pharmacies(false, page).await?)
}

/// One pharmacy, with those who work there.
pub async fn one(
    store: &dyn PrescriptionStore,
    actor: &Actor,
    id: PharmacyId,
) -> Result<(Pharmacy, Vec<AccountId>), PharmacyError> {
    actor.require(Permission::PharmacyAdminister)?;
    let mut tx = store.begin(actor).await?;
    let pharmacy = get::<Pharmacy>(tx.as_mut(), id).await?;
    let staff = tx.pharmacists(id).await?;
    Ok((pharmacy, staff))
}

pub async fn create(
    env: &Env,
    store: &dyn PrescriptionStore,
    actor: &Actor,
    spec: PharmacySpec,
) -> Result<Pharmacy, PharmacyError> {
    actor.require(Permission::PharmacyAdminister)?;
    let pharmacy = spec.pharmacy(env.fresh(), 1)?;
    let mut tx = store.begin(actor).await?;
    tx.insert(&pharmacy).await.map_err(ncpdp_id_taken)?;
    tx.commit().await?;
    Ok(pharmacy)
}

/// `seen` is what the caller read. Saying what holds already changes nothing.
pub async fn revise(
    store: &dyn PrescriptionStore,
    actor: &Actor,
    id: PharmacyId,
    seen: &Seen,
    spec: PharmacySpec,
) -> Result<Pharmacy, PharmacyError> {
    actor.require(Permission::PharmacyAdminister)?;
    let mut tx = store.begin(actor).await?;
    let mut pharmacy = lock::<Pharmacy>(tx.as_mut(), id, seen).await?;
    pharmacy.set(spec.pharmacy(id, pharmacy.version)?);
    tx.save(&mut pharmacy).await.map_err(ncpdp_id_taken)?;
    tx.commit().await?;
    Ok(pharmacy.into_inner())
}

/// Takes the pharmacy out of use: nothing is prescribed to it any more, and
/// nothing more goes out. What it has been sent stays its own.
pub async fn deactivate(
    store: &dyn PrescriptionStore,
    actor: &Actor,
    id: PharmacyId,
    seen: &Seen,
) -> Result<Pharmacy, PharmacyError> {
    actor.require(Permission::PharmacyAdminister)?;
    let mut tx = store.begin(actor).await?;
    let mut pharmacy = lock::<Pharmacy>(tx.as_mut(), id, seen).await?;
    pharmacy.active = false;
    tx.save(&mut pharmacy).await?;
    tx.commit().await?;
    Ok(pharmacy.into_inner())
}

fn ncpdp_id_taken(error: PortError) -> PharmacyError {
    error.at(NCPDP_KEY, PharmacyError::NcpdpIdTaken)
}

/// Says who works in the pharmacy, instead of whoever did. They see its
/// prescriptions, stock, dispatches and shipments, and those of no other.
pub async fn assign(
    store: &dyn PrescriptionStore,
    people: &dyn Pharmacists,
    actor: &Actor,
    id: PharmacyId,
    staff: &BTreeSet<AccountId>,
) -> Result<Vec<AccountId>, PharmacyError> {
    actor.require(Permission::PharmacyAdminister)?;
    if staff.len() > 500 {
        return Err(PharmacyError::field("account_ids", "too_many", "At most 500 people."));
    }
    // Another context answers this; no transaction of ours waits for it.
    let mut errors = Vec::new();
    for (index, account) in staff.iter().enumerate() {
        if !people.is_pharmacist(*account).await? {
            let path = format!("account_ids[{index}]");
            let message = format!("{account} is no active account of a pharmacist.");
            errors.push(FieldError::new(path, "no_pharmacist", message));
        }
    }
    let mut tx = store.begin(actor).await?;
    get::<Pharmacy>(tx.as_mut(), id).await?;
    if !errors.is_empty() {
        return Err(PharmacyError::Invalid(errors));
    }
    let before = tx.pharmacists(id).await?;
    let wanted: Vec<AccountId> = staff.iter().copied().collect();
    if before == wanted {
        return Ok(before);
    }
    tx.set_pharmacists(id, &wanted).await?;
    let words = |of: &[AccountId]| -> Vec<String> { of.iter().map(ToString::to_string).collect() };
    tx.audit(
        AuditEntry::new(AuditAction::Update, "pharmacy", id)
            .detail("pharmacists_before", words(&before))
            .detail("pharmacists", words(&wanted)),
    );
    tx.commit().await?;
    Ok(wanted)
}
