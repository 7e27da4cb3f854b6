//! What staff do with held fills: list them, read one, and decide.

use kernel::{
    Actor, FillHoldId, Page, PageRequest, Permission, ProviderId, Seen, actor::MissingPermission,
};
use ports::{AuditAction, AuditEntry, Env, Event, Panel, repository::get, repository::lock};

use super::{
    checks::{self, FillChecks},
    due::{ReleaseFills, tell_pharmacy},
    hold::{
        FillHold, Ground, ReleaseRequest, accepted_of_others, grounds, grounds_without_prescription,
    },
};
use crate::{PharmacyError, fulfilment::FulfilmentStore, prescription::Prescription};

fn acting_provider(actor: &Actor) -> Result<ProviderId, PharmacyError> {
    actor
        .as_provider()
        .ok_or(PharmacyError::Forbidden(MissingPermission(Permission::PrescriptionWrite)))
}

/// The fills that are held now, the longest first: for the pharmacy's staff those
/// of their pharmacies, for a provider those of the patients whom they treat.
pub async fn held(
    store: &dyn FulfilmentStore,
    actor: &Actor,
    page: &PageRequest,
) -> Result<Page<FillHold>, PharmacyError> {
    if !actor.may(Permission::PharmacyWork) {
        actor.require(Permission::PrescriptionWrite)?;
        acting_provider(actor)?;
    }
    let mut tx = store.begin(actor).await?;
    let found = tx.held_fills(page).await?;
    let shown = found.items.iter().map(|hold| (hold.patient, hold.id.uuid()));
    let entry = AuditEntry::new(AuditAction::Search, "fill_hold", "held");
    tx.audit_all(entry.per_patient(shown));
    tx.commit().await?;
    Ok(found)
}

/// A provider who treats the patient decides that a held fill goes out all the
/// same. What speaks against it is read again first: the decision names all of
/// it, and what may not be accepted keeps the fill.
pub async fn release(
    env: &Env,
    store: &dyn FulfilmentStore,
    panel: &dyn Panel,
    checks: &FillChecks,
    actor: &Actor,
    id: FillHoldId,
    request: ReleaseRequest,
) -> Result<FillHold, PharmacyError> {
    actor.require(Permission::PrescriptionWrite)?;
    let provider = acting_provider(actor)?;
    let seen: Option<FillHold> = store.begin(actor).await?.find(id).await?;
    let reached = match &seen {
        Some(hold) => panel.treats(provider, hold.patient).await?,
        None => false,
    };
    let (Some(seen), true) = (seen, reached) else {
        let mut tx = store.begin(actor).await?;
        tx.audit(AuditEntry::new(AuditAction::Update, "fill_hold", id).denied());
        tx.commit().await?;
        return Err(PharmacyError::no::<FillHold>());
    };
    let found = found_now(env, store, checks, &seen).await?;
    let mut tx = store.begin(actor).await?;
    tx.lock_fills(seen.patient).await?;
    let mut hold = lock::<FillHold>(tx.as_mut(), id, &Seen::Any).await?;
    let decided = hold.release(provider, request, &found, env.now());
    let audit = |hold: &FillHold| {
        AuditEntry::new(AuditAction::Update, "fill_hold", id)
            .patient(hold.patient)
            .detail("invoice", hold.invoice.to_string())
            .detail("number", hold.number)
            .detail("held_for", hold.kinds())
    };
    match decided {
        Ok(()) => {
            tx.save(&mut hold).await?;
            let (patient, category) = (hold.patient, hold.category);
            tx.emit(Event::FillReleased { hold: id, patient, provider });
            tx.enqueue(ReleaseFills { patient, category }.request().at(env.now()));
            let accepted = hold.released.as_ref().map_or(0, |release| release.accepted.len());
            tx.audit(audit(&hold).detail("released", true).detail("accepted", accepted));
            tx.commit().await?;
            Ok(hold.into_inner())
        }
        Err(refusal) => {
            // Whoever reads the hold again sees what speaks against it now.
            if hold.is_held() && hold.grounds != found && !found.is_empty() {
                let known = hold.concerns_the_pharmacy();
                hold.grounds = found;
                tx.save(&mut hold).await?;
                if !known {
                    tell_pharmacy(tx.as_mut(), &hold).await?;
                }
            }
            tx.audit(audit(&hold).detail("released", false).failed());
            tx.commit().await?;
            Err(refusal)
        }
    }
}

/// What speaks against the fill now: of the prescriptions that it may be filled
/// from, the one against which least speaks.
async fn found_now(
    env: &Env,
    store: &dyn FulfilmentStore,
    checks: &FillChecks,
    hold: &FillHold,
) -> Result<Vec<Ground>, PharmacyError> {
    let whose = (hold.patient, hold.category);
    let system = Actor::system("pharmacy.fill_checks");
    let mut tx = store.begin(&system).await?;
    let mut prescriptions = Vec::new();
    for id in tx.active_prescriptions(hold.patient, hold.category).await? {
        prescriptions.push(get::<Prescription>(tx.as_mut(), id).await?);
    }
    drop(tx);
    let also = prescriptions.first().map(|first| (first.id, hold.invoice));
    let moment = checks::read(env, store, checks, whose, also).await?;
    let holds = store.begin(&system).await?.fill_holds(hold.patient, hold.category).await?;
    let decided = accepted_of_others(&holds);
    let mut least: Option<Vec<Ground>> = None;
    for prescription in prescriptions.iter().filter(|one| one.is_fillable()) {
        let facts = moment.facts(prescription.id, hold.invoice)?;
        let found = grounds(prescription, &facts, &decided);
        if least.as_ref().is_none_or(|least| found.len() < least.len()) {
            least = Some(found);
        }
    }
    Ok(least.unwrap_or_else(|| grounds_without_prescription(&moment.treatment)))
}
