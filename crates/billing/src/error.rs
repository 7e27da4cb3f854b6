use kernel::{DomainError, ErrorKind, FieldError, actor::MissingPermission, money::MoneyError};
use ports::PortError;

use crate::gateway::Decline;

/// What can be wrong in billing.
#[derive(Debug, thiserror::Error)]
pub enum BillingError {
    /// It does not exist, or not for this actor.
    #[error("the {0} was not found")]
    NotFound(&'static str),
    #[error("an invoice that is {0} does not allow this")]
    InvoiceState(&'static str),
    #[error("a payment that is {0} does not allow this")]
    PaymentState(&'static str),
    #[error("a payment method that is {0} does not allow this")]
    PaymentMethodState(&'static str),
    /// The card network refused the card when it was added.
    #[error("the card was declined: {}", .decline.message)]
    CardDeclined { decline: Decline, fields: Vec<FieldError> },
    #[error("the input is not valid")]
    Invalid(Vec<FieldError>),
    /// A subscription runs or an invoice is owed, and this is the only method
    /// that can pay for it.
    #[error(
        "a running subscription or an open invoice needs this payment method; add another one first"
    )]
    PaymentMethodNeeded,
    #[error("the task is done already")]
    TaskDone,
    #[error("only a patient has payment methods")]
    NotAPatient,
    #[error("the amounts do not fit together: {0}")]
    Money(#[from] MoneyError),
    #[error(transparent)]
    Forbidden(#[from] MissingPermission),
    #[error(transparent)]
    Port(#[from] PortError),
}

impl From<FieldError> for BillingError {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}

impl BillingError {
    /// One field at fault.
    pub fn field(path: &str, code: &str, message: &str) -> Self {
        Self::Invalid(vec![FieldError::new(path, code, message)])
    }

    pub fn card_declined(decline: Decline) -> Self {
        let fields = vec![FieldError::new(
            "payment_method",
            decline.code.clone(),
            "The card was declined. Please use another one.",
        )];
        Self::CardDeclined { decline, fields }
    }
}

impl DomainError for BillingError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::InvoiceState(_)
            | Self::PaymentState(_)
            | Self::PaymentMethodState(_)
            | Self::PaymentMethodNeeded
            | Self::TaskDone => ErrorKind::Conflict,
            Self::CardDeclined { .. } | Self::Invalid(_) => ErrorKind::Invalid,
            Self::NotAPatient => ErrorKind::Forbidden,
            Self::Money(_) => ErrorKind::Internal,
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::Port(error) => error.kind(),
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::NotFound(_) => "billing.not_found",
            Self::InvoiceState(_) => "billing.invoice_state",
            Self::PaymentState(_) => "billing.payment_state",
            Self::PaymentMethodState(_) => "billing.payment_method_state",
            Self::CardDeclined { .. } => "billing.card_declined",
            Self::Invalid(_) => "billing.invalid",
            Self::PaymentMethodNeeded => "billing.payment_method_needed",
            Self::TaskDone => "billing.task_done",
            Self::NotAPatient => "billing.not_a_patient",
            Self::Money(_) => "billing.amounts",
            Self::Forbidden(_) => "forbidden",
            Self::Port(error) => error.code(),
        }
    }

    fn fields(&self) -> &[FieldError] {
        match self {
            Self::CardDeclined { fields, .. } | Self::Invalid(fields) => fields,
            Self::Port(error) => error.fields(),
            _ => &[],
        }
    }
}
