use api::{Body, Done, Enrolling, Problem, Tag, Text, Visitor};
use chrono::{DateTime, Utc};
use identity::{
    Services, TokenPair, access,
    login::{self, Login, PendingLogin},
    registration,
};
use kernel::text::Email;
use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json, types::Any};
use serde_json::Value;

use super::Accepted;

#[derive(Debug, Object)]
#[oai(example)]
struct RegisterRequest {
    /// The address that mails go to and that signs in.
    #[oai(validator(max_length = 320))]
    email: String,
    /// 12 to 128 characters, counted in the form NFKC, and not guessed soon.
    #[oai(validator(max_length = 512))]
    password: String,
}

impl poem_openapi::types::Example for RegisterRequest {
    fn example() -> Self {
        Self { email: "ada@example.com".to_owned(), password: "correct-horse battery".to_owned() }
    }
}

#[derive(Debug, Object)]
#[oai(example)]
struct LoginRequest {
    #[oai(validator(max_length = 320))]
    email: String,
    #[oai(validator(max_length = 512))]
    password: String,
}

impl poem_openapi::types::Example for LoginRequest {
    fn example() -> Self {
        Self { email: "ada@example.com".to_owned(), password: "correct-horse battery".to_owned() }
    }
}

#[derive(Debug, Object)]
#[oai(example)]
struct EmailRequest {
    email: Text<Email>,
}

impl poem_openapi::types::Example for EmailRequest {
    fn example() -> Self {
        Self { email: "ada@example.com".into() }
    }
}

#[derive(Debug, Object)]
#[oai(example)]
struct LinkRequest {
    /// The `token` of the link in the mail.
    #[oai(validator(max_length = 200))]
    token: String,
}

impl poem_openapi::types::Example for LinkRequest {
    fn example() -> Self {
        Self { token: "token-of-the-link".to_owned() }
    }
}

#[derive(Debug, Object)]
#[oai(example)]
struct ResetPasswordRequest {
    /// The `token` of the link in the mail.
    #[oai(validator(max_length = 200))]
    token: String,
    /// 12 to 128 characters, counted in the form NFKC, and not guessed soon.
    #[oai(validator(max_length = 512))]
    password: String,
}

impl poem_openapi::types::Example for ResetPasswordRequest {
    fn example() -> Self {
        Self { token: "token-of-the-link".to_owned(), password: "correct-horse battery".to_owned() }
    }
}

#[derive(Debug, Object)]
#[oai(example)]
struct RefreshRequest {
    /// The refresh token of the last login or refresh. It works once; using it
    /// again ends the session.
    #[oai(validator(max_length = 200))]
    refresh_token: String,
}

impl poem_openapi::types::Example for RefreshRequest {
    fn example() -> Self {
        Self { refresh_token: "token-of-the-last-answer".to_owned() }
    }
}

/// The tokens of a session.
#[derive(Debug, Object)]
pub struct SessionTokens {
    /// A JWT for the `Authorization: Bearer` header.
    access_token: String,
    /// Always `Bearer`.
    token_type: String,
    /// When the access token expires.
    expires_at: DateTime<Utc>,
    /// An opaque token that is good for one refresh.
    refresh_token: String,
    /// When the session ends unless it is refreshed before.
    refresh_expires_at: DateTime<Utc>,
    account_id: kernel::Uuid,
    roles: Vec<kernel::Role>,
}

impl From<TokenPair> for SessionTokens {
    fn from(pair: TokenPair) -> Self {
        Self {
            access_token: pair.access_token,
            token_type: "Bearer".to_owned(),
            expires_at: pair.expires_at,
            refresh_token: pair.refresh_token,
            refresh_expires_at: pair.refresh_expires_at,
            account_id: pair.account.uuid(),
            roles: pair.roles.into_iter().collect(),
        }
    }
}

/// A login that awaits its second factor.
#[derive(Debug, Object)]
pub struct SecondFactorView {
    /// Goes with the factor to `POST /api/auth/mfa/verify`, within ten minutes
    /// and at most five times.
    mfa_token: String,
    expires_at: DateTime<Utc>,
    /// An authenticator app shows codes for this account.
    totp: bool,
    /// WebAuthn's options for `navigator.credentials.get`, where the account
    /// has passkeys.
    #[oai(skip_serializing_if_is_none)]
    passkey: Option<Any<Value>>,
}

impl From<PendingLogin> for SecondFactorView {
    fn from(pending: PendingLogin) -> Self {
        Self {
            mfa_token: pending.token,
            expires_at: pending.expires_at,
            totp: pending.totp,
            passkey: pending.passkey.map(Any),
        }
    }
}

#[derive(ApiResponse)]
enum LoginAnswer {
    /// The session is open.
    #[oai(status = 200)]
    Open(Json<SessionTokens>),
    /// The password is right, and the account's second factor is awaited.
    #[oai(status = 202)]
    SecondFactor(Json<SecondFactorView>),
}

/// A permission that the caller holds.
#[derive(Debug, Object)]
struct PermissionView {
    /// A stable word, as in `billing.own`.
    name: String,
    /// What it allows, in a sentence.
    description: String,
}

/// What the caller may do.
#[derive(Debug, Object)]
struct AccessView {
    roles: Vec<kernel::Role>,
    permissions: Vec<PermissionView>,
    /// The granted SMART scopes, where the caller is an API client.
    scopes: Vec<String>,
}

impl From<access::Access> for AccessView {
    fn from(access: access::Access) -> Self {
        let permissions = access
            .permissions
            .into_iter()
            .map(|permission| PermissionView {
                name: permission.to_string(),
                description: permission.description().to_owned(),
            })
            .collect();
        Self {
            roles: access.roles.into_iter().collect(),
            permissions,
            scopes: access.scopes.into_iter().collect(),
        }
    }
}

pub struct AuthApi {
    pub services: Services,
}

#[OpenApi(tag = "Tag::Identity")]
impl AuthApi {
    /// Register
    ///
    /// Opens a patient's account and mails a link that proves the address. The
    /// answer does not tell whether the address had an account already.
    #[oai(path = "/api/auth/register", method = "post", operation_id = "register")]
    async fn register(
        &self,
        visitor: Visitor,
        body: Body<RegisterRequest>,
    ) -> Result<Accepted, Problem> {
        let RegisterRequest { email, password } = body.0;
        let request = visitor.actor().request.clone();
        registration::register(&self.services, request, &email, &password).await?;
        Ok(Accepted::Accepted)
    }

    /// Verify an address
    ///
    /// Proves an address by the token of the link that was mailed to it. The
    /// same answer comes where the link proved the address before.
    #[oai(path = "/api/auth/verify-email", method = "post", operation_id = "verifyEmail")]
    async fn verify_email(
        &self,
        visitor: Visitor,
        body: Body<LinkRequest>,
    ) -> Result<Done, Problem> {
        let request = visitor.actor().request.clone();
        registration::verify_email(&self.services, request, &body.0.token).await?;
        Ok(Done::Done)
    }

    /// Mail the verification link again
    ///
    /// At most once a minute for each address, and silent about whether the
    /// address has an account.
    #[oai(
        path = "/api/auth/resend-verification",
        method = "post",
        operation_id = "resendVerification"
    )]
    async fn resend_verification(
        &self,
        visitor: Visitor,
        body: Body<EmailRequest>,
    ) -> Result<Accepted, Problem> {
        let request = visitor.actor().request.clone();
        registration::resend_verification(&self.services, request, &body.0.email).await?;
        Ok(Accepted::Accepted)
    }

    /// Log in
    ///
    /// Opens a session, or answers 202 where the account has a second factor.
    /// After five failures an address is locked to the network that they came
    /// from for a minute, and twice as long after each further one, up to an
    /// hour; `Retry-After` tells how long. Networks that the address has not
    /// signed in from before share a further count of twenty failures.
    ///
    /// Where the account's roles ask for a second factor that it does not have
    /// yet, the session is good for setting one up and for nothing else: every
    /// other operation answers 403 `identity.second_factor_required`.
    #[oai(path = "/api/auth/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        visitor: Visitor,
        body: Body<LoginRequest>,
    ) -> Result<LoginAnswer, Problem> {
        let LoginRequest { email, password } = body.0;
        let request = visitor.actor().request.clone();
        Ok(match login::login(&self.services, request, &email, &password).await? {
            Login::Open(pair) => LoginAnswer::Open(Json(pair.into())),
            Login::SecondFactor(pending) => LoginAnswer::SecondFactor(Json(pending.into())),
        })
    }

    /// Refresh the session
    ///
    /// Exchanges the refresh token for a new pair. A refresh token that comes
    /// back after its use ends the whole session, without a grace period, so a
    /// client refreshes in one place at a time.
    #[oai(path = "/api/auth/session-refresh", method = "post", operation_id = "refreshSession")]
    async fn refresh(
        &self,
        visitor: Visitor,
        body: Body<RefreshRequest>,
    ) -> Result<Json<SessionTokens>, Problem> {
        let request = visitor.actor().request.clone();
        let pair = login::refresh(&self.services, request, &body.0.refresh_token).await?;
        Ok(Json(pair.into()))
    }

    /// Log out
    ///
    /// Ends the session; its access and refresh tokens stop working at once.
    #[oai(path = "/api/auth/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, caller: Enrolling) -> Result<Done, Problem> {
        login::logout(&self.services, caller.actor()).await?;
        Ok(Done::Done)
    }

    /// Read one's own permissions
    ///
    /// The caller's roles, permissions and scopes as they are now.
    #[oai(path = "/api/auth/permissions", method = "get", operation_id = "ownPermissions")]
    async fn permissions(&self, caller: Enrolling) -> Result<Json<AccessView>, Problem> {
        Ok(Json(access::access_of(caller.actor()).into()))
    }

    /// Ask for a new password
    ///
    /// Mails a link to choose a new password, and is silent about whether the
    /// address has an account.
    #[oai(path = "/api/auth/forgot-password", method = "post", operation_id = "forgotPassword")]
    async fn forgot_password(
        &self,
        visitor: Visitor,
        body: Body<EmailRequest>,
    ) -> Result<Accepted, Problem> {
        let request = visitor.actor().request.clone();
        registration::forgot_password(&self.services, request, &body.0.email).await?;
        Ok(Accepted::Accepted)
    }

    /// Choose a new password
    ///
    /// Sets the password by the token of a mailed link, a reset's or an
    /// invitation's, and ends every session of the account.
    #[oai(path = "/api/auth/reset-password", method = "post", operation_id = "resetPassword")]
    async fn reset_password(
        &self,
        visitor: Visitor,
        body: Body<ResetPasswordRequest>,
    ) -> Result<Done, Problem> {
        let ResetPasswordRequest { token, password } = body.0;
        let request = visitor.actor().request.clone();
        registration::reset_password(&self.services, request, &token, &password).await?;
        Ok(Done::Done)
    }
}
