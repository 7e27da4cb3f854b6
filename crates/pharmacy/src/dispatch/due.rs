//! What is due: a paid fill meets an active prescription with a fill left, and
//! stock, at its time and not before the last supply of the drug is nearly
//! used up. Whichever of the facts arrives last makes the dispatch.

use chrono::{DateTime, Utc};
use kernel::{
    Actor, CategoryId, DispatchId, Misfit, PatientId, Permission, PrescriptionId, ProviderId, Seen,
};
use ports::{
    AuditAction, AuditEntry, Env, Event, JobRequest, JobSpec, PortError, repository::lock,
};
use serde::{Deserialize, Serialize};

use super::{
    Dispatch, Fillable, HoldReason,
    checks::{self, FillChecks, Moment},
    hold::{FillHold, Ground, accepted, grounds, grounds_without_prescription},
    label::BuyLabel,
    supply::{Supply, refillable_from, supplies},
    work::{cancel_within, save},
};
use crate::{
    PharmacyError,
    fulfilment::{FulfilmentStore, FulfilmentTx, PaidFill, store::PaidFillKey},
    inventory::Stock,
    prescription::{Pharmacy, Prescription, PrescriptionReach, fill::prescription_to_fill},
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
    checks: &FillChecks,
    job: ReleaseFills,
) -> Result<(), PharmacyError> {
    let actor = Actor::system("pharmacy.release_fills");
    dispatch_patient(env, store, checks, &actor, job.patient, job.category).await.map(drop)
}

/// Dispatches everything that is due now; a second call finds nothing left to
/// do. Each patient's fills are decided in a transaction of their own, so that
/// one that fails does not hold up the rest.
pub async fn dispatch_due(
    env: &Env,
    store: &dyn FulfilmentStore,
    checks: &FillChecks,
    actor: &Actor,
) -> Result<Vec<Dispatch>, PharmacyError> {
    actor.require(Permission::PharmacyWork)?;
    let mut tx = store.begin(actor).await?;
    let waiting = tx.patients_with_open_fills(env.now(), BATCH).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Search, "dispatch", "due").detail("patients", waiting.len()),
    );
    tx.commit().await?;
    let system = Actor::system("pharmacy.dispatch_due");
    let mut made = Vec::new();
    for (patient, category) in waiting {
        // What is due is decided by all that went out to the patient, from
        // whichever pharmacy, so Salus decides; the caller is shown their own.
        match dispatch_patient(env, store, checks, &system, patient, category).await {
            Ok(dispatches) => made.extend(dispatches.into_iter().map(|made| made.id)),
            Err(error) => tracing::error!(%error, "the fills of a patient were not decided"),
        }
    }
    let mut tx = store.begin(actor).await?;
    let created = tx.dispatches(&made).await?;
    let shown = created.iter().map(|each| (each.patient, each.id.uuid()));
    let entry = AuditEntry::new(AuditAction::Search, "dispatch", "due");
    tx.audit_all(entry.per_patient(shown));
    tx.commit().await?;
    Ok(created)
}

async fn dispatch_patient(
    env: &Env,
    store: &dyn FulfilmentStore,
    checks: &FillChecks,
    actor: &Actor,
    patient: PatientId,
    category: CategoryId,
) -> Result<Vec<Dispatch>, PharmacyError> {
    let mut again = false;
    loop {
        // Other contexts answer this; no transaction of ours waits for them.
        let moment = checks::read(env, store, checks, (patient, category), None).await?;
        let mut tx = store.begin(actor).await?;
        match evaluate(env, tx.as_mut(), &moment, patient, category).await {
            // Something to fill came in after the facts were read.
            Err(PharmacyError::Port(PortError::Conflict(_))) if !again => again = true,
            dispatches => {
                let dispatches = dispatches?;
                tx.commit().await?;
                return Ok(dispatches);
            }
        }
    }
}

/// Decides on the open fills of one patient in one category by the facts of
/// the moment. What is too soon stays open with the time at which it will be
/// looked at again; what something speaks against is held.
async fn evaluate(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    moment: &Moment,
    patient: PatientId,
    category: CategoryId,
) -> Result<Vec<Dispatch>, PharmacyError> {
    tx.lock_fills(patient).await?;
    let now = env.now();
    let holds = tx.fill_holds(patient, category).await?;
    free_held_back(env, tx, (patient, category), &holds).await?;
    let mut supplies = supplies(tx, patient, now).await?;
    let mut created: Vec<Dispatch> = Vec::new();
    let mut wake: Option<DateTime<Utc>> = None;
    for paid in tx.open_fills(patient, category).await? {
        if is_taken(&created, &holds, &paid) {
            continue;
        }
        let due = if paid.scheduled_for > now {
            paid.scheduled_for
        } else {
            match next_fill(env, tx, moment, &holds, &paid, &supplies).await? {
                Next::Due(dispatch, supply) => {
                    supplies.push(supply);
                    created.push(add(env, tx, *dispatch).await?);
                    continue;
                }
                Next::Held { prescription, provider, grounds } => {
                    let who = (prescription, provider);
                    hold(env, tx, paid.key(), (patient, category), who, grounds).await?;
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
        tx.enqueue(ReleaseFills { patient, category }.request().at(wake));
        tx.audit(
            AuditEntry::new(AuditAction::Execute, "paid_fill", category)
                .patient(patient)
                .detail("looked_at_again", wake.to_rfc3339()),
        );
    }
    Ok(created)
}

/// A dispatch that was held back at its label gives way where a provider has
/// released its fill since, and where its prescription has ended: the fill is
/// then decided again, and what goes out has a label of its own.
async fn free_held_back(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    (patient, category): (PatientId, CategoryId),
    holds: &[FillHold],
) -> Result<(), PharmacyError> {
    for dispatch in tx.held_back(patient).await? {
        // Those of another category have their own turn.
        if dispatch.category != category {
            continue;
        }
        let ended = dispatch.hold_reason == Some(HoldReason::PrescriptionEnded);
        if ended || is_released(holds, dispatch.paid()) {
            cancel_within(env, tx, &dispatch).await?;
        }
    }
    Ok(())
}

/// Whether a dispatch serves the fill by now, or it is held.
fn is_taken(created: &[Dispatch], holds: &[FillHold], paid: &PaidFill) -> bool {
    created.iter().any(|dispatch| dispatch.serves(paid))
        || holds.iter().any(|hold| hold.holds(paid.key()))
}

/// Whether the fill was held, and every hold of it is decided.
fn is_released(holds: &[FillHold], paid: PaidFillKey) -> bool {
    let mut own = holds.iter().filter(|hold| hold.fill() == paid).peekable();
    own.peek().is_some() && own.all(|hold| !hold.is_held())
}

/// What can be done for a paid fill.
enum Next {
    Due(Box<Dispatch>, Supply),
    /// It is due, and something speaks against sending it.
    Held {
        prescription: Option<PrescriptionId>,
        provider: Option<ProviderId>,
        grounds: Vec<Ground>,
    },
    /// There is a prescription, and the patient has enough of its drug until
    /// then.
    TooSoon(DateTime<Utc>),
    Nothing,
}

async fn next_fill(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    moment: &Moment,
    holds: &[FillHold],
    paid: &PaidFill,
    supplies: &[Supply],
) -> Result<Next, PharmacyError> {
    let now = env.now();
    let sold = tx.sold(paid.subscription).await?;
    let accepted = accepted(holds, paid.key());
    let responsible = moment.treatment.active.map(|plan| plan.provider);
    let (mut held, mut soon) = (None, None::<DateTime<Utc>>);
    for prescription in tx.active_prescriptions(paid.patient, paid.category).await? {
        let prescription = prescription_to_fill(&mut *tx, prescription).await?.into_inner();
        let Some(fillable) = Fillable::of(&prescription) else { continue };
        let pharmacy: Option<Pharmacy> = tx.find(prescription.pharmacy).await?;
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
        if let Some(from) =
            refillable_from(&prescription.medication, supplies).filter(|from| *from > now)
        {
            soon = Some(soon.map_or(from, |earlier| earlier.min(from)));
            continue;
        }
        let facts = moment.facts(prescription.id, paid.invoice)?;
        let found = grounds(&prescription, &facts, &accepted);
        if found.is_empty() {
            let days = prescription.dosing.days_supply;
            let supply = Supply { medication: prescription.medication, days, at: now };
            return Ok(Next::Due(Box::new(dispatch), supply));
        }
        held = held.or(Some(Next::Held {
            prescription: Some(prescription.id),
            provider: Some(responsible.unwrap_or(prescription.provider)),
            grounds: found,
        }));
    }
    if let Some(held) = held {
        return Ok(held);
    }
    if let Some(until) = soon {
        return Ok(Next::TooSoon(until));
    }
    let grounds = grounds_without_prescription(&moment.treatment);
    let provider = moment.treatment.last_provider;
    Ok(match grounds.is_empty() {
        true => Next::Nothing,
        false => Next::Held { prescription: None, provider, grounds },
    })
}

/// Holds a paid fill, tells of it and audits it. What it is held for stays out
/// of the log but for its kinds.
pub(super) async fn hold(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    paid: PaidFillKey,
    whose: (PatientId, CategoryId),
    who: (Option<PrescriptionId>, Option<ProviderId>),
    grounds: Vec<Ground>,
) -> Result<(), PharmacyError> {
    let hold = FillHold::place(env.fresh(), paid, whose, who, grounds, env.now());
    tx.insert(&hold).await?;
    tx.emit(hold.event());
    tell_pharmacy(tx, &hold).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Create, "fill_hold", hold.id)
            .patient(hold.patient)
            .detail("invoice", hold.invoice.to_string())
            .detail("number", hold.number)
            .detail("held_for", hold.kinds()),
    );
    Ok(())
}

/// The pharmacy has the prescription and may fill it by itself.
pub(super) async fn tell_pharmacy(
    tx: &mut dyn FulfilmentTx,
    hold: &FillHold,
) -> Result<(), PharmacyError> {
    if hold.concerns_the_pharmacy()
        && let Some(id) = hold.prescription
    {
        // Whoever decides on the fill need not answer for the prescription.
        let prescription = tx.prescription(id, PrescriptionReach::Any).await?;
        tx.emit(prescription.ok_or_else(PharmacyError::no::<Prescription>)?.tell_pharmacy());
    }
    Ok(())
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
    );
    Ok(())
}

async fn add(
    env: &Env,
    tx: &mut dyn FulfilmentTx,
    mut dispatch: Dispatch,
) -> Result<Dispatch, PharmacyError> {
    let mut stock = tx.lock_stock(dispatch.pharmacy, &dispatch.ndc).await?;
    match stock.reserve(dispatch.quantity, env.now().date_naive()) {
        Ok(allocations) => {
            tx.save_stock(&stock).await?;
            dispatch.reserve(allocations, env.now())?;
        }
        Err(shortage) => {
            tracing::warn!(dispatch = %dispatch.id, ndc = %dispatch.ndc, %shortage, "waits for stock");
        }
    }
    tx.insert(&dispatch).await?;
    tx.emit(Event::DispatchCreated {
        dispatch: dispatch.id,
        patient: dispatch.patient,
        prescription: dispatch.prescription,
    });
    if !dispatch.allocations.is_empty() {
        tx.enqueue(label_job(&dispatch));
    }
    audit(tx, AuditAction::Create, &dispatch);
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
    for waiting in tx.awaiting_stock(stock.pharmacy, &stock.ndc).await? {
        let Ok(allocations) = stock.reserve(waiting.quantity, env.now().date_naive()) else {
            break;
        };
        let mut dispatch = lock::<Dispatch>(tx, waiting.id, &Seen::Any).await?;
        dispatch.reserve(allocations, env.now())?;
        tx.enqueue(label_job(&dispatch));
        save(tx, &mut dispatch).await?;
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

pub(crate) fn audit(tx: &mut dyn FulfilmentTx, action: AuditAction, dispatch: &Dispatch) {
    tx.audit(
        AuditEntry::new(action, "dispatch", dispatch.id)
            .patient(dispatch.patient)
            .detail("state", dispatch.state.to_string())
            .detail("prescription", dispatch.prescription.to_string())
            .detail("fill_number", dispatch.fill_number)
            .detail("invoice", dispatch.invoice.to_string()),
    );
}
