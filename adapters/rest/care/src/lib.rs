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
    assessments::AssessmentsApi, assignment::AssignmentApi, break_glass::BreakGlassApi,
    consultations::ConsultationsApi, dosing::DosingApi, handover::HandoverApi,
    information::InformationApi, plans::PlansApi, portal::PortalApi, replays::ReplaysApi,
    requirements::RequirementsApi, reviews::ReviewsApi, rules::RulesApi, settings::SettingsApi,
    tasks::TasksApi, webhook::VideoWebhookApi, whole_review::WholeReviewApi,
};
