//! The published language: what the contexts tell each other. Events hold ids
//! and primitives, never PHI, and only ever gain fields.

use chrono::{DateTime, Utc};
use kernel::{
    AccountId, AssessmentId, BreakGlassId, CategoryId, ConsultationId, DispatchId, EventId,
    FillHoldId, FormResponseId, InvoiceId, MessageId, PatientId, PlanId, PrescriptionId, PriceId,
    ProviderId, ShipmentId, SubscriptionId, TaskId, ThreadId, TreatmentPlanId, Uuid, Word,
};
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// An event as the outbox holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    pub id: EventId,
    pub occurred_at: DateTime<Utc>,
    pub event: Event,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Event {
    // identity
    AccountRegistered {
        account: AccountId,
    },
    /// The verification mail was asked for again.
    EmailVerificationRequested {
        account: AccountId,
    },
    /// Somebody registered with the address of a verified account; its owner
    /// is told by mail, because the answer may not say so.
    RegistrationRepeated {
        account: AccountId,
    },
    /// A link to choose a password is to be mailed: after forgetting the old
    /// one, or as the invitation of a member of the staff.
    PasswordResetRequested {
        account: AccountId,
        #[serde(default)]
        invited: bool,
    },
    EmailVerified {
        account: AccountId,
    },
    /// A link that proves a new address is to be mailed to it.
    EmailChangeRequested {
        account: AccountId,
    },
    /// A link that proves a second factor to be the owner's is to be mailed; an
    /// authenticator app goes by the account's id, a passkey by its own.
    FactorConfirmationRequested {
        account: AccountId,
        factor: Uuid,
    },
    /// An account has another address, which the one it left is told.
    AddressLeft {
        account: AccountId,
    },
    /// What an account signs in with has changed, which its owner is told:
    /// `password_changed`, `password_reset`, `factors_suspended`,
    /// `factor_confirmed`, `email_change_requested`, `email_changed`,
    /// `totp_added`, `totp_removed`, `passkey_added`, `passkey_removed` or
    /// `recovery_codes_renewed`.
    SignInChanged {
        account: AccountId,
        change: String,
    },
    PatientProfileChanged {
        patient: PatientId,
    },
    /// A license is in force for so many days more at most.
    LicenseExpiring {
        provider: ProviderId,
        /// The postal code of the state.
        state: String,
        days: u32,
    },
    /// Where a provider may practise has changed: licenses were recorded, one has
    /// run out, the role was given or taken, or the account closed or opened.
    /// What holds now is asked for.
    ProviderStandingChanged {
        provider: ProviderId,
        /// `licenses`, `expiry`, `roles` or `account`.
        reason: String,
    },
    /// The account of a patient was closed or opened. What holds now is asked
    /// for.
    PatientStandingChanged {
        patient: PatientId,
    },
    // records
    ClinicalRecordChanged {
        patient: PatientId,
    },
    // intake
    ResponseSubmitted {
        response: FormResponseId,
        patient: PatientId,
        category: CategoryId,
    },
    // care
    AssessmentDecided {
        assessment: AssessmentId,
        patient: PatientId,
        category: CategoryId,
        outcome: AssessmentOutcome,
    },
    ReviewDecided {
        assessment: AssessmentId,
        patient: PatientId,
        category: CategoryId,
        provider: ProviderId,
        approved: bool,
    },
    /// A provider asks the patient for something before deciding.
    ReviewInformationRequested {
        assessment: AssessmentId,
        patient: PatientId,
        category: CategoryId,
        provider: ProviderId,
    },
    /// A review was handed to this provider.
    ReviewAssigned {
        assessment: AssessmentId,
        patient: PatientId,
        provider: ProviderId,
    },
    TreatmentPlanCreated {
        treatment_plan: TreatmentPlanId,
        patient: PatientId,
        provider: ProviderId,
        category: CategoryId,
        /// It came from an automatic approval, so the prescription follows
        /// without a provider's request.
        automatic: bool,
    },
    /// What the plan treats with has changed: a prescription of an earlier
    /// version is not the treatment any more.
    TreatmentPlanModified {
        treatment_plan: TreatmentPlanId,
        patient: PatientId,
        provider: ProviderId,
        category: CategoryId,
        /// The number of the version that holds now.
        version: u32,
    },
    /// Nothing more may be filled or sent out for the plan.
    TreatmentPlanEnded {
        treatment_plan: TreatmentPlanId,
        patient: PatientId,
        provider: ProviderId,
        category: CategoryId,
        /// `completed` or `revoked`.
        status: String,
        /// The plan that took its place.
        superseded_by: Option<TreatmentPlanId>,
    },
    /// A provider opened a chart outside the panel in an emergency, which those
    /// who judge such access hear of.
    GlassBroken {
        id: BreakGlassId,
        provider: ProviderId,
        patient: PatientId,
        watchers: Vec<AccountId>,
    },
    /// What a provider had open for a patient is a colleague's from now on.
    PatientHandedOver {
        patient: PatientId,
        from: ProviderId,
        to: ProviderId,
    },
    TaskCreated {
        task: TaskId,
        provider: ProviderId,
    },
    ConsultationChanged {
        consultation: ConsultationId,
        patient: PatientId,
        provider: ProviderId,
        status: String,
    },
    // pharmacy
    PrescriptionChanged {
        prescription: PrescriptionId,
        treatment_plan: TreatmentPlanId,
        patient: PatientId,
        provider: ProviderId,
        category: CategoryId,
        /// The version of the plan that it was written from; 0 in events of
        /// before it was told.
        #[serde(default)]
        plan_version: u32,
        status: PrescriptionStatusWord,
    },
    /// A prescription that a pharmacy holds, or may hold, has ended, so somebody
    /// has to tell the pharmacy.
    PharmacyToBeTold {
        prescription: PrescriptionId,
        treatment_plan: TreatmentPlanId,
        patient: PatientId,
        /// The prescriber.
        provider: ProviderId,
    },
    /// Something speaks against sending a paid fill, and a provider decides.
    FillHeld {
        hold: FillHoldId,
        patient: PatientId,
        category: CategoryId,
        provider: Option<ProviderId>,
        invoice: InvoiceId,
    },
    /// A provider decided that it goes out.
    FillReleased {
        hold: FillHoldId,
        patient: PatientId,
        provider: ProviderId,
    },
    DispatchCreated {
        dispatch: DispatchId,
        patient: PatientId,
        prescription: PrescriptionId,
    },
    ShipmentChanged {
        shipment: ShipmentId,
        patient: PatientId,
        prescription: PrescriptionId,
        status: ShipmentStatusWord,
    },
    /// A parcel is not on its way to the patient any more: it is going back to the
    /// sender, or the carrier reports a failure.
    ParcelAstray {
        shipment: ShipmentId,
        treatment_plan: TreatmentPlanId,
        patient: PatientId,
        /// The prescriber.
        provider: ProviderId,
    },
    StockLow {
        ndc: String,
        on_hand: i64,
    },
    // subscriptions
    SubscriptionStarted {
        subscription: SubscriptionId,
        patient: PatientId,
        category: CategoryId,
        plan: PlanId,
        price: PriceId,
    },
    SubscriptionActivated {
        subscription: SubscriptionId,
        patient: PatientId,
        category: CategoryId,
    },
    /// A period after the first began; the first one begins with
    /// `SubscriptionStarted`.
    SubscriptionPeriodStarted {
        subscription: SubscriptionId,
        patient: PatientId,
        category: CategoryId,
        plan: PlanId,
        price: PriceId,
        /// Counted from 0; with the subscription it names one period.
        period_index: u32,
    },
    SubscriptionCanceled {
        subscription: SubscriptionId,
        patient: PatientId,
        category: CategoryId,
    },
    /// It is not renewed, because its treatment has ended.
    SubscriptionStopped {
        subscription: SubscriptionId,
        patient: PatientId,
        category: CategoryId,
        /// What is paid for runs out; without it, it has ended already.
        at_period_end: bool,
    },
    /// What the patient is treated with is not what the subscription pays for.
    SubscriptionMismatched {
        subscription: SubscriptionId,
        patient: PatientId,
        category: CategoryId,
    },
    // billing
    InvoiceFinalized {
        invoice: InvoiceId,
        patient: PatientId,
    },
    InvoicePaid {
        invoice: InvoiceId,
        patient: PatientId,
        subscription: SubscriptionId,
        category: CategoryId,
    },
    PaymentFailed {
        invoice: InvoiceId,
        patient: PatientId,
        subscription: SubscriptionId,
    },
    // communication
    MessageSent {
        message: MessageId,
        thread: ThreadId,
        sender: AccountId,
        recipient: AccountId,
    },
}

/// What eligibility decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Word)]
#[word("OutcomeWord")]
#[serde(rename_all = "snake_case")]
pub enum AssessmentOutcome {
    AutoApproved,
    InReview,
    Refused,
}

/// The states of a prescription that other contexts act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PrescriptionStatusWord {
    /// A safety alert stands in the way until a provider decides.
    Blocked,
    /// Written and on its way to the pharmacy.
    Queued,
    /// The pharmacy's system has received it.
    Sent,
    /// The pharmacy has verified it; it can be filled.
    Active,
    /// The pharmacy refused it, or it could not be delivered.
    Failed,
    Canceled,
    Completed,
}

/// The states of a shipment, in the words of the carriers' tracking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ShipmentStatusWord {
    Created,
    PreTransit,
    InTransit,
    OutForDelivery,
    AvailableForPickup,
    Delivered,
    ReturnToSender,
    Failure,
    Cancelled,
}
