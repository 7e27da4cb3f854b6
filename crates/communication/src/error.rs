use kernel::{DomainError, ErrorKind, FieldError, PageRequest, Uuid, actor::MissingPermission};
use ports::PortError;

/// How a use case of communication fails.
#[derive(Debug, thiserror::Error)]
pub enum CommunicationError {
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Forbidden(#[from] MissingPermission),
    #[error("the {0} does not exist")]
    NotFound(&'static str),
    /// Patient and provider do not treat each other, or not any more. It is
    /// told apart from an unknown account to nobody.
    #[error("the recipient cannot be written to")]
    RecipientNotFound,
    #[error("the input is not valid")]
    Invalid(Vec<FieldError>),
    #[error("only the recipient marks a message as read")]
    NotTheRecipient,
    #[error("a notification of this channel cannot be marked as read")]
    NotReadable,
    #[error("rendering {template}: {cause}")]
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

impl DomainError for CommunicationError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Port(error) => error.kind(),
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::NotFound(_) | Self::RecipientNotFound => ErrorKind::NotFound,
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::NotTheRecipient | Self::NotReadable => ErrorKind::Conflict,
            Self::Template { .. } => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Port(error) => error.code(),
            Self::Forbidden(_) => "forbidden",
            Self::NotFound(_) => "communication.not_found",
            Self::RecipientNotFound => "communication.recipient_not_found",
            Self::Invalid(_) => "communication.invalid",
            Self::NotTheRecipient => "communication.not_the_recipient",
            Self::NotReadable => "communication.not_readable",
            Self::Template { .. } => "communication.template",
        }
    }

    fn fields(&self) -> &[FieldError] {
        match self {
            Self::Invalid(fields) => fields,
            Self::Port(error) => error.fields(),
            _ => &[],
        }
    }
}
