//! What is due: a paid fill meets an active prescription with a fill left, and
//! stock, at its time and not before the last supply of the drug is nearly
//! used up. Whichever of the facts arrives last makes the dispatch.

use chrono::{DateTime, Utc};
use kernel::{Actor, CategoryId, DispatchId, Misfit, PatientId, Permission};
use ports::{AuditAction, AuditEntry, Env, Event, JobRequest, JobSpec};
use serde::{Deserialize, Serialize};

use super::{
    Dispatch, Fillable,
    label::BuyLabel,
    supply::{Supply, refillable_from, supplies},
};
use crate::{
    PharmacyError,
    fulfilment::{FulfilmentStore, FulfilmentTx, PaidFill},
    inventory::Stock,
    prescription::fill::prescription_to_fill,
};

/// How many patients one call of [`dispatch_due`] looks at.
const BATCH: u32 = 200;

/// Look again at the paid fills of a patient, because the next of them is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseFills {
    pub patient: PatientId,
    pub category: CategoryId,
}

impl JobSpec for ReleaseFills {
    const KIND: &'static str = "pharmacy.release_fills";
}

impl ReleaseFills {
    /// With a key for the patient and category, so that one waits at a time and
    /// the last word on when it runs holds.
    pub(crate) fn request(self) -> JobRequest {
        JobRequest::new(&self).key(format!("{}/{}", self.patient, self.category))
    }
}

/// The job of a fill whose time has come. It decides anew, so a run too many
/// or too early finds nothing to do.
pub async fn release_fills(
    env: &Env,
    store: &dyn FulfilmentStore,
    job: ReleaseFills,
) -> Result<(), PharmacyError> {
    let actor = Actor::system("pharmacy.release_fills");
    dispatch_patient(env, store, &actor, job.patient, job.category).await.map(drop)
}

/// Dispatches everything that is due now; a second call finds nothing left to
/// do. Each patient's fills are decided in a transaction of their own, so that
/// one that fails does not hold up the rest.
pub async fn dispatch_due(
    env: &Env,
    store: &dyn FulfilmentStore,
    actor: &Actor,
) -> Result<Vec<Dispatch>, PharmacyError> {
    actor.require(Permission::PharmacyWork)?;
    let mut tx = store.begin(actor).await?;
    let waiting = tx.patients_with_open_fills(env.now(), BATCH).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Search, "dispatch", "due").detail("patients", waiting.len()),
    )
    .await?;
    tx.commit().await?;
    let system = Actor::system("pharmacy.dispatch_due");
    let mut made = Vec::new();
    for (patient, category) in waiting {
        // What is due is decided by all that went out to the patient, from
        // whichever pharmacy, so Salus decides; the caller is shown their own.
        match dispatch_patient(env, store, &system, patient, category).await {
            Ok(dispatches) => made.extend(dispatches),
            Err(error) => tracing::error!(%error, "the fills of a patient were not decided"),
        }
    }
    let mut tx = store.begin(actor).await?;
    let mut created = Vec::new();
    for dispatch in made {
        created.extend(tx.dispatch(dispatch.id).await?);
    }
    let shown = created.iter().map(|each| (each.patient, each.id.uuid()));
    let entry = AuditEntry::new(AuditAction::Search, "dispatch", "due");
    tx.audit_all(entry.per_patient(shown)).await?;
    tx.commit().await?;
    Ok(created)
}

async fn dispatch_patient(
    env: &Env,
    store: &dyn FulfilmentStore,
    actor: &Actor,
    patient: PatientId,
    category: CategoryId,
) -> Result<Vec<Dispatch>, PharmacyError> {
    let mut tx = store.begin(actor).await?;
    let dispatches = evaluate(env, tx.as_mut(), patient, category).await?;
    tx.commit().await?;
    Ok(dispatches)
}

/// Decides on the open fills of one patient in one category, within the
/// transaction of whoever brought a new fact. What is too soon stays open with
/// the time at which it will be looked at again.
pub(crate) async fn evaluate(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    patient: PatientId,
    category: CategoryId,
) -> Result<Vec<Dispatch>, PharmacyError> {
    tx.lock_fills(patient).await?;
    let now = env.now();
    let mut supplies = supplies(tx, patient, now).await?;
    let mut created: Vec<Dispatch> = Vec::new();
    let mut wake: Option<DateTime<Utc>> = None;
    for paid in tx.open_fills(patient, category).await? {
        if created.iter().any(|dispatch| dispatch.serves(&paid)) {
            continue;
        }
        let due = if paid.scheduled_for > now {
            paid.scheduled_for
        } else {
            match next_fill(env, tx, &paid, &supplies).await? {
                Next::Due(dispatch, supply) => {
                    supplies.push(supply);
                    created.push(add(env, tx, *dispatch).await?);
                    continue;
                }
                Next::TooSoon(until) => until,
                // The fill stays open until there is a prescription for it.
                Next::Nothing => break,
            }
        };
        if due != paid.due_at {
            postpone(tx, &paid, due).await?;
        }
        wake = Some(wake.map_or(due, |earlier| earlier.min(due)));
    }
    if let Some(wake) = wake {
        tx.enqueue(ReleaseFills { patient, category }.request().at(wake)).await?;
        tx.audit(
            AuditEntry::new(AuditAction::Execute, "paid_fill", category)
                .patient(patient)
                .detail("looked_at_again", wake.to_rfc3339()),
        )
        .await?;
    }
    Ok(created)
}

/// What can be done for a paid fill.
enum Next {
    Due(Box<Dispatch>, Supply),
    /// There is a prescription, and the patient has enough of its drug until
    /// then.
    TooSoon(DateTime<Utc>),
    Nothing,
}

async fn next_fill(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    paid: &PaidFill,
    supplies: &[Supply],
) -> Result<Next, PharmacyError> {
    let now = env.now();
    let mut next = Next::Nothing;
    let sold = tx.sold(paid.subscription).await?;
    for prescription in tx.active_prescriptions(paid.patient, paid.category).await? {
        let prescription = prescription_to_fill(&mut *tx, prescription).await?;
        let Some(fillable) = Fillable::of(&prescription) else { continue };
        let pharmacy = tx.pharmacy(prescription.pharmacy).await?;
        if !pharmacy.is_some_and(|pharmacy| pharmacy.active) {
            continue;
        }
        // What is prescribed now is not what was bought: staff have a task, and
        // the fill waits until the two agree.
        if !sold.is_empty() && Misfit::of(&sold, &prescription.medication.product()).is_some() {
            continue;
        }
        let taken = tx.fill_numbers(prescription.id).await?;
        let id: DispatchId = env.fresh();
        let Some(dispatch) = Dispatch::next(id, paid, &fillable, &taken, now) else { continue };
        match refillable_from(&prescription.medication, supplies).filter(|from| *from > now) {
            None => {
                let days = prescription.dosing.days_supply;
                let supply = Supply { medication: prescription.medication, days, at: now };
                return Ok(Next::Due(Box::new(dispatch), supply));
            }
            Some(from) => {
                next = Next::TooSoon(match next {
                    Next::TooSoon(earlier) => earlier.min(from),
                    _ => from,
                });
            }
        }
    }
    Ok(next)
}

async fn postpone(
    tx: &mut dyn FulfilmentTx,
    paid: &PaidFill,
    due: DateTime<Utc>,
) -> Result<(), PharmacyError> {
    tx.postpone_fill(paid, due).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "paid_fill", paid.invoice)
            .patient(paid.patient)
            .detail("number", paid.number)
            .detail("due_at", due.to_rfc3339()),
    )
    .await?;
    Ok(())
}

async fn add(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    dispatch: Dispatch,
) -> Result<Dispatch, PharmacyError> {
    let mut stock = tx.lock_stock(dispatch.pharmacy, &dispatch.ndc).await?;
    let dispatch = match stock.reserve(dispatch.quantity, env.now().date_naive()) {
        Ok(allocations) => {
            tx.save_stock(&stock).await?;
            dispatch.reserved(allocations, env.now())?
        }
        Err(shortage) => {
            tracing::warn!(dispatch = %dispatch.id, ndc = %dispatch.ndc, %shortage, "waits for stock");
            dispatch
        }
    };
    tx.add_dispatch(&dispatch).await?;
    tx.emit(Event::DispatchCreated {
        dispatch: dispatch.id,
        patient: dispatch.patient,
        prescription: dispatch.prescription,
    })
    .await?;
    if !dispatch.allocations.is_empty() {
        tx.enqueue(label_job(&dispatch)).await?;
    }
    audit(tx, AuditAction::Create, &dispatch).await?;
    Ok(dispatch)
}

/// Reserves new stock for the dispatches that wait for it, the oldest first,
/// until one of them asks for more than there is. The caller saves the stock.
pub(crate) async fn reserve_waiting(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    stock: &mut Stock,
) -> Result<usize, PharmacyError> {
    let mut released = 0;
    for dispatch in tx.awaiting_stock(stock.pharmacy, &stock.ndc).await? {
        let Ok(allocations) = stock.reserve(dispatch.quantity, env.now().date_naive()) else {
            break;
        };
        let dispatch = dispatch.reserved(allocations, env.now())?;
        tx.save_dispatch(&dispatch).await?;
        tx.enqueue(label_job(&dispatch)).await?;
        audit(tx, AuditAction::Update, &dispatch).await?;
        released += 1;
    }
    Ok(released)
}

/// The job that buys the label. Jobs of one queue run one after another, so
/// that two of one dispatch never ask the carrier at the same time; sixteen
/// queues keep a slow answer from holding up everybody.
pub(crate) fn label_job(dispatch: &Dispatch) -> JobRequest {
    let queue = dispatch.id.uuid().as_u128() & 0xf;
    JobRequest::new(&BuyLabel { dispatch: dispatch.id })
        .key(dispatch.id.to_string())
        .queue(format!("pharmacy.labels.{queue:x}"))
}

pub(crate) async fn audit(
    tx: &mut dyn FulfilmentTx,
    action: AuditAction,
    dispatch: &Dispatch,
) -> Result<(), PharmacyError> {
    tx.audit(
        AuditEntry::new(action, "dispatch", dispatch.id)
            .patient(dispatch.patient)
            .detail("state", dispatch.state.to_string())
            .detail("prescription", dispatch.prescription.to_string())
            .detail("fill_number", dispatch.fill_number)
            .detail("invoice", dispatch.invoice.to_string()),
    )
    .await?;
    Ok(())
}
