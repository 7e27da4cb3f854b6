use kernel::{DomainError, FieldError, TreatmentPlanId, UsState, actor::MissingPermission};
use ports::PortError;

use crate::Consultation;

fn other_plan(active: &Option<TreatmentPlanId>) -> String {
    match active {
        Some(active) => format!("the patient's active plan in this category is {active}"),
        None => "the patient has no active plan in this category; leave `supersedes` out".into(),
    }
}

/// How a use case of this context fails.
#[derive(Debug, thiserror::Error, DomainError)]
pub enum CareError {
    #[error("the patient is on the provider's panel, so the chart is open anyway")]
    #[domain(Conflict, "care.chart_is_open")]
    ChartIsOpen,
    #[error("this emergency access has been judged already")]
    #[domain(Conflict, "care.already_judged")]
    AlreadyJudged,
    #[error("nobody judges an emergency access of their own")]
    #[domain(Forbidden, "care.own_access")]
    OwnAccess,
    #[error("the request is not valid")]
    #[domain(Invalid, "care.invalid", fields)]
    Invalid(Vec<FieldError>),
    #[error("this needs an active license in {}", .0.name())]
    #[domain(Forbidden, "care.license_required")]
    LicenseRequired(UsState),
    #[error("only a provider can do this")]
    #[domain(Forbidden, "care.provider_required")]
    ProviderRequired,
    #[error("only a patient can do this")]
    #[domain(Forbidden, "care.patient_required")]
    PatientRequired,
    #[error("another provider holds this review")]
    #[domain(Conflict, "care.review_already_claimed")]
    ReviewAlreadyClaimed,
    #[error("claim the review first; a claim also ends when its time is over")]
    #[domain(Conflict, "care.review_not_claimed")]
    ReviewNotClaimed,
    #[error("the review waits for the patient's answer")]
    #[domain(Conflict, "care.review_waits_for_patient")]
    ReviewWaitsForPatient,
    #[error("the patient was not asked for anything, or has answered")]
    #[domain(Conflict, "care.nothing_asked")]
    NothingAsked,
    #[error("the patient has submitted the form again; decide the later review")]
    #[domain(Conflict, "care.review_superseded")]
    ReviewSuperseded,
    #[error("this review is already decided")]
    #[domain(Conflict, "care.review_closed")]
    ReviewClosed,
    /// What is signed is not what was read; the fields name the parts that differ.
    #[error(
        "the review is not as it was read, or the treatment is not the one that was shown; read it \
         again and send the version of that"
    )]
    #[domain(Conflict, "care.review_changed", fields)]
    ReviewChanged(Vec<FieldError>),
    #[error("the category has no protocol; give the whole treatment")]
    #[domain(Invalid, "care.no_protocol")]
    NoProtocol,
    #[error("the patient's profile lacks what a decision needs")]
    #[domain(Conflict, "care.profile_incomplete")]
    ProfileIncomplete,
    #[error("the treatment plan is not active")]
    #[domain(Conflict, "care.plan_not_active")]
    PlanNotActive,
    #[error(
        "a visit is needed before this treatment, and none with this patient is on file; hold one, \
         or say in `met_elsewhere` how you met"
    )]
    #[domain(Conflict, "care.visit_required")]
    VisitRequired,
    #[error(
        "sex or birth date of the patient are not those that were assessed; ask the patient to \
         submit the form again"
    )]
    #[domain(Conflict, "care.profile_changed")]
    ProfileChanged,
    /// Two active plans of one kind would put the same medicine into two
    /// boxes.
    #[error(
        "the patient has an active treatment plan in this category; modify that one, or name it in \
         `supersedes` to end it"
    )]
    #[domain(Conflict, "care.already_treated")]
    AlreadyTreated,
    /// The plan that was to be replaced is not the active one, or no longer.
    #[error("{}", other_plan(.0))]
    #[domain(Conflict, "care.not_the_active_plan")]
    NotTheActivePlan(Option<TreatmentPlanId>),
    #[error("a published rule set never changes; draft another version")]
    #[domain(Conflict, "care.rules_published")]
    RulesPublished,
    #[error("this rule set is in force already")]
    #[domain(Conflict, "care.rules_in_force")]
    RulesInForce,
    /// The number is the version in force.
    #[error("version {0} was published since this draft was made; take it in and say so")]
    #[domain(Conflict, "care.rules_superseded")]
    RulesSuperseded(i32),
    #[error("the rules were changed at the same moment; read them again")]
    #[domain(Conflict, "care.rules_changed_at_once")]
    RulesChangedAtOnce,
    /// The code is that of whoever sells features.
    #[error(
        "no plan of yours in force has the feature `{0}`; /api/auth/upgrade-prompt says which \
         plans have it and at which prices"
    )]
    #[domain(Forbidden, "subscriptions.feature_not_included")]
    FeatureNotIncluded(&'static str),
    #[error("the task is done already")]
    #[domain(Conflict, "care.task_done")]
    TaskDone,
    #[error("the slot is taken")]
    #[domain(Conflict, "care.slot_taken")]
    SlotTaken,
    #[error("the meeting is not open now")]
    #[domain(Conflict, "care.meeting_not_open")]
    MeetingNotOpen,
    #[error("the consultation is completed or canceled")]
    #[domain(Conflict, "care.consultation_closed")]
    ConsultationClosed,
    #[error("the consultation has begun; it is not canceled any more")]
    #[domain(Conflict, "care.consultation_begun")]
    ConsultationBegun,
    #[error("the consultation lies ahead; it is completed once one can join it")]
    #[domain(Conflict, "care.consultation_ahead")]
    ConsultationAhead,
    #[error(
        "at most {} consultations can be booked ahead; cancel one first",
        Consultation::MOST_AHEAD
    )]
    #[domain(Conflict, "care.too_many_bookings")]
    TooManyBookings,
    #[error("the video room is being made; try again in a moment")]
    #[domain(Conflict, "care.room_not_ready")]
    RoomNotReady,
    /// A vendor's callback came without a valid proof of its origin.
    #[error("the callback's signature is not valid")]
    #[domain(Unauthenticated, "care.bad_signature")]
    BadSignature,
    #[error(transparent)]
    #[domain(Forbidden, "forbidden")]
    Forbidden(#[from] MissingPermission),
    #[error(transparent)]
    #[domain(transparent)]
    Port(#[from] PortError),
}

impl From<FieldError> for CareError {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}

impl CareError {
    pub(crate) fn field(path: &str, code: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(path, code, message)])
    }

    /// For what is not there, or not for the caller.
    pub(crate) fn no(name: &'static str) -> Self {
        PortError::not_found(name).into()
    }
}
