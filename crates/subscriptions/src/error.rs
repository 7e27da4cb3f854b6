use kernel::{DomainError, FieldError, Misfit, actor::MissingPermission};
use ports::PortError;

use crate::StateWord;

#[derive(Debug, thiserror::Error, DomainError)]
pub enum SubscriptionError {
    #[error("there is no such subscription")]
    #[domain(NotFound, "subscriptions.not_found")]
    NotFound,
    #[error("there is no such price")]
    #[domain(Invalid, "subscriptions.price_not_found")]
    PriceNotFound,
    #[error("an approved assessment in this category is needed first")]
    #[domain(Conflict, "subscriptions.not_approved")]
    NotApproved,
    /// Nothing is left to be prescribed from: the plan has ended.
    #[error("an active treatment plan in this category is needed first; the last one has ended")]
    #[domain(Conflict, "subscriptions.not_treated")]
    NotTreated,
    #[error("the plan names no treatment yet, so it cannot be bought")]
    #[domain(Conflict, "subscriptions.plan_names_no_treatment")]
    PlanNamesNoTreatment,
    #[error("the plan pays for another drug than the active treatment; choose one that fits")]
    #[domain(Conflict, "subscriptions.plan_of_another_drug")]
    PlanOfAnotherDrug,
    #[error(
        "the plan pays for another form of the drug than the active treatment; choose one that fits"
    )]
    #[domain(Conflict, "subscriptions.plan_of_another_form")]
    PlanOfAnotherForm,
    #[error("the plan pays for other doses than the active treatment has; choose one that fits")]
    #[domain(Conflict, "subscriptions.plan_of_another_dose")]
    PlanOfAnotherDose,
    #[error(
        "every fill of the treatment plan in this category is used or paid for; \
         ask a provider to renew the treatment first"
    )]
    #[domain(Conflict, "subscriptions.no_fill_left")]
    NoFillLeft,
    #[error(
        "the price is for {asked} months and the treatment plan has fills for {left}; \
         choose a shorter period or ask a provider to renew the treatment first"
    )]
    #[domain(Conflict, "subscriptions.period_too_long")]
    PeriodTooLong { asked: u32, left: u32 },
    /// Something speaks against sending what would be paid for.
    #[error(
        "the treatment in this category is stopped until a provider has looked at it; \
         nothing is charged meanwhile"
    )]
    #[domain(Conflict, "subscriptions.treatment_stopped")]
    TreatmentStopped,
    #[error("a payment method is needed first")]
    #[domain(Conflict, "subscriptions.no_payment_method")]
    NoPaymentMethod,
    #[error("it was decided about the period already")]
    #[domain(Conflict, "subscriptions.already_decided")]
    AlreadyDecided,
    #[error("there is already a subscription in this category")]
    #[domain(Conflict, "subscriptions.already_subscribed")]
    AlreadySubscribed,
    #[error("only a patient can subscribe")]
    #[domain(Forbidden, "subscriptions.not_a_patient")]
    NotAPatient,
    #[error("the profile has no time zone yet")]
    #[domain(Conflict, "subscriptions.no_time_zone")]
    NoTimeZone,
    #[error("the request is not valid")]
    #[domain(Invalid, "subscriptions.invalid", fields)]
    Invalid(Vec<FieldError>),
    #[error("the terms of automatic renewal were not accepted as they stand")]
    #[domain(Invalid, "subscriptions.consent_missing", fields)]
    ConsentMissing(Vec<FieldError>),
    #[error("a subscription that is {from} cannot become {to}")]
    #[domain(Conflict, "subscriptions.wrong_state")]
    WrongState { from: StateWord, to: StateWord },
    #[error("the period has not ended yet")]
    #[domain(Conflict, "subscriptions.not_due")]
    NotDue,
    #[error("the period lies outside the calendar")]
    #[domain(Invalid, "subscriptions.out_of_calendar")]
    OutOfCalendar,
    #[error(transparent)]
    #[domain(Forbidden, "forbidden")]
    Forbidden(#[from] MissingPermission),
    #[error(transparent)]
    #[domain(transparent)]
    Port(#[from] PortError),
}

/// The plan does not pay for what the patient is treated with.
impl From<Misfit> for SubscriptionError {
    fn from(misfit: Misfit) -> Self {
        match misfit {
            Misfit::NamesNone => Self::PlanNamesNoTreatment,
            Misfit::OtherDrug => Self::PlanOfAnotherDrug,
            Misfit::OtherForm => Self::PlanOfAnotherForm,
            Misfit::OtherDose => Self::PlanOfAnotherDose,
        }
    }
}

impl From<FieldError> for SubscriptionError {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}
