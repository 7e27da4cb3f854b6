//! Care: who is eligible for treatment, who decides it, what is prescribed to
//! whom, and how patient and provider meet by video.
//!
//! It owns eligibility rule sets and protocols, assessments with the trace of
//! every rule, the review queue, treatment plans with all their versions,
//! provider tasks and video consultations. It knows nothing of how a form is
//! asked, how a prescription travels, or which vendor carries the video: what
//! it needs from elsewhere stands in [`sources`] and [`video`] as traits.
//!
//! # Handlers
//!
//! | event | use case |
//! |---|---|
//! | `ResponseSubmitted` | [`assess::on_response_submitted`] |
//! | `PatientProfileChanged` | [`tasks::on_profile_changed`] |
//! | `ClinicalRecordChanged` | [`tasks::on_record_changed`] |
//! | `TreatmentPlanModified` | [`tasks::on_treatment_plan_modified`] |
//! | `ProviderStandingChanged` | [`standing::on_standing_changed`] |
//! | `PrescriptionChanged` | [`tasks::on_prescription_changed`], [`plans::on_prescription_changed`] |
//!
//! # Jobs
//!
//! | job | use case |
//! |---|---|
//! | [`consultations::CreateVideoRoom`] | [`consultations::create_video_room`] |
//! | [`information::EscalateReviews`], every minute | [`information::escalate_reviews`] |
//! | [`assigning::AssignReviews`], every minute and when a review enters the queue | [`assigning::assign_reviews`] |
//! | [`standing::CheckStanding`], every ten minutes | [`standing::check_standing`] |
//!
//! The video vendor's callbacks come in through
//! [`consultations::on_video_callback`].

pub mod assess;
pub mod assessment;
pub mod assigning;
pub mod assignment;
pub mod break_glass;
pub mod business_hours;
pub mod consultation;
pub mod consultations;
pub mod diff;
pub mod dosing;
pub mod eligibility;
pub mod ending;
pub mod error;
pub mod handover;
pub mod information;
mod licenses;
pub mod pharmacy_tasks;
pub mod plans;
pub mod portal;
pub mod protocol;
pub mod reviews;
pub mod rules;
pub mod setting;
pub mod setup;
pub mod sources;
pub mod standing;
pub mod store;
pub mod task;
pub mod tasks;
pub mod treatment;
pub mod video;
pub mod whole_review;

pub use assessment::{Assessment, Priority, RejectionReason, Review, ReviewWord};
pub use assigning::AssignmentTx;
pub use assignment::{AssignmentPolicy, Colleague};
pub use consultation::{Consultation, ConsultationStatus, Participant};
pub use diff::FieldChange;
pub use eligibility::{Decision, Inputs, Rule, RuleSet, Severity, Trace};
pub use ending::{EndReason, PlanEnding};
pub use error::CareError;
pub use handover::HandoverTx;
pub use protocol::{DoseLimit, Modality, Protocol};
pub use setting::StatePolicy;
pub use sources::{
    AlertSeverity, AskedQuestion, Categories, CategoryTerms, ClinicalFacts, ExpiringLicense,
    IntakeReader, PatientFacts, PatientName, Prescribed, ProviderDirectory, SafetyAlert,
    SafetyChecks, Sources, Standing, SubmittedResponse, VIDEO_VISITS, VisitCover, VisitCovers,
};
pub use store::{CareStore, CareTx, QueueItem};
pub use task::{Task, TaskEnding, TaskKind, TaskStatus};
pub use treatment::{
    Dose, Frequency, Medication, PeriodUnit, PlanStatus, Treatment, TreatmentPlan,
};
pub use video::{
    Archive, CallbackCredentials, ClientToken, TokenRequest, TokenRole, VideoCallback, VideoRooms,
};
