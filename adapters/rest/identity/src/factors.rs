use api::{Answer, Body, Done, Enrolling, Mirror, Result, Tag, Text, Visitor};
use chrono::{DateTime, Utc};
use identity::{
    IdentityError, Services, Standing, confirmation,
    factor::{Proof, RecoveryCode, TotpSetup},
    login, passkeys, second_factor,
};
use kernel::{PasskeyId, text::PasskeyName};
use poem_openapi::{Enum, Object, OpenApi, param::Path, payload::Json, types::Any};
use serde_json::Value;

use super::{
    Accepted,
    auth::{LinkRequest, SessionTokens},
};

/// A change of how one signs in asks for the password again.
#[derive(Debug, Object)]
#[oai(example)]
struct PasswordRequest {
    #[oai(validator(max_length = 512))]
    password: String,
}

api::example!(PasswordRequest { password: "correct-horse battery".into() });

/// What an authenticator app is set up with, shown this once.
#[derive(Debug, Object, Mirror)]
#[mirror(from = TotpSetup)]
struct TotpSetupView {
    /// The secret in Base32, to be typed where no camera is.
    #[mirror(secret_base32)]
    secret: String,
    /// An `otpauth` address, to be shown as a QR code.
    #[mirror(url)]
    otpauth_url: String,
}

#[derive(Debug, Object)]
#[oai(example)]
struct CodeRequest {
    /// The six digits that the authenticator app shows.
    #[oai(validator(max_length = 20))]
    code: String,
}

api::example!(CodeRequest { code: "287082".into() });

/// Codes that stand in for the second factor, each once.
#[derive(Debug, Object)]
struct RecoveryCodesView {
    /// Shown this once; empty where the account has codes already.
    recovery_codes: Vec<String>,
}

impl From<Vec<RecoveryCode>> for RecoveryCodesView {
    fn from(codes: Vec<RecoveryCode>) -> Self {
        Self { recovery_codes: codes.iter().map(RecoveryCode::to_text).collect() }
    }
}

/// A passkey of the account.
#[derive(Debug, Object, Mirror)]
#[mirror(from = identity::passkey::Passkey)]
struct PasskeyView {
    id: PasskeyId,
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

/// What the account signs in with.
#[derive(Debug, Object, Mirror)]
#[mirror(from = second_factor::Factors)]
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

api::example!(VerifyRequest {
    mfa_token: "y0cZ3mJ6o1rC4vTn8sVwq2h5k7LxPbEaRdGuIfMtNjQ".into(),
    code: Some("287082".into()),
    recovery_code: None,
    passkey: None,
});

fn proof(request: &mut VerifyRequest) -> Result<Proof> {
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

api::example!(RegisterPasskeyRequest {
    token: "token-of-the-challenge".into(),
    name: "Work laptop".into(),
    credential: Any(serde_json::json!({ "id": "base64url", "type": "public-key" })),
});

/// A passkey that was registered.
#[derive(Debug, Object)]
struct RegisteredPasskeyView {
    passkey: PasskeyView,
    #[oai(flatten)]
    codes: RecoveryCodesView,
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

api::example!(PasskeyLoginRequest {
    token: "token-of-the-challenge".into(),
    credential: Any(serde_json::json!({ "id": "base64url", "type": "public-key" })),
});

pub struct FactorsApi(pub Services);

#[OpenApi(tag = "Tag::Identity")]
impl FactorsApi {
    /// Complete a login by its second factor
    ///
    /// With what `POST /api/auth/login` answered when it asked for one. A wrong
    /// factor counts as a failed login.
    #[oai(path = "/api/auth/mfa/verify", method = "post", operation_id = "verifySecondFactor")]
    async fn verify(&self, visitor: Visitor, body: Body<VerifyRequest>) -> Answer<SessionTokens> {
        let mut asked = body.0;
        let proof = proof(&mut asked)?;
        Ok(Json(login::complete(&self.0, visitor.request(), &asked.mfa_token, proof).await?.into()))
    }

    /// Read one's own second factors
    ///
    /// Whether an authenticator app is set up, the passkeys by name, and how many
    /// recovery codes are left.
    #[oai(path = "/api/auth/mfa", method = "get", operation_id = "ownSecondFactors")]
    async fn factors(&self, caller: Enrolling) -> Answer<FactorsView> {
        Ok(Json(second_factor::factors(&self.0, caller.actor()).await?.into()))
    }

    /// Prove that a second factor is one's own
    ///
    /// By the token of the link that was mailed when it was added. Until then a
    /// password reset suspends the factor; a suspended one counts again from
    /// now on, and every session of the account ends.
    #[oai(path = "/api/auth/mfa/confirm", method = "post", operation_id = "confirmFactor")]
    async fn confirm_factor(&self, visitor: Visitor, body: Body<LinkRequest>) -> Result<Done> {
        confirmation::confirm(&self.0, visitor.request(), &body.0.token).await?;
        Ok(Done::Done)
    }

    /// Mail the links that prove one's second factors again
    ///
    /// For those that are not proved, at most once a minute each. The links in
    /// earlier mails stop working.
    #[oai(
        path = "/api/auth/mfa/resend-confirmation",
        method = "post",
        operation_id = "resendFactorConfirmation"
    )]
    async fn resend_confirmation(&self, caller: Enrolling) -> Result<Accepted> {
        confirmation::request(&self.0, caller.actor()).await?;
        Ok(Accepted::Accepted)
    }

    /// Set up an authenticator app
    ///
    /// It counts once its first code is confirmed; asking again replaces what
    /// was not confirmed. Where the account has a confirmed second factor, the
    /// session must have shown one (403 `identity.proved_factor_required`).
    #[oai(path = "/api/auth/mfa/totp", method = "post", operation_id = "beginTotp")]
    async fn totp(&self, caller: Enrolling, body: Body<PasswordRequest>) -> Answer<TotpSetupView> {
        let password = &body.0.password;
        Ok(Json(second_factor::begin_totp(&self.0, caller.actor(), password).await?.into()))
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
    ) -> Answer<RecoveryCodesView> {
        let code = &body.0.code;
        Ok(Json(second_factor::confirm_totp(&self.0, caller.actor(), code).await?.into()))
    }

    /// Remove the authenticator app
    ///
    /// Not where it is the last factor and the account's roles ask for one.
    #[oai(path = "/api/auth/mfa/totp/remove", method = "post", operation_id = "removeTotp")]
    async fn remove_totp(&self, caller: Enrolling, body: Body<PasswordRequest>) -> Result<Done> {
        second_factor::remove_totp(&self.0, caller.actor(), &body.0.password).await?;
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
    ) -> Answer<RecoveryCodesView> {
        let password = &body.0.password;
        let codes = second_factor::renew_recovery_codes(&self.0, caller.actor(), password).await?;
        Ok(Json(codes.into()))
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
    ) -> Answer<PasskeyChallengeView> {
        let password = &body.0.password;
        Ok(Json(passkeys::begin_registration(&self.0, caller.actor(), password).await?.into()))
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
    ) -> Answer<RegisteredPasskeyView> {
        let RegisterPasskeyRequest { token, name, credential: Any(credential) } = body.0;
        let (services, actor) = (&self.0, caller.actor());
        let (passkey, codes) =
            passkeys::finish_registration(services, actor, &token, &name, credential).await?;
        Ok(Json(RegisteredPasskeyView { passkey: passkey.into(), codes: codes.into() }))
    }

    /// Remove a passkey
    ///
    /// Not where it is the last factor and the account's roles ask for one.
    #[oai(path = "/api/auth/passkeys/:id/remove", method = "post", operation_id = "removePasskey")]
    async fn remove_passkey(
        &self,
        caller: Enrolling,
        id: Path<PasskeyId>,
        body: Body<PasswordRequest>,
    ) -> Result<Done> {
        passkeys::remove(&self.0, caller.actor(), id.0, &body.0.password).await?;
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
    async fn begin_passkey_login(&self, visitor: Visitor) -> Answer<PasskeyChallengeView> {
        Ok(Json(passkeys::begin_login(&self.0, visitor.request()).await?.into()))
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
    ) -> Answer<SessionTokens> {
        let PasskeyLoginRequest { token, credential: Any(credential) } = body.0;
        let pair = passkeys::finish_login(&self.0, visitor.request(), &token, credential).await?;
        Ok(Json(pair.into()))
    }
}
