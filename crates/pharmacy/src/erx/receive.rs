//! Messages of the pharmacy's side: each is kept once, tied to ours by its id,
//! and changes the prescription only as far as it is news. They may come
//! twice and in any order.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use kernel::{Actor, ErxMessageId, Seen};
use ports::{AuditAction, AuditEntry, Env, Locked, PortError, repository::lock};

use super::{Acknowledgement, ErxNetwork, Inbound, ReceivedMessage, Reply};
use crate::{
    PharmacyError,
    prescription::{Prescription, PrescriptionStore, PrescriptionTx, announce},
};

/// Our answer to a message that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub accepted: bool,
    /// Why staff have to see a message that was not accepted.
    pub unread: Option<&'static str>,
    pub text: String,
}

pub async fn receive_message(
    env: &Env,
    store: &dyn PrescriptionStore,
    network: &Arc<dyn ErxNetwork>,
    text: &str,
) -> Result<Answer, PharmacyError> {
    let inbound = match network.read(text) {
        Ok(inbound) => inbound,
        Err(PortError::Refused { message, .. }) => {
            let unread = Some("It is no reply that can be read.");
            return Ok(Answer { unread, ..answer(env, network.as_ref(), None, Some(message))? });
        }
        Err(error) => return Err(error.into()),
    };
    let relates_to = Some(inbound.message_id.clone());
    let unknown = || {
        let refusal = Some("unknown message".to_owned());
        let answer = answer(env, network.as_ref(), relates_to.clone(), refusal)?;
        Ok(Answer { unread: Some("It answers no message of ours."), ..answer })
    };
    let Some(message) = inbound.relates_to else {
        return unknown();
    };
    let mut tx = store.begin(&Actor::system("pharmacy.receive_erx")).await?;
    let Some(ours) = tx.message(message).await? else {
        return unknown();
    };
    let prescription = lock::<Prescription>(tx.as_mut(), ours.prescription, &Seen::Any).await?;
    apply(env, tx.as_mut(), prescription, message, &inbound, text).await?;
    tx.commit().await?;
    answer(env, network.as_ref(), relates_to, None)
}

/// Answers bytes that are no text, without which there is nothing to read.
pub fn refuse(env: &Env, network: &dyn ErxNetwork) -> Result<Answer, PharmacyError> {
    let refusal = Some("the message is no UTF-8 text".to_owned());
    Ok(Answer { unread: Some("It is no UTF-8 text."), ..answer(env, network, None, refusal)? })
}

fn answer(
    env: &Env,
    network: &dyn ErxNetwork,
    relates_to: Option<String>,
    refusal: Option<String>,
) -> Result<Answer, PharmacyError> {
    let accepted = refusal.is_none();
    let text = network.acknowledge(&Acknowledgement {
        id: env.fresh(),
        relates_to,
        at: env.now(),
        refusal,
    })?;
    Ok(Answer { accepted, unread: None, text })
}

/// Keeps a message and moves its prescription, whose row is locked.
pub(crate) async fn apply(
    env: &Env,
    tx: &mut dyn PrescriptionTx,
    mut prescription: Locked<Prescription>,
    message: ErxMessageId,
    inbound: &Inbound,
    text: &str,
) -> Result<(), PharmacyError> {
    let now = env.now();
    let (id, patient) = (prescription.id, prescription.patient);
    let first = tx
        .receive_message(&ReceivedMessage {
            message_id: inbound.message_id.clone(),
            relates_to: message,
            prescription: id,
            kind: inbound.reply.kind(),
            text: text.to_owned(),
            received_at: now,
        })
        .await?;
    let before = prescription.state.clone();
    if first {
        take(&mut prescription, message, &inbound.reply, now);
    }
    let mut entry = AuditEntry::new(AuditAction::Update, "prescription", id)
        .patient(patient)
        .detail("message", inbound.reply.kind())
        .detail("repeated", !first);
    if prescription.state != before {
        tx.save(&mut prescription).await?;
        announce(tx, Some(&before), &prescription).await?;
        entry = entry.detail("state", prescription.state.word());
    }
    tx.audit(entry);
    Ok(())
}

fn take(prescription: &mut Prescription, message: ErxMessageId, reply: &Reply, now: DateTime<Utc>) {
    match reply {
        Reply::Status { .. } => prescription.receive(message, now),
        Reply::Verify { .. } => prescription.verify(message, now),
        Reply::Error { code, description_code, description } => {
            let code = match description_code {
                Some(detail) => format!("{code}/{detail}"),
                None => code.clone(),
            };
            prescription.reject(message, &code, description, now);
        }
    }
}
