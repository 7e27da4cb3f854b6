//! What communication needs from outside: who treats whom, whom to write to,
//! the links of signing in, and a mail server.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use kernel::{AccountId, EmailAddress, PatientId, ProviderId, SubscriptionId, Uuid};
use ports::Result;

/// Who may write to whom. Care answers it from the provider's panel.
#[async_trait]
pub trait CareTeam: Send + Sync {
    /// Whether the provider belongs to the patient's care team now. An account
    /// that does not exist belongs to none.
    async fn includes(&self, patient: PatientId, provider: ProviderId) -> Result<bool>;

    /// Whether the subscription is one of the patient's.
    async fn subscribed(&self, patient: PatientId, subscription: SubscriptionId) -> Result<bool>;
}

/// How a person is reached. It is asked for when a mail is sent, so that an
/// address which changed in between is the new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    pub email: EmailAddress,
    /// The only personal word that a mail may carry; `None` before a profile
    /// exists.
    pub first_name: Option<String>,
    pub zone: Tz,
    /// A BCP 47 tag, as in `en-US`.
    pub locale: String,
}

#[async_trait]
pub trait Recipients: Send + Sync {
    /// `None` where the account does not exist or is closed.
    async fn recipient(&self, account: AccountId) -> Result<Option<Recipient>>;
}

/// Links that let someone in. They are made when a mail is rendered and are
/// stored nowhere, so that a copy of the database opens no account.
///
/// A mail whose outcome was unknown is rendered again, and its receiver keeps
/// whichever copy came first: an earlier link of an account must therefore
/// stay good until it expires or one of them is used.
#[async_trait]
pub trait SignInLinks: Send + Sync {
    /// The link that verifies the account's address; `None` where there is
    /// nothing left to verify.
    async fn verification_link(&self, account: AccountId) -> Result<Option<String>>;

    /// The link under which a new password is set; `None` where the account
    /// has none to set.
    async fn reset_link(&self, account: AccountId) -> Result<Option<String>>;

    /// The new address of an account and the link that proves it, which goes
    /// there; `None` where no change waits.
    async fn new_address(&self, account: AccountId) -> Result<Option<(EmailAddress, String)>>;

    /// The link that proves a second factor; `None` where it is proved or gone.
    async fn factor_link(&self, account: AccountId, factor: Uuid) -> Result<Option<String>>;

    /// The address that the account was left from; `None` where it never was.
    async fn previous_address(&self, account: AccountId) -> Result<Option<EmailAddress>>;
}

/// A mail, ready to go out.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Without the angle brackets. Equal for every attempt of one mail, so
    /// that a receiver keeps one of them.
    pub message_id: String,
    pub to: EmailAddress,
    pub to_name: Option<String>,
    pub date: DateTime<Utc>,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// Where the recipient switches such mails off; `None` where they cannot.
    pub unsubscribe: Option<String>,
}

impl std::fmt::Debug for Mail {
    /// A mail may carry a link that lets someone in, so only its id is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mail({})", self.message_id)
    }
}

/// Hands a mail to a mail server.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Returns once the server has taken responsibility for the mail.
    ///
    /// # Errors
    /// - `Refused` with the code [`RECIPIENT_REFUSED`]: the server knows no
    ///   such mailbox; the address is not to be tried again.
    /// - `Refused` with any other code: it will not take this mail.
    /// - `Unavailable`: nothing was handed over; try again later.
    /// - `Unknown`: the mail was handed over but not acknowledged. Try again
    ///   with the same `message_id`.
    async fn send(&self, mail: &Mail) -> Result<()>;

    /// Whether the server takes addresses beyond ASCII (RFC 6531).
    async fn takes_international(&self) -> Result<bool>;
}

/// The code of a refusal that concerns the address and not the mail.
pub const RECIPIENT_REFUSED: &str = "recipient_refused";
