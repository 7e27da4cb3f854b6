//! Second factors: an authenticator app (TOTP, RFC 6238), recovery codes for
//! the day it is lost, and what waits between two requests of one sign-in.
//! Passkeys stand in [`crate::passkey`].

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use kernel::{AccountId, CeremonyId, EmailAddress, Word};
use ports::{BlindIndex, Ids, PortError, Sealer};
use totp_rs::{Builder, Secret};

use crate::{
    IdentityError, Standing,
    error::Result,
    session::{RefreshToken, SignInMethod, TokenDigest},
};

/// The 160 bits that RFC 4226 recommends for a secret.
const SECRET_BYTES: usize = 20;

/// An account's authenticator app.
#[derive(Clone, PartialEq, Eq)]
pub struct Totp {
    pub account: AccountId,
    pub secret: Vec<u8>,
    /// The step of the last code that was taken; no code of it or of an
    /// earlier one is taken again.
    pub last_step: u64,
    pub created_at: DateTime<Utc>,
    /// When the first right code came; before that it proves nothing.
    pub confirmed_at: Option<DateTime<Utc>>,
    pub standing: Standing,
}

impl fmt::Debug for Totp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Totp").field("account", &self.account).finish_non_exhaustive()
    }
}

/// What an authenticator app is set up with.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSetup {
    pub secret_base32: String,
    /// An `otpauth` address, to be shown as a QR code.
    pub url: String,
}

impl Totp {
    pub fn new(account: AccountId, ids: &dyn Ids, now: DateTime<Utc>) -> Self {
        let secret = ids.secret()[..SECRET_BYTES].to_vec();
        Self {
            account,
            secret,
            last_step: 0,
            created_at: now,
            confirmed_at: None,
            standing: Standing::default(),
        }
    }

    /// Whether it is asked for at a sign-in.
    pub fn is_active(&self) -> bool {
        self.confirmed_at.is_some() && self.standing.is_active()
    }

    fn reader(&self) -> Builder {
        Builder::new().with_secret(self.secret.clone())
    }

    pub fn setup(&self, issuer: &str, email: &EmailAddress) -> Result<TotpSetup> {
        let broken = |error| PortError::internal("an authenticator's address", error);
        // The format keeps the colon for itself, and a quoted address may have one.
        let label = email.as_str().replace(':', "");
        let issuer = issuer.replace(':', "");
        let builder = self.reader().with_account_name(label).with_issuer(Some(issuer));
        let url = builder.build().and_then(|totp| totp.to_url()).map_err(broken)?;
        Ok(TotpSetup { secret_base32: Secret::from(self.secret.clone()).to_base32(), url })
    }

    /// Takes a code of now, of the step before or of the one after, once.
    pub fn take(self, code: &str, now: DateTime<Utc>) -> Option<Self> {
        let time = u64::try_from(now.timestamp()).ok()?;
        let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        let step = self.reader().build().ok()?.check(&code, time)?;
        (step > self.last_step).then_some(Self { last_step: step, ..self })
    }

    /// The first right code turns the factor on.
    pub fn confirm(self, code: &str, now: DateTime<Utc>) -> Option<Self> {
        Some(Self { confirmed_at: Some(now), ..self.take(code, now)? })
    }
}

/// How many recovery codes an account gets at a time.
pub const RECOVERY_CODES: usize = 10;

/// Crockford's digits: no letter that is read as a number.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A code that stands in for the authenticator once: fifty random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode(String);

impl RecoveryCode {
    pub fn fresh(ids: &dyn Ids) -> Self {
        let digit = |byte: &u8| char::from(DIGITS[usize::from(byte & 31)]);
        Self(ids.secret()[..10].iter().map(digit).collect())
    }

    /// Reads a code as people type it: in any case, with or without its dash,
    /// with an O for a zero.
    pub fn parse(text: &str) -> Option<Self> {
        let code: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            })
            .collect();
        let known = |c: char| u8::try_from(c).is_ok_and(|byte| DIGITS.contains(&byte));
        (code.chars().count() == 10 && code.chars().all(known)).then_some(Self(code))
    }

    /// What is stored of it. Fifty bits could be guessed back from a plain
    /// digest, so it is a keyed one.
    pub fn digest(&self, account: AccountId, sealer: &dyn Sealer) -> ports::Result<BlindIndex> {
        sealer.blind_index("identity.recovery_code", &format!("{account}|{}", self.0))
    }

    /// As it is shown: two groups of five.
    pub fn to_text(&self) -> String {
        format!("{}-{}", &self.0[..5], &self.0[5..])
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(…)")
    }
}

/// What a ceremony leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum CeremonyKind {
    /// The password was right; the second factor is awaited.
    Login,
    PasskeyRegistration,
    PasskeyLogin,
}

/// Wrong second factors after which a login starts over.
const MAX_FAILURES: u32 = 5;
const CEREMONY_LIFE: TimeDelta = TimeDelta::minutes(10);

/// Something that was begun and awaits its second request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ceremony {
    pub id: CeremonyId,
    pub token: TokenDigest,
    pub kind: CeremonyKind,
    pub account: Option<AccountId>,
    /// The state of a passkey's challenge, as JSON.
    pub state: Option<String>,
    pub failures: u32,
    pub expires_at: DateTime<Utc>,
}

impl Ceremony {
    /// The ceremony, and the token by which its second request names it.
    pub fn begin(
        kind: CeremonyKind,
        account: Option<AccountId>,
        state: Option<String>,
        ids: &dyn Ids,
        now: DateTime<Utc>,
    ) -> (Self, String) {
        let token = RefreshToken::from_secret(ids.secret());
        let ceremony = Self {
            id: ids.uuid().into(),
            token: token.digest(),
            kind,
            account,
            state,
            failures: 0,
            expires_at: now + CEREMONY_LIFE,
        };
        (ceremony, token.into_text())
    }

    pub fn check(&self, kind: CeremonyKind, now: DateTime<Utc>) -> Result<()> {
        if self.kind == kind && now < self.expires_at && self.failures < MAX_FAILURES {
            Ok(())
        } else {
            Err(IdentityError::InvalidCeremony)
        }
    }

    pub fn fail(self) -> Self {
        Self { failures: self.failures + 1, ..self }
    }
}

/// What somebody shows as a second factor.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The six digits that the authenticator app shows.
    Totp(String),
    RecoveryCode(String),
    /// The answer of an authenticator, as WebAuthn's JSON.
    Passkey(serde_json::Value),
}

impl Proof {
    pub fn method(&self) -> SignInMethod {
        match self {
            Self::Totp(_) => SignInMethod::Totp,
            Self::RecoveryCode(_) => SignInMethod::RecoveryCode,
            Self::Passkey(_) => SignInMethod::Passkey,
        }
    }
}

#[cfg(test)]
#[path = "factor_tests.rs"]
mod tests;
