use kernel::{DomainError, ErrorKind, FieldError, Misfit, actor::MissingPermission};
use ports::PortError;

use crate::StateWord;

#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    #[error("there is no such subscription")]
    NotFound,
    #[error("there is no such price")]
    PriceNotFound,
    #[error("an approved assessment in this category is needed first")]
    NotApproved,
    /// Nothing is left to be prescribed from: the plan has ended.
    #[error("an active treatment plan in this category is needed first; the last one has ended")]
    NotTreated,
    /// The plan does not sell what the patient is treated with.
    #[error("{}", misfit_in_words(*.0))]
    PlanDoesNotFit(Misfit),
    #[error(
        "every fill of the treatment plan in this category is used or paid for; \
         ask a provider to renew the treatment first"
    )]
    NoFillLeft,
    #[error(
        "the price is for {asked} months and the treatment plan has fills for {left}; \
         choose a shorter period or ask a provider to renew the treatment first"
    )]
    PeriodTooLong { asked: u32, left: u32 },
    /// Something speaks against sending what would be paid for.
    #[error(
        "the treatment in this category is stopped until a provider has looked at it; \
         nothing is charged meanwhile"
    )]
    TreatmentStopped,
    #[error("a payment method is needed first")]
    NoPaymentMethod,
    #[error("it was decided about the period already")]
    AlreadyDecided,
    #[error("there is already a subscription in this category")]
    AlreadySubscribed,
    #[error("only a patient can subscribe")]
    NotAPatient,
    #[error("the profile has no time zone yet")]
    NoTimeZone,
    #[error("the request is not valid")]
    Invalid(Vec<FieldError>),
    #[error("the terms of automatic renewal were not accepted as they stand")]
    ConsentMissing(Vec<FieldError>),
    #[error("a subscription that is {from} cannot become {to}")]
    WrongState { from: StateWord, to: StateWord },
    #[error("the period has not ended yet")]
    NotDue,
    #[error("the period lies outside the calendar")]
    OutOfCalendar,
    #[error(transparent)]
    Forbidden(#[from] MissingPermission),
    #[error(transparent)]
    Port(#[from] PortError),
}

fn misfit_in_words(misfit: Misfit) -> &'static str {
    match misfit {
        Misfit::NamesNone => "the plan names no treatment yet, so it cannot be bought",
        Misfit::OtherDrug => {
            "the plan pays for another drug than the active treatment; choose one that fits"
        }
        Misfit::OtherForm => {
            "the plan pays for another form of the drug than the active treatment; choose one \
             that fits"
        }
        Misfit::OtherDose => {
            "the plan pays for other doses than the active treatment has; choose one that fits"
        }
    }
}

impl From<FieldError> for SubscriptionError {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}

impl DomainError for SubscriptionError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::PriceNotFound
            | Self::Invalid(_)
            | Self::ConsentMissing(_)
            | Self::OutOfCalendar => ErrorKind::Invalid,
            Self::NotApproved
            | Self::NotTreated
            | Self::PlanDoesNotFit(_)
            | Self::NoFillLeft
            | Self::PeriodTooLong { .. }
            | Self::AlreadySubscribed
            | Self::TreatmentStopped
            | Self::NoPaymentMethod
            | Self::AlreadyDecided
            | Self::NoTimeZone
            | Self::WrongState { .. }
            | Self::NotDue => ErrorKind::Conflict,
            Self::NotAPatient | Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::Port(error) => error.kind(),
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::NotFound => "subscriptions.not_found",
            Self::PriceNotFound => "subscriptions.price_not_found",
            Self::NotApproved => "subscriptions.not_approved",
            Self::NotTreated => "subscriptions.not_treated",
            Self::PlanDoesNotFit(Misfit::NamesNone) => "subscriptions.plan_names_no_treatment",
            Self::PlanDoesNotFit(Misfit::OtherDrug) => "subscriptions.plan_of_another_drug",
            Self::PlanDoesNotFit(Misfit::OtherForm) => "subscriptions.plan_of_another_form",
            Self::PlanDoesNotFit(Misfit::OtherDose) => "subscriptions.plan_of_another_dose",
            Self::NoFillLeft => "subscriptions.no_fill_left",
            Self::PeriodTooLong { .. } => "subscriptions.period_too_long",
            Self::AlreadySubscribed => "subscriptions.already_subscribed",
            Self::TreatmentStopped => "subscriptions.treatment_stopped",
            Self::NoPaymentMethod => "subscriptions.no_payment_method",
            Self::AlreadyDecided => "subscriptions.already_decided",
            Self::NotAPatient => "subscriptions.not_a_patient",
            Self::NoTimeZone => "subscriptions.no_time_zone",
            Self::Invalid(_) => "subscriptions.invalid",
            Self::ConsentMissing(_) => "subscriptions.consent_missing",
            Self::WrongState { .. } => "subscriptions.wrong_state",
            Self::NotDue => "subscriptions.not_due",
            Self::OutOfCalendar => "subscriptions.out_of_calendar",
            Self::Forbidden(_) => "forbidden",
            Self::Port(error) => error.code(),
        }
    }

    fn fields(&self) -> &[FieldError] {
        match self {
            Self::Invalid(fields) | Self::ConsentMissing(fields) => fields,
            Self::Port(error) => error.fields(),
            _ => &[],
        }
    }
}
