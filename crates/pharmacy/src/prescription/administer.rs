//! The administration of the pharmacy directory: which pharmacies there are, to
//! which states they may send, and who works there.

use std::collections::BTreeSet;

use async_trait::async_trait;
use kernel::{
    AccountId, Actor, Address, Dea, FieldError, NcpdpId, Npi, Page, PageRequest, Permission,
    PharmacyId, PhoneNumber, Seen, TextKind as _, UsState, text::PharmacyName,
};
use ports::{AuditAction, AuditEntry, Env, PortError};

use super::{Pharmacy, PrescriptionStore, PrescriptionTx};
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
    Ok(store.begin(actor).await?.all_pharmacies(page).await?)
}

/// One pharmacy, with those who work there.
pub async fn one(
    store: &dyn PrescriptionStore,
    actor: &Actor,
    id: PharmacyId,
) -> Result<(Pharmacy, Vec<AccountId>), PharmacyError> {
    actor.require(Permission::PharmacyAdminister)?;
    let mut tx = store.begin(actor).await?;
    let pharmacy = found(tx.as_mut(), id).await?;
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
    save(tx.as_mut(), AuditAction::Create, None, &pharmacy).await?;
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
    change(store, actor, id, seen, |current| spec.pharmacy(id, current.version)).await
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
    change(store, actor, id, seen, |current| Ok(Pharmacy { active: false, ..current.clone() }))
        .await
}

async fn change(
    store: &dyn PrescriptionStore,
    actor: &Actor,
    id: PharmacyId,
    seen: &Seen,
    to: impl FnOnce(&Pharmacy) -> Result<Pharmacy, PharmacyError> + Send,
) -> Result<Pharmacy, PharmacyError> {
    let mut tx = store.begin(actor).await?;
    let current = found(tx.as_mut(), id).await?;
    if !seen.admits(current.version) {
        return Err(outdated(seen, &current));
    }
    let wanted = to(&current)?;
    if wanted == current {
        return Ok(current);
    }
    let pharmacy = Pharmacy { version: current.version + 1, ..wanted };
    save(tx.as_mut(), AuditAction::Update, Some(&current), &pharmacy).await?;
    tx.commit().await?;
    Ok(pharmacy)
}

fn outdated(seen: &Seen, current: &Pharmacy) -> PharmacyError {
    let message = format!(
        "The change is meant for {seen}, and version {} is the current one; read it again.",
        current.version
    );
    PharmacyError::Changed(vec![FieldError::new("header.If-Match", "changed", message)])
}

async fn found(tx: &mut dyn PrescriptionTx, id: PharmacyId) -> Result<Pharmacy, PharmacyError> {
    tx.pharmacy(id).await?.ok_or(PharmacyError::NotFound("pharmacy"))
}

/// Saves the next version, with what changed. Where another change was faster
/// the caller reads it first.
async fn save(
    tx: &mut dyn PrescriptionTx,
    action: AuditAction,
    before: Option<&Pharmacy>,
    pharmacy: &Pharmacy,
) -> Result<(), PharmacyError> {
    tx.put_pharmacy(pharmacy).await.map_err(|error| match error {
        PortError::Conflict(rule) if rule.contains(NCPDP_KEY) => PharmacyError::conflict(
            "pharmacy.ncpdp_id_taken",
            "Another pharmacy of the directory has this NCPDP identifier.",
        ),
        PortError::Conflict(_) if before.is_some() => {
            PharmacyError::Changed(vec![FieldError::new(
                "header.If-Match",
                "changed",
                "Another change was faster.",
            )])
        }
        other => other.into(),
    })?;
    let states =
        |of: &Pharmacy| -> Vec<String> { of.licensed_in.iter().map(ToString::to_string).collect() };
    let mut entry = AuditEntry::new(action, "pharmacy", pharmacy.id)
        .detail("version", pharmacy.version)
        .detail("ncpdp_id", pharmacy.ncpdp_id.to_string())
        .detail("npi", pharmacy.npi.to_string())
        .detail("active", pharmacy.active)
        .detail("licensed_in", states(pharmacy));
    if let Some(before) = before {
        entry = entry
            .detail("active_before", before.active)
            .detail("licensed_in_before", states(before));
    }
    tx.audit(entry);
    Ok(())
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
    found(tx.as_mut(), id).await?;
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
