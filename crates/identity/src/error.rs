use chrono::{DateTime, Utc};
use kernel::{DomainError, ErrorKind, FieldError, Role, actor::MissingPermission};
use ports::PortError;

use crate::permissions::RoleGrant;

pub type Result<T, E = IdentityError> = std::result::Result<T, E>;

#[derive(Clone, Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("the input is not valid")]
    Invalid(Vec<FieldError>),
    /// The address is unknown, the password wrong or the account disabled;
    /// which of them is never said.
    #[error("the e-mail address or the password is wrong")]
    WrongCredentials,
    #[error("the e-mail address has not been verified yet")]
    EmailNotVerified,
    #[error("the code or the passkey is not right")]
    WrongSecondFactor,
    /// The roles of the account ask for a second factor that this session has
    /// not shown. Until then only setting one up is open.
    #[error("this account signs in with a second factor, which is to be set up first")]
    SecondFactorRequired,
    /// The account has a factor that is proved to be the owner's, and this
    /// session has not shown one.
    #[error("sign in with the confirmed second factor to change how this account signs in")]
    ProvedFactorRequired,
    #[error(
        "this factor is suspended since the password was reset; \
         confirm it by the link that was mailed"
    )]
    FactorSuspended,
    #[error("the sign-in was begun too long ago or is over; start again")]
    InvalidCeremony,
    #[error("the roles of this account ask for a second factor, and this is the last")]
    LastFactor,
    #[error("this is the last active account that may edit the permission matrix")]
    LastKeeper,
    #[error("an active administrator exists, who invites others")]
    AdministratorExists,
    #[error("the client has two keys; withdraw the one that is no longer in use first")]
    TooManyKeys,
    #[error("this is the client's only key; add the one that follows it, or disable the client")]
    LastKey,
    #[error("an authenticator app is set up already")]
    TotpExists,
    #[error("no authenticator app waits to be confirmed")]
    NoTotp,
    #[error("passkeys are not to be had here: the public address is no name")]
    PasskeysUnavailable,
    #[error(
        "this passkey says that it can no longer be synchronized, so it is not the one that was \
         registered; sign in another way and register it anew"
    )]
    PasskeyChanged,
    #[error("this passkey is registered already")]
    PasskeyExists,
    #[error("too many failed attempts; try again after {until}")]
    LoginLocked { until: DateTime<Utc>, seconds: u64 },
    #[error("the access token is not valid or has expired")]
    InvalidToken,
    #[error("the session has ended")]
    SessionEnded,
    #[error("the refresh token is not valid")]
    InvalidRefreshToken,
    #[error("the refresh token was used before, so its session has been ended")]
    RefreshTokenReused,
    #[error("the link is not valid or has expired")]
    InvalidLink,
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("an account with this e-mail address exists")]
    AccountExists,
    /// Somebody else edited the role since it was read.
    #[error(
        "the role {role} was changed since it was read; at version {} it holds {} and inherits {}",
        grant.version,
        list(&grant.own),
        list(&grant.inherits)
    )]
    GrantChanged { role: Role, grant: Box<RoleGrant> },
    #[error("this {0} was changed since it was read")]
    VersionChanged(&'static str),
    #[error(transparent)]
    Forbidden(#[from] MissingPermission),
    #[error(transparent)]
    Port(#[from] PortError),
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

impl From<FieldError> for IdentityError {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}

impl IdentityError {
    pub(crate) fn locked(until: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        // Rounded up, so that whoever waits as long finds it open.
        let seconds = (until - now).num_milliseconds().max(0).unsigned_abs().div_ceil(1000).max(1);
        Self::LoginLocked { until, seconds }
    }

    pub fn field(path: &str, code: &str, message: &str) -> Self {
        Self::Invalid(vec![FieldError::new(path, code, message)])
    }
}

impl DomainError for IdentityError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::InvalidLink | Self::InvalidCeremony => ErrorKind::Invalid,
            Self::WrongCredentials
            | Self::WrongSecondFactor
            | Self::InvalidToken
            | Self::SessionEnded
            | Self::InvalidRefreshToken
            | Self::RefreshTokenReused => ErrorKind::Unauthenticated,
            Self::EmailNotVerified
            | Self::SecondFactorRequired
            | Self::ProvedFactorRequired
            | Self::FactorSuspended
            | Self::PasskeyChanged
            | Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::LoginLocked { .. } => ErrorKind::RateLimited,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::AccountExists
            | Self::AdministratorExists
            | Self::TooManyKeys
            | Self::LastKey
            | Self::LastFactor
            | Self::LastKeeper
            | Self::TotpExists
            | Self::NoTotp
            | Self::PasskeysUnavailable
            | Self::PasskeyExists => ErrorKind::Conflict,
            Self::VersionChanged(_) | Self::GrantChanged { .. } => ErrorKind::PreconditionFailed,
            Self::Port(error) => error.kind(),
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Invalid(_) => "identity.invalid",
            Self::WrongCredentials => "identity.wrong_credentials",
            Self::EmailNotVerified => "identity.email_not_verified",
            Self::WrongSecondFactor => "identity.wrong_second_factor",
            Self::SecondFactorRequired => "identity.second_factor_required",
            Self::ProvedFactorRequired => "identity.proved_factor_required",
            Self::FactorSuspended => "identity.factor_suspended",
            Self::InvalidCeremony => "identity.invalid_ceremony",
            Self::LastFactor => "identity.last_factor",
            Self::LastKeeper => "identity.last_keeper",
            Self::AdministratorExists => "identity.administrator_exists",
            Self::TooManyKeys => "identity.too_many_keys",
            Self::LastKey => "identity.last_key",
            Self::TotpExists => "identity.totp_exists",
            Self::NoTotp => "identity.no_totp",
            Self::PasskeysUnavailable => "identity.passkeys_unavailable",
            Self::PasskeyChanged => "identity.passkey_changed",
            Self::PasskeyExists => "identity.passkey_exists",
            Self::LoginLocked { .. } => "identity.login_locked",
            Self::InvalidToken => "identity.invalid_token",
            Self::SessionEnded => "identity.session_ended",
            Self::InvalidRefreshToken => "identity.invalid_refresh_token",
            Self::RefreshTokenReused => "identity.refresh_token_reused",
            Self::InvalidLink => "identity.invalid_link",
            Self::NotFound(_) => "identity.not_found",
            Self::AccountExists => "identity.account_exists",
            Self::VersionChanged(_) | Self::GrantChanged { .. } => "identity.version_changed",
            Self::Forbidden(_) => "forbidden",
            Self::Port(error) => error.code(),
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::LoginLocked { seconds, .. } => Some(*seconds),
            _ => None,
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
