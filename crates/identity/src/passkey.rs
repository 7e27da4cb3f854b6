//! Passkeys (WebAuthn): what is kept of them, and the library that checks what
//! an authenticator signs. User verification is demanded throughout, so that a
//! passkey is something one has and something one is or knows, and opens a
//! session without a password.

use std::fmt;

use chrono::{DateTime, Utc};
use kernel::{AccountId, PasskeyId};
use ports::{BlindIndex, PortError, Sealer};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use webauthn_rs::prelude::{
    AuthenticationResult, DiscoverableAuthentication, Passkey as Credential, PasskeyAuthentication,
    PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential, Url, Webauthn,
    WebauthnBuilder, WebauthnError,
};

use crate::{Account, IdentityError, Standing, error::Result};

/// An authenticator that an account may sign in with.
#[derive(Clone)]
pub struct Passkey {
    pub id: PasskeyId,
    pub account: AccountId,
    /// What its owner calls it.
    pub name: String,
    pub credential: Credential,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub standing: Standing,
}

impl fmt::Debug for Passkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passkey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// By what a credential is found, so that none belongs to two accounts.
pub fn credential_index(sealer: &dyn Sealer, credential: &[u8]) -> ports::Result<BlindIndex> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    sealer.blind_index("identity.passkey", &URL_SAFE_NO_PAD.encode(credential))
}

impl Passkey {
    pub fn credential_id(&self) -> &[u8] {
        self.credential.cred_id().as_ref()
    }

    /// Notes a use. That an authenticator which counts its uses comes with a
    /// higher count than the last time has been checked with its signature.
    fn used(mut self, result: &AuthenticationResult, now: DateTime<Utc>) -> Self {
        // `Some(false)` says that nothing but the time of use has changed.
        let _ = self.credential.update_credential(result);
        self.last_used_at = Some(now);
        self
    }
}

/// Checks what authenticators sign for this installation's web address.
pub struct Authenticators(Webauthn);

impl fmt::Debug for Authenticators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticators")
    }
}

/// A challenge for the browser, and the state that its answer is checked with.
pub struct Challenged {
    pub options: Value,
    pub state: String,
}

fn challenged(options: impl Serialize, state: impl Serialize) -> Result<Challenged> {
    let broken = |error| PortError::internal("a passkey's challenge", error);
    Ok(Challenged {
        options: serde_json::to_value(options).map_err(broken)?,
        state: serde_json::to_string(&state).map_err(broken)?,
    })
}

fn state<T: DeserializeOwned>(state: Option<&str>) -> Result<T> {
    let state = state.ok_or_else(|| PortError::bug("a passkey's ceremony has no state"))?;
    Ok(serde_json::from_str(state)
        .map_err(|error| PortError::internal("reading the state of a passkey's ceremony", error))?)
}

fn answer<T: DeserializeOwned>(path: &str, answer: Value) -> Result<T> {
    serde_json::from_value(answer).map_err(|error| {
        let message = format!("This is no answer of an authenticator: {error}.");
        IdentityError::field(path, "invalid", &message)
    })
}

/// The library refuses a passkey whose flags of backup are not those of its
/// registration. One that has come to be synchronized is checked once more as
/// such, signature and all; one that says that it no longer can be is not the
/// key that was registered, and its owner is told so.
fn backup_has_changed(error: &WebauthnError) -> bool {
    matches!(
        error,
        WebauthnError::CredentialBackupEligibilityInconsistent
            | WebauthnError::CredentialMayNotBeHardwareBound
    )
}

fn right(
    checked: Result<AuthenticationResult, WebauthnError>,
) -> Result<Option<AuthenticationResult>> {
    match checked {
        Ok(result) => Ok(Some(result)),
        Err(error) if backup_has_changed(&error) => Err(IdentityError::PasskeyChanged),
        Err(_) => Ok(None),
    }
}

/// The same credential as one that may be synchronized.
fn eligible(credential: &Credential) -> Result<Credential> {
    let broken = |error| PortError::internal("reading a passkey", error);
    let mut value = serde_json::to_value(credential).map_err(broken)?;
    value["cred"]["backup_eligible"] = Value::Bool(true);
    Ok(serde_json::from_value(value).map_err(broken)?)
}

/// The same for the credentials that a challenge was made for.
fn eligible_state(state: Option<&str>) -> Result<Option<String>> {
    let broken = |error| PortError::internal("reading the state of a passkey's ceremony", error);
    let Some(state) = state else { return Ok(None) };
    let mut value: Value = serde_json::from_str(state).map_err(broken)?;
    for credential in value["ast"]["credentials"].as_array_mut().into_iter().flatten() {
        credential["backup_eligible"] = Value::Bool(true);
    }
    Ok(Some(value.to_string()))
}

impl Authenticators {
    /// For the front end at this origin; its host is the relying party's id.
    pub fn new(origin: &str) -> Result<Self, PortError> {
        let broken = |error: &dyn fmt::Display| {
            PortError::bug(format!("{origin} cannot be the origin of passkeys: {error}"))
        };
        let url = Url::parse(origin).map_err(|error| broken(&error))?;
        let host = url.domain().ok_or_else(|| broken(&"its host is no name"))?.to_owned();
        let builder = WebauthnBuilder::new(&host, &url).map_err(|error| broken(&error))?;
        let built = builder.rp_name("Salus").build().map_err(|error| broken(&error))?;
        Ok(Self(built))
    }

    pub fn begin_registration(
        &self,
        account: &Account,
        existing: &[Passkey],
    ) -> Result<Challenged> {
        let exclude = existing.iter().map(|passkey| passkey.credential.cred_id().clone()).collect();
        let email = account.email.as_str();
        let (options, state) = self
            .0
            .start_passkey_registration(account.id.uuid(), email, email, Some(exclude))
            .map_err(|error| PortError::internal("a passkey's challenge", error))?;
        let mut challenged = challenged(options, state)?;
        // A passkey that the device lists by itself signs in without an address.
        challenged.options["publicKey"]["authenticatorSelection"]["residentKey"] =
            Value::from("preferred");
        Ok(challenged)
    }

    pub fn finish_registration(&self, kept: Option<&str>, given: Value) -> Result<Credential> {
        let given: RegisterPublicKeyCredential = answer("credential", given)?;
        let kept: PasskeyRegistration = state(kept)?;
        self.0.finish_passkey_registration(&given, &kept).map_err(|error| {
            tracing::info!(%error, "a passkey was not registered");
            IdentityError::field(
                "credential",
                "refused",
                "The authenticator's answer does not fit the challenge.",
            )
        })
    }

    /// A challenge for the passkeys of one account, as a second factor.
    pub fn begin_second_factor(&self, passkeys: &[Passkey]) -> Result<Challenged> {
        let credentials: Vec<_> =
            passkeys.iter().map(|passkey| passkey.credential.clone()).collect();
        let (options, state) = self
            .0
            .start_passkey_authentication(&credentials)
            .map_err(|error| PortError::internal("a passkey's challenge", error))?;
        challenged(options, state)
    }

    /// The passkey that answered the challenge; `None` for a wrong answer.
    pub fn finish_second_factor(
        &self,
        kept: Option<&str>,
        passkeys: Vec<Passkey>,
        given: Value,
        now: DateTime<Utc>,
    ) -> Result<Option<Passkey>> {
        let given: PublicKeyCredential = answer("passkey", given)?;
        let text = kept;
        let kept: PasskeyAuthentication = state(text)?;
        let checked = match self.0.finish_passkey_authentication(&given, &kept) {
            Err(error) if backup_has_changed(&error) => {
                let kept: PasskeyAuthentication = state(eligible_state(text)?.as_deref())?;
                self.0.finish_passkey_authentication(&given, &kept)
            }
            checked => checked,
        };
        let Some(result) = right(checked)? else { return Ok(None) };
        let used =
            passkeys.into_iter().find(|passkey| passkey.credential.cred_id() == result.cred_id());
        Ok(used.map(|passkey| passkey.used(&result, now)))
    }

    /// A challenge that any passkey of any account may answer.
    pub fn begin_login(&self) -> Result<Challenged> {
        let (options, state) = self
            .0
            .start_discoverable_authentication()
            .map_err(|error| PortError::internal("a passkey's challenge", error))?;
        challenged(options, state)
    }

    /// Whose passkey answered, as far as the answer says; nothing is proven yet.
    pub fn claimed(&self, given: Value) -> Result<Claimed> {
        let given: PublicKeyCredential = answer("credential", given)?;
        let (account, credential) = self
            .0
            .identify_discoverable_authentication(&given)
            .map_err(|_| IdentityError::WrongCredentials)?;
        let (account, credential) = (account.into(), credential.to_vec());
        Ok(Claimed { account, credential, given })
    }

    pub fn finish_login(
        &self,
        kept: Option<&str>,
        passkey: Passkey,
        claimed: &Claimed,
        now: DateTime<Utc>,
    ) -> Result<Option<Passkey>> {
        let read: DiscoverableAuthentication = state(kept)?;
        let check = |kept, credential: &Credential| {
            self.0.finish_discoverable_authentication_v2(&claimed.given, kept, credential)
        };
        let checked = match check(read, &passkey.credential) {
            Err(error) if backup_has_changed(&error) => {
                check(state(kept)?, &eligible(&passkey.credential)?)
            }
            checked => checked,
        };
        Ok(right(checked)?.map(|result| passkey.used(&result, now)))
    }
}

/// An answer to a challenge, and whose it says to be.
pub struct Claimed {
    pub account: AccountId,
    pub credential: Vec<u8>,
    given: PublicKeyCredential,
}
