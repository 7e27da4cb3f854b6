use kernel::{DomainError, FieldError, PageRequest, Uuid, actor::MissingPermission};
use ports::PortError;

/// How a use case of communication fails.
#[derive(Debug, thiserror::Error, DomainError)]
pub enum CommunicationError {
    #[error(transparent)]
    #[domain(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    #[domain(Forbidden, "forbidden")]
    Forbidden(#[from] MissingPermission),
    /// Patient and provider do not treat each other, or not any more. It is
    /// told apart from an unknown account to nobody.
    #[error("the recipient cannot be written to")]
    #[domain(NotFound, "communication.recipient_not_found")]
    RecipientNotFound,
    #[error("the input is not valid")]
    #[domain(Invalid, "communication.invalid", fields)]
    Invalid(Vec<FieldError>),
    #[error("only the recipient marks a message as read")]
    #[domain(Conflict, "communication.not_the_recipient")]
    NotTheRecipient,
    #[error("a notification of this channel cannot be marked as read")]
    #[domain(Conflict, "communication.not_readable")]
    NotReadable,
    #[error("rendering {template}: {cause}")]
    #[domain(Internal, "communication.template")]
    Template { template: String, cause: String },
}

impl From<FieldError> for CommunicationError {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}

impl CommunicationError {
    pub fn invalid(
        path: impl Into<String>,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::Invalid(vec![FieldError::new(path, code, message)])
    }
}

/// A cursor is the id of the last row of the page before; anything else is
/// refused before it reaches the store.
pub(crate) fn check_cursor(page: &PageRequest) -> Result<(), CommunicationError> {
    match page.cursor.as_deref().map(str::parse::<Uuid>) {
        Some(Err(_)) => Err(CommunicationError::invalid(
            "cursor",
            "invalid",
            "Pass the cursor as the page before gave it.",
        )),
        _ => Ok(()),
    }
}
