use chrono::{DateTime, Utc};
use kernel::{
    DomainError, ErrorKind, FieldError, TreatmentPlanId, UsState, actor::MissingPermission,
};
use ports::PortError;

use crate::{
    Consultation, PlanStatus, TreatmentPlan, diff, setting::SettingChange,
    whole_review::ReviewChange,
};

/// What has become of a plan since somebody read it.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanChange {
    /// The caller named the version that it had read.
    named: bool,
    /// The version that holds now.
    pub version: i64,
    status: PlanStatus,
    /// The fields of the treatment that differ now; their values stay in the
    /// chart.
    fields: Vec<FieldError>,
}

impl PlanChange {
    /// `seen` is the version of the row that the caller had in mind.
    pub fn since(seen: i64, now: &TreatmentPlan, named: bool) -> Self {
        // Every save of an active plan adds one version to both counts.
        let old = now.versions().take_while(|version| i64::from(version.number) <= seen).last();
        let fields = old.map_or_else(Vec::new, |old| {
            let found = diff::changes(&old.treatment, &now.current().treatment);
            let told = |change: diff::FieldChange| {
                let path = format!("treatment.{}", change.path);
                FieldError::new(path, "changed", "Another change of the plan set this.")
            };
            found.into_iter().map(told).collect()
        });
        Self { named, version: now.version, status: now.status, fields }
    }
}

impl std::fmt::Display for PlanChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the plan has changed since it was read: its version is {} now", self.version)?;
        if self.status != PlanStatus::Active {
            write!(f, ", and it is {}", self.status)?;
        }
        if !self.fields.is_empty() {
            let paths: Vec<&str> = self.fields.iter().map(|field| field.path.as_str()).collect();
            write!(f, "; what changed is {}", paths.join(", "))?;
        }
        Ok(())
    }
}

fn other_plan(active: &Option<TreatmentPlanId>) -> String {
    match active {
        Some(active) => format!("the patient's active plan in this category is {active}"),
        None => "the patient has no active plan in this category; leave `supersedes` out".into(),
    }
}

/// How a use case of this context fails.
#[derive(Debug, thiserror::Error)]
pub enum CareError {
    #[error("the patient is on the provider's panel, so the chart is open anyway")]
    ChartIsOpen,
    #[error("this emergency access has been judged already")]
    AlreadyJudged,
    #[error("nobody judges an emergency access of their own")]
    OwnAccess,
    /// It does not exist, or not for this actor; the two look alike outside.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("the request is not valid")]
    Invalid(Vec<FieldError>),
    #[error("this needs an active license in {}", .0.name())]
    LicenseRequired(UsState),
    #[error("only a provider can do this")]
    ProviderRequired,
    #[error("only a patient can do this")]
    PatientRequired,
    #[error("another provider holds this review")]
    ReviewAlreadyClaimed,
    #[error("claim the review first; a claim also ends when its time is over")]
    ReviewNotClaimed,
    #[error("the review waits for the patient's answer")]
    ReviewWaitsForPatient,
    #[error("the patient was not asked for anything, or has answered")]
    NothingAsked,
    #[error("the patient has submitted the form again; decide the later review")]
    ReviewSuperseded,
    #[error("this review is already decided")]
    ReviewClosed,
    /// What is signed is not what was read.
    #[error(
        "the review is not as it was read, or the treatment is not the one that was shown; read it \
         again and send the version of that"
    )]
    ReviewChanged(ReviewChange),
    #[error("the category has no protocol; give the whole treatment")]
    NoProtocol,
    #[error("the patient's profile lacks what a decision needs")]
    ProfileIncomplete,
    #[error("the treatment plan is not active")]
    PlanNotActive,
    #[error(
        "a visit is needed before this treatment, and none with this patient is on file; hold one, \
         or say in `met_elsewhere` how you met"
    )]
    VisitRequired,
    #[error(
        "sex or birth date of the patient are not those that were assessed; ask the patient to \
         submit the form again"
    )]
    ProfileChanged,
    /// Two active plans of one kind would put the same medicine into two
    /// boxes.
    #[error(
        "the patient has an active treatment plan in this category; modify that one, or name it in \
         `supersedes` to end it"
    )]
    AlreadyTreated,
    /// The plan that was to be replaced is not the active one, or no longer.
    #[error("{}", other_plan(.0))]
    NotTheActivePlan(Option<TreatmentPlanId>),
    /// Somebody else changed the plan first.
    #[error("{0}")]
    PlanChanged(Box<PlanChange>),
    /// Another administrator came first, or the setting was not read before.
    #[error("{0}")]
    SettingChanged(Box<SettingChange>),
    #[error("a published rule set never changes; draft another version")]
    RulesPublished,
    #[error("this rule set is in force already")]
    RulesInForce,
    /// The number is the version in force.
    #[error("version {0} was published since this draft was made; take it in and say so")]
    RulesSuperseded(i32),
    #[error("the rules were changed at the same moment; read them again")]
    RulesChangedAtOnce,
    #[error("it was changed since it was read: it is at revision {current} since {at}")]
    RevisionChanged {
        current: i64,
        at: DateTime<Utc>,
        /// Where the draft is not what was asked for.
        fields: Vec<FieldError>,
    },
    /// The name of the problem is that of whoever sells features.
    #[error(
        "no plan of yours in force has the feature `{0}`; /api/auth/upgrade-prompt says which \
         plans have it and at which prices"
    )]
    FeatureNotIncluded(&'static str),
    #[error("the task is done already")]
    TaskDone,
    /// Somebody else changed the task first.
    #[error("the task has changed since it was read: its version is {version} now")]
    TaskChanged {
        version: i64,
        /// The caller named the version that it had read.
        named: bool,
    },
    #[error("the slot is taken")]
    SlotTaken,
    #[error("the meeting is not open now")]
    MeetingNotOpen,
    #[error("the consultation is completed or canceled")]
    ConsultationClosed,
    #[error("the consultation has begun; it is not canceled any more")]
    ConsultationBegun,
    #[error("the consultation lies ahead; it is completed once one can join it")]
    ConsultationAhead,
    #[error(
        "at most {} consultations can be booked ahead; cancel one first",
        Consultation::MOST_AHEAD
    )]
    TooManyBookings,
    #[error("the video room is being made; try again in a moment")]
    RoomNotReady,
    /// A vendor's callback came without a valid proof of its origin.
    #[error("the callback's signature is not valid")]
    BadSignature,
    #[error(transparent)]
    Forbidden(#[from] MissingPermission),
    #[error(transparent)]
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

    /// Another change came first: what that means depends on the aggregate.
    pub(crate) fn on_conflict(error: PortError, meaning: Self) -> Self {
        match error {
            PortError::Conflict(_) => meaning,
            other => Self::Port(other),
        }
    }
}

impl DomainError for CareError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Invalid(_) | Self::NoProtocol => ErrorKind::Invalid,
            Self::LicenseRequired(_)
            | Self::ProviderRequired
            | Self::PatientRequired
            | Self::OwnAccess
            | Self::FeatureNotIncluded(_)
            | Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::RevisionChanged { .. } => ErrorKind::PreconditionFailed,
            Self::BadSignature => ErrorKind::Unauthenticated,
            Self::ChartIsOpen
            | Self::AlreadyJudged
            | Self::ReviewAlreadyClaimed
            | Self::ReviewNotClaimed
            | Self::ReviewClosed
            | Self::ReviewChanged(_)
            | Self::ReviewSuperseded
            | Self::ReviewWaitsForPatient
            | Self::NothingAsked
            | Self::ProfileIncomplete
            | Self::PlanNotActive
            | Self::AlreadyTreated
            | Self::VisitRequired
            | Self::ProfileChanged
            | Self::NotTheActivePlan(_)
            | Self::RulesPublished
            | Self::RulesInForce
            | Self::RulesSuperseded(_)
            | Self::RulesChangedAtOnce
            | Self::SlotTaken
            | Self::MeetingNotOpen
            | Self::ConsultationClosed
            | Self::ConsultationBegun
            | Self::ConsultationAhead
            | Self::TooManyBookings
            | Self::RoomNotReady => ErrorKind::Conflict,
            Self::SettingChanged(_) => ErrorKind::PreconditionFailed,
            Self::PlanChanged(change) if change.named => ErrorKind::PreconditionFailed,
            Self::TaskChanged { named: true, .. } => ErrorKind::PreconditionFailed,
            Self::TaskDone | Self::TaskChanged { .. } => ErrorKind::Conflict,
            Self::PlanChanged(_) => ErrorKind::Conflict,
            Self::Port(error) => error.kind(),
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::ChartIsOpen => "care.chart_is_open",
            Self::AlreadyJudged => "care.already_judged",
            Self::OwnAccess => "care.own_access",
            Self::NotFound(_) => "care.not_found",
            Self::Invalid(_) => "care.invalid",
            Self::LicenseRequired(_) => "care.license_required",
            Self::ProviderRequired => "care.provider_required",
            Self::PatientRequired => "care.patient_required",
            Self::ReviewAlreadyClaimed => "care.review_already_claimed",
            Self::ReviewNotClaimed => "care.review_not_claimed",
            Self::ReviewWaitsForPatient => "care.review_waits_for_patient",
            Self::NothingAsked => "care.nothing_asked",
            Self::ReviewSuperseded => "care.review_superseded",
            Self::ReviewClosed => "care.review_closed",
            Self::ReviewChanged(_) => "care.review_changed",
            Self::NoProtocol => "care.no_protocol",
            Self::ProfileIncomplete => "care.profile_incomplete",
            Self::PlanNotActive => "care.plan_not_active",
            Self::AlreadyTreated => "care.already_treated",
            Self::VisitRequired => "care.visit_required",
            Self::ProfileChanged => "care.profile_changed",
            Self::NotTheActivePlan(_) => "care.not_the_active_plan",
            Self::SettingChanged(_) => "care.setting_changed",
            Self::PlanChanged(_) => "care.plan_changed",
            Self::TaskDone => "care.task_done",
            Self::TaskChanged { .. } => "care.task_changed",
            Self::RulesPublished => "care.rules_published",
            Self::RulesInForce => "care.rules_in_force",
            Self::RulesSuperseded(_) => "care.rules_superseded",
            Self::RulesChangedAtOnce => "care.rules_changed_at_once",
            Self::RevisionChanged { .. } => "care.revision_changed",
            Self::FeatureNotIncluded(_) => "subscriptions.feature_not_included",
            Self::SlotTaken => "care.slot_taken",
            Self::MeetingNotOpen => "care.meeting_not_open",
            Self::ConsultationClosed => "care.consultation_closed",
            Self::ConsultationBegun => "care.consultation_begun",
            Self::ConsultationAhead => "care.consultation_ahead",
            Self::TooManyBookings => "care.too_many_bookings",
            Self::RoomNotReady => "care.room_not_ready",
            Self::BadSignature => "care.bad_signature",
            Self::Forbidden(_) => "forbidden",
            Self::Port(error) => error.code(),
        }
    }

    fn fields(&self) -> &[FieldError] {
        match self {
            Self::Invalid(fields) => fields,
            Self::PlanChanged(change) => &change.fields,
            Self::ReviewChanged(change) => &change.fields,
            Self::SettingChanged(change) => &change.fields,
            Self::RevisionChanged { fields, .. } => fields,
            Self::Port(error) => error.fields(),
            _ => &[],
        }
    }
}
