//! The prescription: its states, and every way from one to the next.

pub mod administer;
mod controlled;
pub mod directory;
pub mod fill;
pub mod medication;
pub mod parties;
pub mod read;
pub mod store;
pub mod write;

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    CategoryId, ErxMessageId, Icd10, PatientId, PharmacyId, PrescriptionId, ProviderId,
    TextKind as _, TreatmentPlanId, Word, text::GraveReason,
};
use ports::{Aggregate, Event, events::PrescriptionStatusWord};
use serde::{Deserialize, Serialize};

pub use controlled::schedule_of;
pub use directory::Pharmacy;
pub use medication::{Amount, Dosing, Medication};
pub use parties::{
    PatientDetails, Patients, PlannedTreatment, PrescriberDetails, Prescribers, StateLicense,
    TreatmentPlans,
};
pub use store::{PrescriptionReach, PrescriptionStore, PrescriptionTx};

use crate::{
    PharmacyError,
    dispatch::hold::with_overrides,
    safety::{AlertOverride, SafetyAlert},
};

/// A diagnosis that a prescription is written for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    pub code: Icd10,
    pub display: String,
}

/// Where a prescription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum PrescriptionStatus {
    Draft,
    Blocked,
    Queued,
    Sent,
    Active,
    Completed,
    Failed,
    Canceled,
}

/// Where a prescription stands, and what it knows there. Sent is not received, and received is not
/// verified: each word is true only when the pharmacy's side has said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrescriptionState {
    /// Written, not yet checked.
    Draft,
    /// These alerts stand in the way until a provider overrides each with a
    /// reason.
    Blocked {
        alerts: Vec<String>,
    },
    /// Signed and on its way. The message's id is chosen before the first
    /// attempt and kept by every later one, so that the receiver can tell a
    /// repetition.
    Queued {
        message: ErxMessageId,
        attempts: u32,
    },
    /// The pharmacy's system has the message.
    Sent {
        message: ErxMessageId,
        at: DateTime<Utc>,
    },
    /// A pharmacist has verified it; it can be filled.
    Active {
        message: ErxMessageId,
        verified_at: DateTime<Utc>,
    },
    /// The last fill is used.
    Completed {
        at: DateTime<Utc>,
    },
    /// The pharmacy refused it or it could never be sent.
    Failed {
        code: String,
        reason: String,
        at: DateTime<Utc>,
    },
    Canceled {
        reason: String,
        at: DateTime<Utc>,
    },
}

impl PrescriptionState {
    pub const fn word(&self) -> &'static str {
        self.status().word()
    }

    pub const fn status(&self) -> PrescriptionStatus {
        match self {
            Self::Draft => PrescriptionStatus::Draft,
            Self::Blocked { .. } => PrescriptionStatus::Blocked,
            Self::Queued { .. } => PrescriptionStatus::Queued,
            Self::Sent { .. } => PrescriptionStatus::Sent,
            Self::Active { .. } => PrescriptionStatus::Active,
            Self::Completed { .. } => PrescriptionStatus::Completed,
            Self::Failed { .. } => PrescriptionStatus::Failed,
            Self::Canceled { .. } => PrescriptionStatus::Canceled,
        }
    }

    /// The message that the pharmacy's side is to answer.
    pub const fn message(&self) -> Option<ErxMessageId> {
        match self {
            Self::Queued { message, .. }
            | Self::Sent { message, .. }
            | Self::Active { message, .. } => Some(*message),
            _ => None,
        }
    }

    /// Whether it still stands in the way of another prescription for the
    /// same treatment plan.
    pub const fn is_open(&self) -> bool {
        matches!(
            self,
            Self::Draft
                | Self::Blocked { .. }
                | Self::Queued { .. }
                | Self::Sent { .. }
                | Self::Active { .. }
        )
    }

    /// Whether a pharmacy has to be told by telephone that a prescription has
    /// come from here to `after`: the message is there, or may be on its way or
    /// have arrived without an answer. `composed` says whether there is a
    /// message at all. A prescription that is used up needs no call, nor does
    /// one that the pharmacy refused at the first attempt.
    fn leaves_a_pharmacy_behind(&self, composed: bool, after: &Self) -> bool {
        match (self, after) {
            (Self::Queued { attempts, .. }, Self::Failed { .. }) => composed && *attempts > 0,
            (Self::Queued { .. }, Self::Canceled { .. } | Self::Draft | Self::Blocked { .. }) => {
                composed
            }
            (
                Self::Sent { .. } | Self::Active { .. },
                Self::Canceled { .. } | Self::Draft | Self::Blocked { .. },
            ) => true,
            _ => false,
        }
    }

    fn told(&self) -> Option<PrescriptionStatusWord> {
        Some(match self {
            Self::Draft => return None,
            Self::Blocked { .. } => PrescriptionStatusWord::Blocked,
            Self::Queued { .. } => PrescriptionStatusWord::Queued,
            Self::Sent { .. } => PrescriptionStatusWord::Sent,
            Self::Active { .. } => PrescriptionStatusWord::Active,
            Self::Completed { .. } => PrescriptionStatusWord::Completed,
            Self::Failed { .. } => PrescriptionStatusWord::Failed,
            Self::Canceled { .. } => PrescriptionStatusWord::Canceled,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("prescription", patient)]
pub struct Prescription {
    pub id: PrescriptionId,
    pub treatment_plan: TreatmentPlanId,
    /// The version of the plan that it was written from.
    pub plan_version: u32,
    pub patient: PatientId,
    pub provider: ProviderId,
    pub category: CategoryId,
    pub pharmacy: PharmacyId,
    pub medication: Medication,
    pub dosing: Dosing,
    pub diagnosis: Diagnosis,
    /// The date in the patient's zone on which it was signed.
    pub written_on: NaiveDate,
    /// Everything the last safety check found, with the overrides given.
    pub alerts: Vec<SafetyAlert>,
    pub fills_used: u8,
    pub last_filled_on: Option<NaiveDate>,
    pub state: PrescriptionState,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

/// What a provider changes before a prescription is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub pharmacy: Option<PharmacyId>,
    pub sig: Option<String>,
    pub quantity: Option<Amount>,
    pub days_supply: Option<u16>,
    pub refills: Option<u8>,
}

impl Prescription {
    /// The first fill and the refills, less those used.
    pub fn remaining_fills(&self) -> u8 {
        self.dosing.refills.saturating_add(1).saturating_sub(self.fills_used)
    }

    /// Whether the pharmacy may fill it now.
    pub fn is_fillable(&self) -> bool {
        matches!(self.state, PrescriptionState::Active { .. }) && self.remaining_fills() > 0
    }

    /// The event that tells the other contexts of the state it is in. It goes
    /// out with [`announce`].
    fn event(&self) -> Option<Event> {
        self.state.told().map(|status| Event::PrescriptionChanged {
            prescription: self.id,
            treatment_plan: self.treatment_plan,
            plan_version: self.plan_version,
            patient: self.patient,
            provider: self.provider,
            category: self.category,
            status,
        })
    }

    /// The event with which somebody is asked to phone the pharmacy.
    pub(crate) fn tell_pharmacy(&self) -> Event {
        Event::PharmacyToBeTold {
            prescription: self.id,
            treatment_plan: self.treatment_plan,
            patient: self.patient,
            provider: self.provider,
        }
    }

    /// Controlled substances are refused unless a later configuration allows
    /// them: they need two-factor signing (21 CFR 1311.115), which this
    /// system does not do.
    pub fn refuse_controlled(medication: &Medication) -> Result<(), PharmacyError> {
        if medication.schedule.is_controlled() {
            return Err(PharmacyError::ControlledSubstance);
        }
        Ok(())
    }

    fn refused(&self, what: &'static str) -> PharmacyError {
        PharmacyError::PrescriptionState { state: self.state.word(), what }
    }

    fn is_unsent(&self) -> bool {
        matches!(self.state, PrescriptionState::Draft | PrescriptionState::Blocked { .. })
    }

    fn enter(&mut self, state: PrescriptionState, now: DateTime<Utc>) {
        self.state = state;
        self.updated_at = now;
    }

    /// Takes what a safety check found. An override given before holds for an
    /// alert of the same key; what still blocks keeps the prescription back,
    /// else it is queued under `message`.
    pub fn check(
        &mut self,
        found: Vec<SafetyAlert>,
        message: ErxMessageId,
        now: DateTime<Utc>,
    ) -> Result<(), PharmacyError> {
        if !self.is_unsent() {
            return Err(self.refused("checked again"));
        }
        self.alerts = with_overrides(found, &self.alerts);
        let blocking: Vec<String> = self
            .alerts
            .iter()
            .filter(|alert| alert.blocks())
            .map(|alert| alert.key.clone())
            .collect();
        let state = if blocking.is_empty() {
            PrescriptionState::Queued { message, attempts: 0 }
        } else {
            PrescriptionState::Blocked { alerts: blocking }
        };
        self.enter(state, now);
        Ok(())
    }

    /// A provider takes an alert upon themselves, with a reason.
    pub fn override_alert(
        &mut self,
        key: &str,
        by: ProviderId,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<(), PharmacyError> {
        if !self.is_unsent() {
            return Err(self.refused("overridden"));
        }
        let reason = GraveReason::take("overrides.reason", reason)?;
        let alert = self.alerts.iter_mut().find(|alert| alert.key == key).ok_or_else(|| {
            PharmacyError::field(
                "overrides.alert",
                "unknown",
                "There is no such alert on this prescription.",
            )
        })?;
        if !alert.is_overridable() {
            return Err(PharmacyError::field(
                "overrides.alert",
                "not_overridable",
                "Nothing is known of this drug, so nothing was checked; prescribe one that is.",
            ));
        }
        alert.overridden = Some(AlertOverride { by, reason, at: now });
        self.updated_at = now;
        Ok(())
    }

    /// Changes what has not been sent. A sent prescription has to be canceled
    /// and written anew, because the pharmacy holds the old one.
    pub fn modify(&mut self, changes: Changes, now: DateTime<Utc>) -> Result<(), PharmacyError> {
        if !self.is_unsent() {
            return Err(self.refused("modified"));
        }
        let Changes { pharmacy, sig, quantity, days_supply, refills } = changes;
        self.pharmacy = pharmacy.unwrap_or(self.pharmacy);
        if let Some(sig) = sig {
            self.dosing.sig = sig;
        }
        self.dosing.quantity = quantity.unwrap_or(self.dosing.quantity);
        self.dosing.days_supply = days_supply.unwrap_or(self.dosing.days_supply);
        self.dosing.refills = refills.unwrap_or(self.dosing.refills);
        self.dosing.validate().map_err(PharmacyError::Invalid)?;
        self.enter(PrescriptionState::Draft, now);
        Ok(())
    }

    /// An attempt to send ended without a certain outcome.
    pub fn count_attempt(&mut self, now: DateTime<Utc>) {
        if let PrescriptionState::Queued { message, attempts } = self.state {
            self.enter(PrescriptionState::Queued { message, attempts: attempts + 1 }, now);
        }
    }

    /// Whether it waits for the pharmacy's answer to this message.
    fn awaits(&self, message: ErxMessageId) -> bool {
        matches!(self.state, PrescriptionState::Queued { message: held, .. }
            | PrescriptionState::Sent { message: held, .. } if held == message)
    }

    /// The pharmacy's system has accepted the message. Coming late, after the
    /// verification or a second time, it changes nothing.
    pub fn receive(&mut self, message: ErxMessageId, now: DateTime<Utc>) {
        if matches!(self.state, PrescriptionState::Queued { message: held, .. } if held == message)
        {
            self.enter(PrescriptionState::Sent { message, at: now }, now);
        }
    }

    /// A pharmacist has verified it. It may come before the status does.
    pub fn verify(&mut self, message: ErxMessageId, now: DateTime<Utc>) {
        if self.awaits(message) {
            self.enter(PrescriptionState::Active { message, verified_at: now }, now);
        }
    }

    /// The pharmacy refused it. Once verified it is not unverified by a stray
    /// error.
    pub fn reject(&mut self, message: ErxMessageId, code: &str, reason: &str, now: DateTime<Utc>) {
        if self.awaits(message) {
            let (code, reason) = (code.to_owned(), reason.to_owned());
            self.enter(PrescriptionState::Failed { code, reason, at: now }, now);
        }
    }

    /// It cannot be sent as it is, for a cause on our side.
    pub fn fail(
        &mut self,
        code: &str,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<(), PharmacyError> {
        if !self.is_unsent() && !matches!(self.state, PrescriptionState::Queued { .. }) {
            return Err(self.refused("failed"));
        }
        let (code, reason) = (code.to_owned(), reason.to_owned());
        self.enter(PrescriptionState::Failed { code, reason, at: now }, now);
        Ok(())
    }

    /// Takes back what was never sent.
    pub fn cancel(&mut self, reason: &str, now: DateTime<Utc>) -> Result<(), PharmacyError> {
        if !self.is_unsent() {
            return Err(self.refused("canceled"));
        }
        self.enter(PrescriptionState::Canceled { reason: reason.to_owned(), at: now }, now);
        Ok(())
    }

    /// The treatment has ended: nothing more is filled, wherever it stands. What
    /// the pharmacy's system may hold already is ours no longer to fill, and a
    /// verification that comes late changes nothing. Nor does this where it is
    /// closed.
    pub fn withdraw(&mut self, reason: &str, now: DateTime<Utc>) {
        if self.state.is_open() {
            self.enter(PrescriptionState::Canceled { reason: reason.to_owned(), at: now }, now);
        }
    }

    /// Uses one fill; the last one completes the prescription.
    pub fn fill(&mut self, on: NaiveDate, now: DateTime<Utc>) -> Result<(), PharmacyError> {
        if !self.is_fillable() {
            let (state, left) = (self.state.word(), self.remaining_fills());
            return Err(PharmacyError::NotFillable { state, left });
        }
        self.fills_used += 1;
        self.last_filled_on = Some(on);
        self.updated_at = now;
        if self.remaining_fills() == 0 {
            self.state = PrescriptionState::Completed { at: now };
        }
        Ok(())
    }
}

/// Tells the other contexts of the state that a prescription has come to, from
/// `before` where it is not new. Every change of state goes through here, so
/// that a pharmacy which holds what has ended is always told: the event is
/// committed with the change.
pub(crate) async fn announce(
    tx: &mut (impl PrescriptionTx + ?Sized),
    before: Option<&PrescriptionState>,
    after: &Prescription,
) -> Result<(), PharmacyError> {
    if let Some(event) = after.event() {
        tx.emit(event);
    }
    let Some(before) = before else { return Ok(()) };
    let composed = is_composed(tx, before).await?;
    if before.leaves_a_pharmacy_behind(composed, &after.state) {
        tx.emit(after.tell_pharmacy());
    }
    Ok(())
}

/// Whether its message may have been sent; a queued one has to be composed first.
async fn is_composed(
    tx: &mut (impl PrescriptionTx + ?Sized),
    state: &PrescriptionState,
) -> Result<bool, PharmacyError> {
    match state {
        PrescriptionState::Queued { message, .. } => Ok(tx.message(*message).await?.is_some()),
        _ => Ok(true),
    }
}

/// Whether a pharmacy holds a prescription in that state, or may hold it.
pub(crate) async fn is_at_a_pharmacy(
    tx: &mut (impl PrescriptionTx + ?Sized),
    state: &PrescriptionState,
) -> Result<bool, PharmacyError> {
    Ok(match state {
        PrescriptionState::Queued { .. } => is_composed(tx, state).await?,
        PrescriptionState::Sent { .. } | PrescriptionState::Active { .. } => true,
        _ => false,
    })
}

#[cfg(test)]
pub(crate) mod tests;
