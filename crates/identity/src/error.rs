use chrono::{DateTime, Utc};
use kernel::{DomainError, ErrorKind, FieldError, Role, actor::MissingPermission};
use ports::{Aggregate, PortError};

use crate::permissions::RoleGrant;

pub type Result<T, E = IdentityError> = std::result::Result<T, E>;

#[derive(Clone, Debug, thiserror::Error, DomainError)]
pub enum IdentityError {
    #[error("the input is not valid")]
    #[domain(Invalid, "identity.invalid", fields)]
    Invalid(Vec<FieldError>),
    /// The address is unknown, the password wrong or the account disabled;
    /// which of them is never said.
    #[error("the e-mail address or the password is wrong")]
    #[domain(Unauthenticated, "identity.wrong_credentials")]
    WrongCredentials,
    #[error("the e-mail address has not been verified yet")]
    #[domain(Forbidden, "identity.email_not_verified")]
    EmailNotVerified,
    #[error("the code or the passkey is not right")]
    #[domain(Unauthenticated, "identity.wrong_second_factor")]
    WrongSecondFactor,
    /// The roles of the account ask for a second factor that this session has
    /// not shown. Until then only setting one up is open.
    #[error("this account signs in with a second factor, which is to be set up first")]
    #[domain(Forbidden, "identity.second_factor_required")]
    SecondFactorRequired,
    /// The account has a factor that is proved to be the owner's, and this
    /// session has not shown one.
    #[error("sign in with the confirmed second factor to change how this account signs in")]
    #[domain(Forbidden, "identity.proved_factor_required")]
    ProvedFactorRequired,
    #[error(
        "this factor is suspended since the password was reset; \
         confirm it by the link that was mailed"
    )]
    #[domain(Forbidden, "identity.factor_suspended")]
    FactorSuspended,
    #[error("the sign-in was begun too long ago or is over; start again")]
    #[domain(Invalid, "identity.invalid_ceremony")]
    InvalidCeremony,
    #[error("the roles of this account ask for a second factor, and this is the last")]
    #[domain(Conflict, "identity.last_factor")]
    LastFactor,
    #[error("this is the last active account that may edit the permission matrix")]
    #[domain(Conflict, "identity.last_keeper")]
    LastKeeper,
    #[error("an active administrator exists, who invites others")]
    #[domain(Conflict, "identity.administrator_exists")]
    AdministratorExists,
    #[error("the client has two keys; withdraw the one that is no longer in use first")]
    #[domain(Conflict, "identity.too_many_keys")]
    TooManyKeys,
    #[error("this is the client's only key; add the one that follows it, or disable the client")]
    #[domain(Conflict, "identity.last_key")]
    LastKey,
    #[error("an authenticator app is set up already")]
    #[domain(Conflict, "identity.totp_exists")]
    TotpExists,
    #[error("no authenticator app waits to be confirmed")]
    #[domain(Conflict, "identity.no_totp")]
    NoTotp,
    #[error("passkeys are not to be had here: the public address is no name")]
    #[domain(Conflict, "identity.passkeys_unavailable")]
    PasskeysUnavailable,
    #[error(
        "this passkey says that it can no longer be synchronized, so it is not the one that was \
         registered; sign in another way and register it anew"
    )]
    #[domain(Forbidden, "identity.passkey_changed")]
    PasskeyChanged,
    #[error("this passkey is registered already")]
    #[domain(Conflict, "identity.passkey_exists")]
    PasskeyExists,
    #[error(transparent)]
    #[domain(transparent)]
    LoginLocked(#[from] Lockout),
    #[error("the access token is not valid or has expired")]
    #[domain(Unauthenticated, "identity.invalid_token")]
    InvalidToken,
    #[error("the session has ended")]
    #[domain(Unauthenticated, "identity.session_ended")]
    SessionEnded,
    #[error("the refresh token is not valid")]
    #[domain(Unauthenticated, "identity.invalid_refresh_token")]
    InvalidRefreshToken,
    #[error("the refresh token was used before, so its session has been ended")]
    #[domain(Unauthenticated, "identity.refresh_token_reused")]
    RefreshTokenReused,
    #[error("the link is not valid or has expired")]
    #[domain(Invalid, "identity.invalid_link")]
    InvalidLink,
    #[error("there is no such {0}")]
    #[domain(NotFound, "identity.not_found")]
    NotFound(&'static str),
    #[error("an account with this e-mail address exists")]
    #[domain(Conflict, "identity.account_exists")]
    AccountExists,
    /// Somebody else edited the role since it was read.
    #[error(
        "the role {role} was changed since it was read; at version {} it holds {} and inherits {}",
        grant.version,
        list(&grant.own),
        list(&grant.inherits)
    )]
    #[domain(PreconditionFailed, "identity.version_changed")]
    GrantChanged { role: Role, grant: Box<RoleGrant> },
    #[error("this {0} was changed since it was read")]
    #[domain(PreconditionFailed, "identity.version_changed")]
    VersionChanged(&'static str),
    #[error(transparent)]
    #[domain(Forbidden, "forbidden")]
    Forbidden(#[from] MissingPermission),
    #[error(transparent)]
    #[domain(transparent)]
    Port(#[from] PortError),
}

/// So many attempts have failed that the next ones are refused for a while.
#[derive(Clone, Debug, thiserror::Error)]
#[error("too many failed attempts; try again after {until}")]
pub struct Lockout {
    pub until: DateTime<Utc>,
    pub seconds: u64,
}

impl DomainError for Lockout {
    fn kind(&self) -> ErrorKind {
        ErrorKind::RateLimited
    }

    fn code(&self) -> &str {
        "identity.login_locked"
    }

    fn retry_after(&self) -> Option<u64> {
        Some(self.seconds)
    }
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
        Lockout { until, seconds }.into()
    }

    /// For what is not there, or not for the caller.
    pub(crate) fn no<A: Aggregate>() -> Self {
        PortError::not_found(A::NAME).into()
    }

    pub fn field(path: &str, code: &str, message: &str) -> Self {
        Self::Invalid(vec![FieldError::new(path, code, message)])
    }
}
