//! Eligibility and review, treatment plans, tasks and video consultations.

mod assessments;
mod assignment;
mod break_glass;
mod consultations;
mod dosing;
mod handover;
mod information;
mod names;
mod plans;
mod portal;
mod replays;
mod requirements;
mod reviews;
mod rules;
mod settings;
mod tasks;
mod treatment;
mod webhook;
mod whole_review;

pub use self::{
    assessments::{AssessmentView, AssessmentsApi, AssessmentsView, ReasonView},
    assignment::{AssignmentApi, AssignmentPolicyBody, CategorySpecialitiesBody, HandedOutView},
    break_glass::BreakGlassApi,
    consultations::{
        AdmissionView, BookConsultation, ConsultationView, ConsultationsApi, ConsultationsView,
        NotesView, WriteNotes,
    },
    dosing::{
        ComputeDose, ComputedDoseView, DoseOnView, DoseOverrideBody, DosingApi, DosingRuleBody,
        RenalBandBody,
    },
    handover::{HandOverPanel, HandoverApi, HandoversView, OrphansView},
    information::{
        ExchangeView, ExchangesView, GiveInformation, InformationApi, ReassignReview,
        RequestInformation,
    },
    names::PatientNameView,
    plans::PlansApi,
    portal::{DashboardView, PanelPatientView, PanelView, PortalApi},
    replays::{ReplayView, ReplaysApi},
    requirements::{RequirementsApi, RequirementsView},
    reviews::{
        ApproveReview, EligibilityView, QueueItemView, QueueView, RejectReview, ReviewView,
        ReviewsApi, TracedAssessmentView, TracedRuleView,
    },
    rules::{RuleSetView, RuleSetsView, RulesApi, SimulationView},
    settings::{
        DeaScheduleWord, FormularyDrugBody, FormularyDrugView, FormularyView, ProtocolBody,
        SettingsApi, StatePolicyBody, StatePolicyFound,
    },
    tasks::{TaskView, TasksApi, TasksView, UpdateTask},
    treatment::{
        CompletePlan, CreatePlan, DoseBody, FieldChangeView, FrequencyBody, KidneysBody,
        MedicationBody, ModifyPlan, PlanEndingView, PlanHistoryView, PlanVersionView, PlanView,
        PlansView, ReplacePlan, RevokePlan, TitrationBody, TitrationStepBody, TreatmentBody,
        VersionHistoryView,
    },
    webhook::VideoWebhookApi,
    whole_review::{ProposeTreatment, WholeReviewApi, WholeReviewFound, WholeReviewView},
};
