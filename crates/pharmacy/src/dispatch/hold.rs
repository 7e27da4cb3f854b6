//! Whether a paid fill goes out now or is held. One pure rule decides it from
//! the facts of the moment, whenever a fill is released, labeled or shipped.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use kernel::{
    AssessmentId, CategoryId, FillHoldId, InvoiceId, PatientId, PrescriptionId, ProviderId,
    ShipmentId, TaskId, TextKind as _, TreatmentPlanId, UsState, Word, text::GraveReason,
};
use ports::{Aggregate, Event};
use serde::{Deserialize, Serialize};

use crate::{
    PharmacyError,
    fulfilment::store::PaidFillKey,
    prescription::Prescription,
    safety::{SafetyAlert, Severity},
    shipment::TrackingStatus,
};

/// The plan that is active for a patient in a category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActivePlan {
    pub plan: TreatmentPlanId,
    /// Counts up with each modification.
    pub version: u32,
    /// Who answers for it now.
    pub provider: ProviderId,
}

/// What care knows of a patient's treatment in a category.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreatmentStanding {
    pub active: Option<ActivePlan>,
    /// Whose the last plan was, where none is active.
    pub last_provider: Option<ProviderId>,
    /// An assessment that was refused after the plan began, and that no later
    /// one has approved.
    pub refusal: Option<AssessmentId>,
    /// Open tasks about a change of the patient's health or profile, with their
    /// versions: news that joins an open task counts it up.
    pub open_tasks: Vec<(TaskId, i64)>,
}

impl TreatmentStanding {
    /// Whether a colleague answers for the plan of the prescription now. It is
    /// theirs to prescribe, whoever may prescribe at all.
    pub fn is_taken_over(&self, prescription: &Prescription) -> bool {
        self.active.is_some_and(|active| {
            active.plan == prescription.treatment_plan && active.provider != prescription.provider
        })
    }
}

/// Whether a prescriber may still prescribe where the patient is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrescriberStanding {
    MayPrescribe,
    /// The account is not active, or is no provider's any more.
    DoesNotPractise,
    NotLicensedIn(UsState),
    /// A colleague has taken the plan over and has not prescribed it yet.
    HandedOver,
    /// The patient's profile names no state.
    PatientStateUnknown,
}

/// What contests a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[serde(rename_all = "snake_case")]
pub enum ContestKind {
    Dispute,
    Refund,
    /// The card's issuer takes the payment for a fraud, before any dispute.
    FraudWarning,
}

/// What contests the invoice's payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contest {
    pub kind: ContestKind,
    /// The gateway's id.
    pub id: String,
    /// Whether the money is certain again, as after a dispute that was won.
    pub settled: bool,
    /// It is about another invoice of the treatment, as one whose box has gone
    /// out: it holds the next fill, until somebody has decided once.
    pub other_invoice: bool,
}

/// What a ground begins with that is about another invoice.
const OTHER: &str = "payment_contested:other:";

/// The key of a ground about a parcel begins with this.
const PARCEL: &str = "parcel_astray:";

/// Everything that the rule asks of other contexts, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FillFacts {
    pub patient_active: bool,
    pub treatment: TreatmentStanding,
    pub prescriber: PrescriberStanding,
    /// What the safety check finds on the record now, with the overrides given
    /// when the prescription was signed.
    pub alerts: Vec<SafetyAlert>,
    pub contests: Vec<Contest>,
    /// Parcels of the treatment that the carrier does not deliver.
    pub astray: Vec<(ShipmentId, TrackingStatus)>,
}

/// What speaks against sending a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Word)]
#[word("HoldGroundKind")]
#[serde(rename_all = "snake_case")]
pub enum GroundKind {
    SafetyAlert,
    LaterRefusal,
    OpenHealthTask,
    PlanEnded,
    PlanChanged,
    PrescriberMayNotPrescribe,
    PatientInactive,
    PaymentContested,
    ParcelAstray,
}

/// One thing that speaks against sending a fill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ground {
    pub kind: GroundKind,
    /// What names it in a decision; the same while the fact is the same.
    pub key: String,
    /// What a provider reads.
    pub summary: String,
    /// Whether a provider may decide to send the fill in spite of it. What may
    /// not be is put right where it comes from.
    pub acceptable: bool,
}

impl Ground {
    fn new(kind: GroundKind, about: &str, summary: impl Into<String>, acceptable: bool) -> Self {
        let key = if about.is_empty() { kind.to_string() } else { format!("{kind}:{about}") };
        Self { kind, key, summary: summary.into(), acceptable }
    }
}

/// Everything that speaks against filling the prescription now, the facts that
/// a provider has `accepted` for this fill left out. Without any the fill may
/// go out. What cannot be accepted always counts.
pub fn grounds(
    prescription: &Prescription,
    facts: &FillFacts,
    accepted: &BTreeSet<String>,
) -> Vec<Ground> {
    use GroundKind as Kind;
    let mut found = against_treatment(facts);
    match facts.treatment.active {
        Some(active) if active.plan == prescription.treatment_plan => {
            if prescription.plan_version < active.version {
                let text = "The treatment plan has changed since the prescription was written.";
                let about = active.version.to_string();
                found.push(Ground::new(Kind::PlanChanged, &about, text, false));
            }
        }
        _ => found.push(plan_ended(prescription.treatment_plan)),
    }
    for contest in facts.contests.iter().filter(|contest| !contest.settled) {
        // A dispute comes to an end at the gateway; a refund and a warning stay
        // what they are, and whoever has seen to them decides.
        let (text, acceptable) = match (contest.kind, contest.other_invoice) {
            (ContestKind::Dispute, false) => ("The payment is disputed.", false),
            (ContestKind::Dispute, true) => ("Another payment is disputed.", true),
            (ContestKind::Refund, false) => ("The payment was given back.", true),
            (ContestKind::Refund, true) => ("Another payment was given back.", true),
            (ContestKind::FraudWarning, false) => ("The card's issuer warns of fraud.", true),
            (ContestKind::FraudWarning, true) => {
                ("The card's issuer warns of fraud with another payment.", true)
            }
        };
        let other = if contest.other_invoice { "other:" } else { "" };
        let about = format!("{other}{}:{}", contest.kind, contest.id);
        found.push(Ground::new(Kind::PaymentContested, &about, text, acceptable));
    }
    for (shipment, status) in &facts.astray {
        let text = match status {
            TrackingStatus::ReturnToSender => "An earlier parcel is going back to the sender.",
            _ => "The carrier could not deliver an earlier parcel.",
        };
        let about = format!("{shipment}:{status}");
        found.push(Ground::new(Kind::ParcelAstray, &about, text, true));
    }
    found.retain(|ground| !(ground.acceptable && accepted.contains(&ground.key)));
    found
}

/// What speaks against a fill for which there is no prescription: that the
/// treatment it was paid for has ended.
pub fn grounds_without_prescription(treatment: &TreatmentStanding) -> Vec<Ground> {
    let text = "The treatment has ended, and the fill is paid.";
    match treatment.active {
        Some(_) => Vec::new(),
        None => vec![Ground::new(GroundKind::PlanEnded, "", text, false)],
    }
}

fn plan_ended(plan: TreatmentPlanId) -> Ground {
    let text = "The treatment plan of the prescription is not active.";
    Ground::new(GroundKind::PlanEnded, &plan.to_string(), text, false)
}

fn alert_ground(alert: &SafetyAlert) -> Ground {
    // Another severity is another finding.
    let about = format!("{}:{}", alert.severity, alert.key);
    Ground::new(GroundKind::SafetyAlert, &about, alert.summary.clone(), alert.is_overridable())
}

/// What speaks against the treatment itself, whatever prescription or payment
/// a fill of it comes from.
pub fn against_treatment(facts: &FillFacts) -> Vec<Ground> {
    use GroundKind as Kind;
    let blocking = facts.alerts.iter().filter(|alert| alert.blocks());
    let mut found: Vec<Ground> = blocking.map(alert_ground).collect();
    if let Some(refusal) = facts.treatment.refusal {
        let text = "An assessment after the approval was refused.";
        found.push(Ground::new(Kind::LaterRefusal, &refusal.to_string(), text, true));
    }
    for (task, version) in &facts.treatment.open_tasks {
        let text = "A task about a change of the patient's health or profile is open.";
        let about = format!("{task}:{version}");
        found.push(Ground::new(Kind::OpenHealthTask, &about, text, true));
    }
    if !facts.patient_active {
        let text = "The patient's account is not active.";
        found.push(Ground::new(Kind::PatientInactive, "", text, false));
    }
    let why = match facts.prescriber {
        PrescriberStanding::MayPrescribe => return found,
        PrescriberStanding::DoesNotPractise => {
            "The prescriber does not practice here any more.".to_owned()
        }
        PrescriberStanding::NotLicensedIn(state) => {
            format!("The prescriber holds no active license in {}.", state.name())
        }
        PrescriberStanding::HandedOver => {
            "A colleague has taken the treatment over, and has to prescribe it.".to_owned()
        }
        PrescriberStanding::PatientStateUnknown => {
            "The patient's profile names no state.".to_owned()
        }
    };
    found.push(Ground::new(Kind::PrescriberMayNotPrescribe, "", why, false));
    found
}

/// The alerts of a check that was made again: the overrides given before hold
/// for an alert of the same key and severity.
pub fn with_overrides(found: Vec<SafetyAlert>, before: &[SafetyAlert]) -> Vec<SafetyAlert> {
    let earlier = |alert: &SafetyAlert, severity: Severity| {
        before
            .iter()
            .find(|old| old.key == alert.key && old.severity == severity)
            .and_then(|old| old.overridden.clone())
    };
    found
        .into_iter()
        .map(|mut alert| {
            let kept = earlier(&alert, alert.severity);
            alert.overridden = alert.overridden.take().or(kept);
            alert
        })
        .collect()
}

/// The decision that released a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub at: DateTime<Utc>,
    pub by: ProviderId,
    pub reason: String,
    /// The keys of the grounds that were accepted.
    pub accepted: Vec<String>,
}

/// A paid fill that is held until a provider decides.
#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("fill_hold", patient)]
pub struct FillHold {
    pub id: FillHoldId,
    pub invoice: InvoiceId,
    /// Which of the invoice's fills.
    pub number: u32,
    pub patient: PatientId,
    pub category: CategoryId,
    /// `None` where the treatment has ended and nothing is prescribed.
    pub prescription: Option<PrescriptionId>,
    /// Whose task it is.
    pub provider: Option<ProviderId>,
    pub grounds: Vec<Ground>,
    pub held_at: DateTime<Utc>,
    /// `None` while it is held.
    pub released: Option<Release>,
    pub version: i64,
}

/// What a provider decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseRequest {
    pub reason: String,
    /// The key of each ground that the fill is to go out in spite of.
    pub grounds: Vec<String>,
}

impl FillHold {
    pub fn place(
        id: FillHoldId,
        (invoice, number): PaidFillKey,
        (patient, category): (PatientId, CategoryId),
        (prescription, provider): (Option<PrescriptionId>, Option<ProviderId>),
        grounds: Vec<Ground>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            invoice,
            number,
            patient,
            category,
            prescription,
            provider,
            grounds,
            held_at: now,
            released: None,
            version: 1,
        }
    }

    pub fn is_held(&self) -> bool {
        self.released.is_none()
    }

    pub fn holds(&self, paid: PaidFillKey) -> bool {
        self.is_held() && self.fill() == paid
    }

    pub fn fill(&self) -> PaidFillKey {
        (self.invoice, self.number)
    }

    /// Whether the patient should not get the drug now, and not only not be
    /// sent it for this money.
    pub fn concerns_the_pharmacy(&self) -> bool {
        let outside = [GroundKind::PaymentContested, GroundKind::ParcelAstray];
        self.grounds.iter().any(|ground| !outside.contains(&ground.kind))
    }

    /// The kinds of what it is held for, each once; they tell nothing of the
    /// patient's health.
    pub fn kinds(&self) -> Vec<String> {
        let kinds: BTreeSet<GroundKind> = self.grounds.iter().map(|ground| ground.kind).collect();
        kinds.into_iter().map(|kind| kind.to_string()).collect()
    }

    pub fn event(&self) -> Event {
        Event::FillHeld {
            hold: self.id,
            patient: self.patient,
            category: self.category,
            provider: self.provider,
            invoice: self.invoice,
        }
    }

    /// Releases it. `now_found` is what speaks against the fill at this moment:
    /// each ground has to be named, and one that may not be accepted keeps the
    /// hold.
    pub fn release(
        &mut self,
        by: ProviderId,
        request: ReleaseRequest,
        now_found: &[Ground],
        now: DateTime<Utc>,
    ) -> Result<(), PharmacyError> {
        if !self.is_held() {
            return Err(PharmacyError::HoldReleased);
        }
        let reason = GraveReason::take("reason", &request.reason)?;
        let known =
            |key: &String| self.grounds.iter().chain(now_found).any(|ground| ground.key == *key);
        if let Some(index) = request.grounds.iter().position(|key| !known(key)) {
            return Err(PharmacyError::field(
                format!("grounds[{index}]"),
                "unknown",
                "The fill is not held for this.",
            ));
        }
        if let Some(stands) = now_found.iter().find(|ground| !ground.acceptable) {
            return Err(PharmacyError::HoldStands(stands.summary.clone()));
        }
        if now_found.iter().any(|ground| !request.grounds.contains(&ground.key)) {
            return Err(PharmacyError::HoldChanged);
        }
        self.released = Some(Release { at: now, by, reason, accepted: request.grounds });
        Ok(())
    }
}

/// What was accepted for a paid fill by earlier decisions.
pub fn accepted(holds: &[FillHold], paid: PaidFillKey) -> BTreeSet<String> {
    let own = holds.iter().filter(|hold| hold.fill() == paid);
    let own = own.filter_map(|hold| hold.released.as_ref());
    let own = own.flat_map(|release| release.accepted.iter().cloned());
    own.chain(accepted_of_others(holds)).collect()
}

/// What was accepted of other invoices and of parcels, by a decision about
/// whichever fill: it holds one fill and not every one after it.
pub fn accepted_of_others(holds: &[FillHold]) -> BTreeSet<String> {
    let releases = holds.iter().filter_map(|hold| hold.released.as_ref());
    let keys = releases.flat_map(|release| release.accepted.iter());
    keys.filter_map(|key| {
        if key.starts_with(OTHER) || key.starts_with(PARCEL) {
            return Some(key.clone());
        }
        // Whoever has accepted it for its own fill has for the next as well.
        key.strip_prefix("payment_contested:").map(|about| format!("{OTHER}{about}"))
    })
    .collect()
}

#[cfg(test)]
mod tests;
