//! Notices of the gateway: signed, at least once, in any order. A notice only
//! ever says *that* something happened; what happened is fetched.

use chrono::{DateTime, Utc};
use kernel::Actor;
use ports::{AuditAction, AuditEntry, Env, JobRequest};

use crate::{
    contest::CheckContests, error::BillingError, settlement::SettlePayment, store::BillingStore,
};

/// A notice whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayNotice {
    /// The gateway's id of the notice, the same whenever it is sent again.
    pub id: String,
    /// As in `payment_intent.succeeded`.
    pub kind: String,
    /// The gateway's id of the payment that it is about, if it is about one.
    pub intent: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// What a genuine notice says, as far as it can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedNotice {
    /// `None` where it is no event at all.
    pub notice: Option<GatewayNotice>,
    /// Why staff have to see it.
    pub unread: Option<&'static str>,
}

/// Why a notice is refused: nobody can say that it is genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNotice {
    #[error("the signature is missing or not well-formed")]
    MalformedSignature,
    #[error("the signature was made at a time too far from now")]
    OutOfTolerance,
    #[error("no signature matches")]
    WrongSignature,
}

/// Verifies what arrives at the webhook.
pub trait NoticeVerifier: Send + Sync {
    /// `body` is what was received, byte for byte. Whatever is genuine is taken;
    /// what of it cannot be used is said.
    fn verify(
        &self,
        body: &[u8],
        signature: &str,
        now: DateTime<Utc>,
    ) -> Result<OpenedNotice, InvalidNotice>;
}

/// Takes in a verified notice. Unknown kinds are kept and nothing follows; a
/// notice that came before changes nothing.
pub async fn receive_notice(
    env: &Env,
    store: &dyn BillingStore,
    notice: &GatewayNotice,
) -> Result<(), BillingError> {
    let mut tx = store.begin(&Actor::system("billing.webhook")).await?;
    if !tx.keep_notice(notice).await? {
        return Ok(());
    }
    if let Some(intent) = notice.intent.as_ref().filter(|_| is_about_a_payment(&notice.kind)) {
        let job = SettlePayment { intent: intent.clone() };
        tx.enqueue(JobRequest::new(&job).at(env.now()));
    }
    if let Some(intent) = notice.intent.as_ref().filter(|_| contests_a_payment(&notice.kind)) {
        let job = CheckContests { intent: intent.clone() };
        tx.enqueue(JobRequest::new(&job).at(env.now()));
    }
    tx.audit(
        AuditEntry::new(AuditAction::Create, "gateway_notice", &notice.id)
            .detail("kind", notice.kind.clone()),
    );
    tx.commit().await?;
    Ok(())
}

/// Whether something follows from notices of that kind, so that one which names no
/// payment is somebody's to look at.
pub fn is_acted_on(kind: &str) -> bool {
    is_about_a_payment(kind) || contests_a_payment(kind)
}

/// Disputes in every step, warnings of fraud, and refunds that were made at the
/// gateway.
fn contests_a_payment(kind: &str) -> bool {
    kind.starts_with("charge.dispute.")
        || kind.starts_with("charge.refund")
        || kind.starts_with("refund.")
        || kind.starts_with("radar.early_fraud_warning.")
}

fn is_about_a_payment(kind: &str) -> bool {
    matches!(
        kind,
        "payment_intent.succeeded"
            | "payment_intent.payment_failed"
            | "payment_intent.requires_action"
            | "payment_intent.processing"
            | "payment_intent.canceled"
    )
}
