use api::{Body, Done, Enrolling, Problem, Tag, Text, Visitor};
use chrono::{DateTime, Utc};
use identity::{
    IdentityError, Services, Standing, confirmation,
    factor::{Proof, RecoveryCode},
    login, passkeys, second_factor,
};
use kernel::Uuid;
use kernel::text::PasskeyName;
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json, types::Any};
use serde_json::Value;

use super::{Accepted, auth::SessionTokens};

/// A change of how one signs in asks for the password again.
#[derive(Debug, Object)]
#[oai(example)]
struct PasswordRequest {
    #[oai(validator(max_length = 512))]
    password: String,
}

impl poem_openapi::types::Example for PasswordRequest {
    fn example() -> Self {
        Self { password: "correct-horse battery".into() }
    }
}

/// What an authenticator app is set up with, shown this once.
#[derive(Debug, Object)]
struct TotpSetupView {
    /// The secret in Base32, to be typed where no camera is.
    secret: String,
    /// An `otpauth` address, to be shown as a QR code.
    otpauth_url: String,
}

#[derive(Debug, Object)]
#[oai(example)]
struct CodeRequest {
    /// The six digits that the authenticator app shows.
    #[oai(validator(max_length = 20))]
    code: String,
}

impl poem_openapi::types::Example for CodeRequest {
    fn example() -> Self {
        Self { code: "287082".into() }
    }
}

/// Codes that stand in for the second factor, each once.
#[derive(Debug, Object)]
struct RecoveryCodesView {
    /// Shown this once; empty where the account has codes already.
    recovery_codes: Vec<String>,
}

fn shown(codes: Vec<RecoveryCode>) -> Vec<String> {
    codes.iter().map(RecoveryCode::to_text).collect()
}

/// A passkey of the account.
#[derive(Debug, Object)]
struct PasskeyView {
    id: Uuid,
    /// What its owner calls it.
    name: String,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
    standing: StandingWord,
}

/// How far a factor is proved to be the owner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum StandingWord {
    /// It outlives a password reset.
    Proved,
    /// It works; a password reset suspends it until the link of the mail about
    /// it is followed.
    Unconfirmed,
    /// A password reset has switched it off until its link is followed.
    Suspended,
}

impl From<Standing> for StandingWord {
    fn from(standing: Standing) -> Self {
        match (standing.is_proved(), standing.is_active()) {
            (true, _) => Self::Proved,
            (false, true) => Self::Unconfirmed,
            (false, false) => Self::Suspended,
        }
    }
}

impl From<identity::passkey::Passkey> for PasskeyView {
    fn from(passkey: identity::passkey::Passkey) -> Self {
        Self {
            id: passkey.id.uuid(),
            name: passkey.name,
            created_at: passkey.created_at,
            last_used_at: passkey.last_used_at,
            standing: passkey.standing.into(),
        }
    }
}

/// What the account signs in with.
#[derive(Debug, Object)]
struct FactorsView {
    /// The account's roles ask for a second factor.
    required: bool,
    /// How this session was signed in.
    method: identity::session::SignInMethod,
    /// Since when an authenticator app is set up.
    totp_since: Option<DateTime<Utc>>,
    totp_standing: Option<StandingWord>,
    passkeys: Vec<PasskeyView>,
    recovery_codes_left: u64,
}

#[derive(Debug, Object)]
#[oai(example)]
struct ConfirmFactorRequest {
    /// The `token` of the link in the mail.
    #[oai(validator(max_length = 200))]
    token: String,
}

impl poem_openapi::types::Example for ConfirmFactorRequest {
    fn example() -> Self {
        Self { token: "token-of-the-link".into() }
    }
}

/// Exactly one of `code`, `recovery_code` and `passkey`.
#[derive(Debug, Object)]
#[oai(example)]
struct VerifyRequest {
    /// From the answer to the login.
    #[oai(validator(max_length = 200))]
    mfa_token: String,
    /// The six digits that the authenticator app shows.
    #[oai(validator(max_length = 20))]
    code: Option<String>,
    #[oai(validator(max_length = 40))]
    recovery_code: Option<String>,
    /// The credential of `navigator.credentials.get`, as JSON.
    passkey: Option<Any<Value>>,
}

impl poem_openapi::types::Example for VerifyRequest {
    fn example() -> Self {
        Self {
            mfa_token: "y0cZ3mJ6o1rC4vTn8sVwq2h5k7LxPbEaRdGuIfMtNjQ".into(),
            code: Some("287082".into()),
            recovery_code: None,
            passkey: None,
        }
    }
}

fn proof(request: &mut VerifyRequest) -> Result<Proof, Problem> {
    match (request.code.take(), request.recovery_code.take(), request.passkey.take()) {
        (Some(code), None, None) => Ok(Proof::Totp(code)),
        (None, Some(code), None) => Ok(Proof::RecoveryCode(code)),
        (None, None, Some(Any(answer))) => Ok(Proof::Passkey(answer)),
        _ => {
            let message = "Give exactly one of code, recovery_code and passkey.";
            Err(IdentityError::field("code", "exactly_one", message).into())
        }
    }
}

/// A challenge for an authenticator.
#[derive(Debug, Object)]
struct PasskeyChallengeView {
    /// Comes back with the authenticator's answer, within ten minutes.
    token: String,
    expires_at: DateTime<Utc>,
    /// WebAuthn's options for `navigator.credentials`, with `publicKey`.
    options: Any<Value>,
}

impl From<passkeys::Begun> for PasskeyChallengeView {
    fn from(begun: passkeys::Begun) -> Self {
        Self { token: begun.token, expires_at: begun.expires_at, options: Any(begun.options) }
    }
}

#[derive(Debug, Object)]
#[oai(example)]
struct RegisterPasskeyRequest {
    /// From the challenge.
    #[oai(validator(max_length = 200))]
    token: String,
    /// What its owner calls it, as in `Work laptop`.
    name: Text<PasskeyName>,
    /// The credential of `navigator.credentials.create`, as JSON.
    credential: Any<Value>,
}

impl poem_openapi::types::Example for RegisterPasskeyRequest {
    fn example() -> Self {
        Self {
            token: "token-of-the-challenge".into(),
            name: "Work laptop".into(),
            credential: Any(serde_json::json!({ "id": "base64url", "type": "public-key" })),
        }
    }
}

/// A passkey that was registered.
#[derive(Debug, Object)]
struct RegisteredPasskeyView {
    passkey: PasskeyView,
    /// Shown this once; empty where the account has codes already.
    recovery_codes: Vec<String>,
}

#[derive(Debug, Object)]
#[oai(example)]
struct PasskeyLoginRequest {
    /// From the challenge.
    #[oai(validator(max_length = 200))]
    token: String,
    /// The credential of `navigator.credentials.get`, as JSON.
    credential: Any<Value>,
}

impl poem_openapi::types::Example for PasskeyLoginRequest {
    fn example() -> Self {
        Self {
            token: "token-of-the-challenge".into(),
            credential: Any(serde_json::json!({ "id": "base64url", "type": "public-key" })),
        }
    }
}

pub struct FactorsApi {
    pub services: Services,
}

#[OpenApi(tag = "Tag::Identity")]
impl FactorsApi {
    /// Complete a login by its second factor
    ///
    /// With what `POST /api/auth/login` answered when it asked for one. A wrong
    /// factor counts as a failed login.
    #[oai(path = "/api/auth/mfa/verify", method = "post", operation_id = "verifySecondFactor")]
    async fn verify(
        &self,
        visitor: Visitor,
        body: Body<VerifyRequest>,
    ) -> Result<Json<SessionTokens>, Problem> {
        let mut asked = body.0;
        let proof = proof(&mut asked)?;
        let request = visitor.actor().request.clone();
        let pair = login::complete(&self.services, request, &asked.mfa_token, proof).await?;
        Ok(Json(pair.into()))
    }

    /// Read one's own second factors
    ///
    /// Whether an authenticator app is set up, the passkeys by name, and how many
    /// recovery codes are left.
    #[oai(path = "/api/auth/mfa", method = "get", operation_id = "ownSecondFactors")]
    async fn factors(&self, caller: Enrolling) -> Result<Json<FactorsView>, Problem> {
        let factors = second_factor::factors(&self.services, caller.actor()).await?;
        Ok(Json(FactorsView {
            required: factors.required,
            method: factors.method,
            totp_since: factors.totp_since,
            totp_standing: factors.totp_standing.map(StandingWord::from),
            passkeys: factors.passkeys.into_iter().map(PasskeyView::from).collect(),
            recovery_codes_left: factors.recovery_codes_left,
        }))
    }

    /// Prove that a second factor is one's own
    ///
    /// By the token of the link that was mailed when it was added. Until then a
    /// password reset suspends the factor; a suspended one counts again from
    /// now on, and every session of the account ends.
    #[oai(path = "/api/auth/mfa/confirm", method = "post", operation_id = "confirmFactor")]
    async fn confirm_factor(
        &self,
        visitor: Visitor,
        body: Body<ConfirmFactorRequest>,
    ) -> Result<Done, Problem> {
        let request = visitor.actor().request.clone();
        confirmation::confirm(&self.services, request, &body.0.token).await?;
        Ok(Done::Done)
    }

    /// Mail the links that prove one's second factors again
    ///
    /// For those that are not proved, at most once a minute each. The links of
    /// earlier mails open nothing any more.
    #[oai(
        path = "/api/auth/mfa/resend-confirmation",
        method = "post",
        operation_id = "resendFactorConfirmation"
    )]
    async fn resend_confirmation(&self, caller: Enrolling) -> Result<Accepted, Problem> {
        confirmation::request(&self.services, caller.actor()).await?;
        Ok(Accepted::Accepted)
    }

    /// Set up an authenticator app
    ///
    /// It counts once its first code is confirmed; asking again replaces what
    /// was not confirmed. Where the account has a confirmed second factor, the
    /// session must have shown one (403 `identity.proved_factor_required`).
    #[oai(path = "/api/auth/mfa/totp", method = "post", operation_id = "beginTotp")]
    async fn begin_totp(
        &self,
        caller: Enrolling,
        body: Body<PasswordRequest>,
    ) -> Result<Json<TotpSetupView>, Problem> {
        let password = &body.0.password;
        let setup = second_factor::begin_totp(&self.services, caller.actor(), password).await?;
        Ok(Json(TotpSetupView { secret: setup.secret_base32, otpauth_url: setup.url }))
    }

    /// Confirm the authenticator app
    ///
    /// By a first code. The account's other sessions end; this one counts as
    /// signed in with two factors. The first factor of an account works at once,
    /// and a link is mailed that proves it to be the owner's.
    #[oai(path = "/api/auth/mfa/totp/confirm", method = "post", operation_id = "confirmTotp")]
    async fn confirm_totp(
        &self,
        caller: Enrolling,
        body: Body<CodeRequest>,
    ) -> Result<Json<RecoveryCodesView>, Problem> {
        let code = &body.0.code;
        let codes = second_factor::confirm_totp(&self.services, caller.actor(), code).await?;
        Ok(Json(RecoveryCodesView { recovery_codes: shown(codes) }))
    }

    /// Remove the authenticator app
    ///
    /// Not where it is the last factor and the account's roles ask for one.
    #[oai(path = "/api/auth/mfa/totp/remove", method = "post", operation_id = "removeTotp")]
    async fn remove_totp(
        &self,
        caller: Enrolling,
        body: Body<PasswordRequest>,
    ) -> Result<Done, Problem> {
        let password = &body.0.password;
        second_factor::remove_totp(&self.services, caller.actor(), password).await?;
        Ok(Done::Done)
    }

    /// Make new recovery codes
    ///
    /// Ten, in place of all earlier ones.
    #[oai(
        path = "/api/auth/mfa/recovery-codes",
        method = "post",
        operation_id = "renewRecoveryCodes"
    )]
    async fn renew_recovery_codes(
        &self,
        caller: Enrolling,
        body: Body<PasswordRequest>,
    ) -> Result<Json<RecoveryCodesView>, Problem> {
        let password = &body.0.password;
        let codes =
            second_factor::renew_recovery_codes(&self.services, caller.actor(), password).await?;
        Ok(Json(RecoveryCodesView { recovery_codes: shown(codes) }))
    }

    /// Begin to register a passkey
    ///
    /// Gives the options for `navigator.credentials.create`; what it makes is sent
    /// to `registerPasskey` with the token, within the time that is told.
    #[oai(path = "/api/auth/passkeys/options", method = "post", operation_id = "beginPasskey")]
    async fn begin_passkey(
        &self,
        caller: Enrolling,
        body: Body<PasswordRequest>,
    ) -> Result<Json<PasskeyChallengeView>, Problem> {
        let password = &body.0.password;
        let begun = passkeys::begin_registration(&self.services, caller.actor(), password).await?;
        Ok(Json(begun.into()))
    }

    /// Register a passkey
    ///
    /// With the authenticator's answer to the challenge. The account's other
    /// sessions end; this one counts as signed in with two factors.
    #[oai(path = "/api/auth/passkeys", method = "post", operation_id = "registerPasskey")]
    async fn register_passkey(
        &self,
        caller: Enrolling,
        body: Body<RegisterPasskeyRequest>,
    ) -> Result<Json<RegisteredPasskeyView>, Problem> {
        let RegisterPasskeyRequest { token, name, credential } = body.0;
        let (passkey, codes) = passkeys::finish_registration(
            &self.services,
            caller.actor(),
            &token,
            &name,
            credential.0,
        )
        .await?;
        let (passkey, recovery_codes) = (passkey.into(), shown(codes));
        Ok(Json(RegisteredPasskeyView { passkey, recovery_codes }))
    }

    /// Remove a passkey
    ///
    /// Not where it is the last factor and the account's roles ask for one.
    #[oai(path = "/api/auth/passkeys/:id/remove", method = "post", operation_id = "removePasskey")]
    async fn remove_passkey(
        &self,
        caller: Enrolling,
        id: Path<Uuid>,
        body: Body<PasswordRequest>,
    ) -> Result<Done, Problem> {
        let password = &body.0.password;
        passkeys::remove(&self.services, caller.actor(), id.0.into(), password).await?;
        Ok(Done::Done)
    }

    /// Begin to sign in with a passkey alone
    ///
    /// The challenge names no account: the device knows whose keys it holds.
    #[oai(
        path = "/api/auth/passkeys/login/options",
        method = "post",
        operation_id = "beginPasskeyLogin"
    )]
    async fn begin_passkey_login(
        &self,
        visitor: Visitor,
    ) -> Result<Json<PasskeyChallengeView>, Problem> {
        let request = visitor.actor().request.clone();
        Ok(Json(passkeys::begin_login(&self.services, request).await?.into()))
    }

    /// Sign in with a passkey
    ///
    /// With the authenticator's answer to the challenge. A passkey verifies its
    /// user, so it counts as two factors.
    #[oai(path = "/api/auth/passkeys/login", method = "post", operation_id = "passkeyLogin")]
    async fn passkey_login(
        &self,
        visitor: Visitor,
        body: Body<PasskeyLoginRequest>,
    ) -> Result<Json<SessionTokens>, Problem> {
        let PasskeyLoginRequest { token, credential } = body.0;
        let request = visitor.actor().request.clone();
        let pair = passkeys::finish_login(&self.services, request, &token, credential.0).await?;
        Ok(Json(pair.into()))
    }
}
