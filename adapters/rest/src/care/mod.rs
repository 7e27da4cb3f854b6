//! Eligibility and review, treatment plans, tasks and video consultations.

mod assessments;
mod consultations;
mod reviews;
mod treatment;
mod webhook;

pub use self::{
    assessments::{AssessmentView, AssessmentsApi, AssessmentsView, ReasonView},
    consultations::{
        AdmissionView, BookConsultation, ConsultationView, ConsultationsApi, NotesView, WriteNotes,
    },
    reviews::{
        ApproveReview, EligibilityView, QueueItemView, QueueView, RejectReview, ReviewView,
        ReviewsApi, TaskView, TasksView, TracedAssessmentView, TracedRuleView,
    },
    treatment::{
        CreatePlan, DoseBody, FrequencyBody, MedicationBody, ModifyPlan, PlanVersionView, PlanView,
        PlansApi, PlansView, ReplacePlan, TreatmentBody,
    },
    webhook::VideoWebhookApi,
};

#[cfg(test)]
mod tests;
