use api::{Answer, Body, Done, Enrolling, Mirror, Result, Tag, Text, Visitor};
use chrono::{DateTime, Utc};
use identity::{
    Services, TokenPair, access,
    login::{self, Login, PendingLogin},
    registration,
};
use kernel::{AccountId, Permission, Role, text::Email};
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

api::example!(RegisterRequest {
    email: "ada@example.com".to_owned(),
    password: "correct-horse battery".to_owned()
});

#[derive(Debug, Object)]
#[oai(example)]
struct LoginRequest {
    #[oai(validator(max_length = 320))]
    email: String,
    #[oai(validator(max_length = 512))]
    password: String,
}

api::example!(LoginRequest {
    email: "ada@example.com".to_owned(),
    password: "correct-horse battery".to_owned()
});

#[derive(Debug, Object)]
#[oai(example)]
struct EmailRequest {
    email: Text<Email>,
}

api::example!(EmailRequest { email: "ada@example.com".into() });

#[derive(Debug, Object)]
#[oai(example)]
pub struct LinkRequest {
    /// The `token` of the link in the mail.
    #[oai(validator(max_length = 200))]
    pub token: String,
}

api::example!(LinkRequest { token: "token-of-the-link".to_owned() });

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

api::example!(ResetPasswordRequest {
    token: "token-of-the-link".to_owned(),
    password: "correct-horse battery".to_owned()
});

#[derive(Debug, Object)]
#[oai(example)]
struct RefreshRequest {
    /// The refresh token of the last login or refresh. It works once; using it
    /// again ends the session.
    #[oai(validator(max_length = 200))]
    refresh_token: String,
}

api::example!(RefreshRequest { refresh_token: "token-of-the-last-answer".to_owned() });

/// The tokens of a session.
#[derive(Debug, Object, Mirror)]
#[mirror(from = TokenPair)]
pub struct SessionTokens {
    /// A JWT for the `Authorization: Bearer` header.
    access_token: String,
    /// Always `Bearer`.
    #[mirror(|_| "Bearer".to_owned())]
    token_type: String,
    /// When the access token expires.
    expires_at: DateTime<Utc>,
    /// An opaque token that is good for one refresh.
    refresh_token: String,
    /// When the session ends unless it is refreshed before.
    refresh_expires_at: DateTime<Utc>,
    account_id: AccountId,
    roles: Vec<Role>,
}

/// A login that awaits its second factor.
#[derive(Debug, Object, Mirror)]
#[mirror(from = PendingLogin)]
pub struct SecondFactorView {
    /// Goes with the factor to `POST /api/auth/mfa/verify`, within ten minutes
    /// and at most five times.
    #[mirror(token)]
    mfa_token: String,
    expires_at: DateTime<Utc>,
    /// An authenticator app shows codes for this account.
    totp: bool,
    /// WebAuthn's options for `navigator.credentials.get`, where the account
    /// has passkeys.
    #[oai(skip_serializing_if_is_none)]
    #[mirror(|pending| pending.passkey.clone().map(Any))]
    passkey: Option<Any<Value>>,
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

/// A permission, and what it allows.
#[derive(Debug, Object)]
pub struct PermissionView {
    /// A stable word, as in `billing.own`.
    name: String,
    /// What it allows, in a sentence.
    description: String,
}

impl From<Permission> for PermissionView {
    fn from(permission: Permission) -> Self {
        let description = permission.description().to_owned();
        Self { name: permission.to_string(), description }
    }
}

/// What the caller may do.
#[derive(Debug, Object, Mirror)]
#[mirror(from = access::Access)]
struct AccessView {
    roles: Vec<Role>,
    permissions: Vec<PermissionView>,
    /// The granted SMART scopes, where the caller is an API client.
    scopes: Vec<String>,
}

pub struct AuthApi(pub Services);

#[OpenApi(tag = "Tag::Identity")]
impl AuthApi {
    /// Register
    ///
    /// Opens a patient's account and mails a link that proves the address. The
    /// answer does not tell whether the address had an account already.
    #[oai(path = "/api/auth/register", method = "post", operation_id = "register")]
    async fn register(&self, visitor: Visitor, body: Body<RegisterRequest>) -> Result<Accepted> {
        let RegisterRequest { email, password } = body.0;
        registration::register(&self.0, visitor.request(), &email, &password).await?;
        Ok(Accepted::Accepted)
    }

    /// Verify an address
    ///
    /// Proves an address by the token of the link that was mailed to it. The
    /// same answer comes where the link proved the address before.
    #[oai(path = "/api/auth/verify-email", method = "post", operation_id = "verifyEmail")]
    async fn verify(&self, visitor: Visitor, body: Body<LinkRequest>) -> Result<Done> {
        registration::verify_email(&self.0, visitor.request(), &body.0.token).await?;
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
    async fn resend(&self, visitor: Visitor, body: Body<EmailRequest>) -> Result<Accepted> {
        registration::resend_verification(&self.0, visitor.request(), &body.0.email).await?;
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
    async fn login(&self, visitor: Visitor, body: Body<LoginRequest>) -> Result<LoginAnswer> {
        let LoginRequest { email, password } = body.0;
        Ok(match login::login(&self.0, visitor.request(), &email, &password).await? {
            Login::Open(pair) => LoginAnswer::Open(Json(pair.into())),
            Login::SecondFactor(pending) => LoginAnswer::SecondFactor(Json(pending.into())),
        })
    }

    /// Refresh the session
    ///
    /// Exchanges the refresh token for a new pair. A refresh token that is used
    /// twice ends the whole session, without a grace period, so a client
    /// refreshes in one place at a time.
    #[oai(path = "/api/auth/session-refresh", method = "post", operation_id = "refreshSession")]
    async fn refresh(&self, visitor: Visitor, body: Body<RefreshRequest>) -> Answer<SessionTokens> {
        let token = &body.0.refresh_token;
        Ok(Json(login::refresh(&self.0, visitor.request(), token).await?.into()))
    }

    /// Log out
    ///
    /// Ends the session; its access and refresh tokens stop working at once.
    #[oai(path = "/api/auth/logout", method = "post", operation_id = "logout")]
    async fn logout(&self, caller: Enrolling) -> Result<Done> {
        login::logout(&self.0, caller.actor()).await?;
        Ok(Done::Done)
    }

    /// Read one's own permissions
    ///
    /// The caller's roles, permissions and scopes as they are now.
    #[oai(path = "/api/auth/permissions", method = "get", operation_id = "ownPermissions")]
    async fn permissions(&self, caller: Enrolling) -> Answer<AccessView> {
        Ok(Json(access::access_of(caller.actor()).into()))
    }

    /// Ask for a new password
    ///
    /// Mails a link to choose a new password, and is silent about whether the
    /// address has an account.
    #[oai(path = "/api/auth/forgot-password", method = "post", operation_id = "forgotPassword")]
    async fn forgot(&self, visitor: Visitor, body: Body<EmailRequest>) -> Result<Accepted> {
        registration::forgot_password(&self.0, visitor.request(), &body.0.email).await?;
        Ok(Accepted::Accepted)
    }

    /// Choose a new password
    ///
    /// Sets the password by the token of a mailed link, a reset's or an
    /// invitation's, and ends every session of the account.
    #[oai(path = "/api/auth/reset-password", method = "post", operation_id = "resetPassword")]
    async fn reset(&self, visitor: Visitor, body: Body<ResetPasswordRequest>) -> Result<Done> {
        let ResetPasswordRequest { token, password } = body.0;
        registration::reset_password(&self.0, visitor.request(), &token, &password).await?;
        Ok(Done::Done)
    }
}
