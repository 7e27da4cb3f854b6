//! The job that carries a prescription to the pharmacy.
//!
//! The text is composed and kept before the first attempt. An attempt whose
//! outcome is not certain leaves the prescription queued, and the next one
//! sends the same text under the same message id, which the receiver knows
//! again.

use std::sync::Arc;

use kernel::{Actor, ErxMessageId, PrescriptionId, Seen};
use ports::{AuditAction, AuditEntry, Env, JobSpec, PortError, repository::get, repository::lock};
use serde::{Deserialize, Serialize};

use super::{ErxMessage, ErxNetwork, Inbound, NewRx, Reply, receive::apply};
use crate::{
    PharmacyError,
    dispatch::withdraw::{CHANGED, ENDED, withdraw},
    prescription::{
        Pharmacy, Prescription, PrescriptionState, PrescriptionStore, announce,
        write::{PrescribingPorts, field_codes},
    },
};

/// Sends the NewRx of one prescription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendNewRx {
    pub prescription: PrescriptionId,
    pub message: ErxMessageId,
}

impl JobSpec for SendNewRx {
    const KIND: &'static str = "pharmacy.send_new_rx";
}

const ACTOR: &str = "pharmacy.send_new_rx";

pub async fn send_new_rx(
    env: &Env,
    store: &dyn PrescriptionStore,
    ports: &PrescribingPorts,
    network: &Arc<dyn ErxNetwork>,
    job: SendNewRx,
) -> Result<(), PharmacyError> {
    let Some(text) = text_of(env, store, ports, network.as_ref(), job).await? else {
        return Ok(());
    };
    match network.deliver(&text).await {
        Ok(inbound) if inbound.relates_to == Some(job.message) => {
            settle(env, store, job, &inbound).await
        }
        Ok(_) => {
            let error = PortError::Unknown {
                vendor: "erx",
                message: "the reply relates to another message".to_owned(),
            };
            attempted(env, store, job).await?;
            Err(error.into())
        }
        Err(PortError::Refused { code, message, .. }) => {
            let reply =
                Reply::Error { code: code.clone(), description_code: None, description: message };
            let inbound = Inbound {
                message_id: format!("refusal-{}", job.message.uuid().simple()),
                relates_to: Some(job.message),
                reply,
            };
            settle(env, store, job, &inbound).await
        }
        Err(error) => {
            attempted(env, store, job).await?;
            Err(error.into())
        }
    }
}

/// Whether the prescription still waits for this message.
fn waits(prescription: &Prescription, job: SendNewRx) -> bool {
    matches!(prescription.state, PrescriptionState::Queued { message, .. } if message == job.message)
}

/// The text to send: the one kept, or a new one, kept before it is used.
/// `None` when there is nothing to send any more.
async fn text_of(
    env: &Env,
    store: &dyn PrescriptionStore,
    ports: &PrescribingPorts,
    network: &dyn ErxNetwork,
    job: SendNewRx,
) -> Result<Option<String>, PharmacyError> {
    let actor = Actor::system(ACTOR);
    let (prescription, pharmacy, kept) = {
        let mut tx = store.begin(&actor).await?;
        let found: Option<Prescription> = tx.find(job.prescription).await?;
        let Some(prescription) = found.filter(|found| waits(found, job)) else { return Ok(None) };
        let pharmacy = get::<Pharmacy>(tx.as_mut(), prescription.pharmacy).await?;
        let kept = tx.message(job.message).await?;
        (prescription, pharmacy, kept)
    };
    // The plan may have ended or changed while the prescription was being
    // signed, or since the last attempt.
    let treatment = ports.plans.treatment(prescription.treatment_plan).await?;
    let obstacle = match treatment {
        Some(treatment) if !treatment.active => Some(ENDED),
        Some(treatment) if prescription.plan_version < treatment.version => Some(CHANGED),
        Some(_) => None,
        None => Some(ENDED),
    };
    if let Some(reason) = obstacle {
        give_up(env, store, job, reason).await?;
        return Ok(None);
    }
    if let Some(message) = kept {
        return Ok(Some(message.text));
    }
    let patient = ports
        .patients
        .details(prescription.patient)
        .await?
        .ok_or_else(|| PortError::not_found("patient"))?;
    let prescriber = ports
        .prescribers
        .prescriber(prescription.provider)
        .await?
        .ok_or_else(|| PortError::not_found("prescriber"))?;
    let facts = ports.record.facts(prescription.patient).await?;
    let allergies = facts.allergies.into_iter().map(|allergy| allergy.display).collect();
    let now = env.now();
    let assembled =
        NewRx::assemble(&prescription, job.message, patient, prescriber, pharmacy, allergies, now);
    let new_rx = match assembled {
        Ok(new_rx) => new_rx,
        Err(fields) => {
            fail(env, store, job, "preflight", &field_codes(&fields)).await?;
            return Ok(None);
        }
    };
    let text = network.compose(&new_rx)?;
    let mut tx = store.begin(&actor).await?;
    // With its row locked nobody ends the prescription without seeing that it
    // is about to be sent.
    let locked = lock::<Prescription>(tx.as_mut(), job.prescription, &Seen::Any).await?;
    if !waits(&locked, job) {
        return Ok(None);
    }
    tx.add_message(&ErxMessage {
        id: job.message,
        prescription: job.prescription,
        text: text.clone(),
        created_at: now,
    })
    .await?;
    tx.audit(
        AuditEntry::new(AuditAction::Create, "erx_message", job.message)
            .patient(prescription.patient)
            .detail("prescription", job.prescription.to_string()),
    );
    tx.commit().await?;
    Ok(Some(text))
}

/// Cancels what is not to be sent any more.
async fn give_up(
    env: &Env,
    store: &dyn PrescriptionStore,
    job: SendNewRx,
    reason: &'static str,
) -> Result<(), PharmacyError> {
    let mut tx = store.begin(&Actor::system(ACTOR)).await?;
    let prescription = lock::<Prescription>(tx.as_mut(), job.prescription, &Seen::Any).await?;
    if waits(&prescription, job) {
        withdraw(env, tx.as_mut(), prescription, reason).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn settle(
    env: &Env,
    store: &dyn PrescriptionStore,
    job: SendNewRx,
    inbound: &Inbound,
) -> Result<(), PharmacyError> {
    let mut tx = store.begin(&Actor::system(ACTOR)).await?;
    let prescription = lock::<Prescription>(tx.as_mut(), job.prescription, &Seen::Any).await?;
    apply(env, tx.as_mut(), prescription, job.message, inbound, "").await?;
    tx.commit().await?;
    Ok(())
}

async fn attempted(
    env: &Env,
    store: &dyn PrescriptionStore,
    job: SendNewRx,
) -> Result<(), PharmacyError> {
    let mut tx = store.begin(&Actor::system(ACTOR)).await?;
    let mut prescription = lock::<Prescription>(tx.as_mut(), job.prescription, &Seen::Any).await?;
    if !waits(&prescription, job) {
        return Ok(());
    }
    prescription.count_attempt(env.now());
    tx.save(&mut prescription).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Execute, "erx_message", job.message)
            .patient(prescription.patient)
            .failed()
            .detail("outcome", "unknown"),
    );
    tx.commit().await?;
    Ok(())
}

async fn fail(
    env: &Env,
    store: &dyn PrescriptionStore,
    job: SendNewRx,
    code: &str,
    reason: &str,
) -> Result<(), PharmacyError> {
    let mut tx = store.begin(&Actor::system(ACTOR)).await?;
    let mut prescription = lock::<Prescription>(tx.as_mut(), job.prescription, &Seen::Any).await?;
    if !waits(&prescription, job) {
        return Ok(());
    }
    let before = prescription.state.clone();
    prescription.fail(code, reason, env.now())?;
    tx.save(&mut prescription).await?;
    announce(tx.as_mut(), Some(&before), &prescription).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "prescription", prescription.id)
            .patient(prescription.patient)
            .failed()
            .detail("state", prescription.state.word())
            .detail("code", code),
    );
    tx.commit().await?;
    Ok(())
}
