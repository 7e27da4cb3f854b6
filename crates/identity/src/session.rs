//! Sessions: a family of rotating refresh tokens that lives and dies as one.
//!
//! A refresh token is good for exactly one use. There is **no grace period**:
//! a token that comes back after its use, even at the same moment from a
//! second tab, ends the whole family. A lost answer cannot be told from a
//! stolen token, and with health records behind it the price of a new login
//! is the smaller one. A client therefore refreshes in one place at a time.

use std::{fmt, net::IpAddr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{AccountId, RequestContext, SessionId, Word};
use sha2::{Digest as _, Sha256};

/// A refresh token in the clear, on its way to the client and never stored.
pub struct RefreshToken(String);

impl RefreshToken {
    pub fn from_secret(secret: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(secret))
    }

    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(&self.0)
    }

    pub fn into_text(self) -> String {
        self.0
    }
}

/// What the database holds of a refresh token. The token has 256 random bits,
/// so a plain SHA-256 cannot be guessed back.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest(pub [u8; 32]);

impl TokenDigest {
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(…)")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum RevocationReason {
    Logout,
    Reuse,
    PasswordReset,
    PasswordChanged,
    EmailChanged,
    /// A second factor was added or removed elsewhere.
    FactorsChanged,
    /// Its owner ended it from another session.
    Owner,
    Administrator,
}

/// How the holder of a session has proven to be its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum SignInMethod {
    Password,
    /// The password and a code of an authenticator app.
    Totp,
    /// The password and a recovery code.
    RecoveryCode,
    /// A passkey, with the password or alone: it verifies its user.
    Passkey,
}

impl SignInMethod {
    /// Whether it took more than something one knows.
    pub fn has_second_factor(self) -> bool {
        self != Self::Password
    }
}

/// Where a session was opened or last used, for its owner to recognise it by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
}

impl Device {
    pub fn of(request: &RequestContext) -> Self {
        let user_agent = request.user_agent.as_deref();
        Self { ip: request.ip, user_agent: user_agent.map(|text| text.chars().take(300).collect()) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    Live,
    Revoked { at: DateTime<Utc>, reason: RevocationReason },
}

/// How long a session may rest and how long it may last. Staff sessions are
/// short: they reach many records (45 CFR 164.312(a)(2)(iii)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    pub idle: TimeDelta,
    pub absolute: TimeDelta,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub account: AccountId,
    pub state: SessionState,
    pub method: SignInMethod,
    /// It has shown a factor that is proved to be the owner's.
    pub proved: bool,
    pub device: Device,
    /// The digest of the one refresh token that is good; all earlier ones of
    /// the family are remembered by the store.
    pub current: TokenDigest,
    pub generation: i32,
    pub created_at: DateTime<Utc>,
    pub refreshed_at: DateTime<Utc>,
    /// When the session ends unless it is refreshed before.
    pub idle_until: DateTime<Utc>,
    /// When it ends whatever happens.
    pub ends_at: DateTime<Utc>,
}

/// What presenting a refresh token of the family did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The next token is now the good one.
    Rotated(Session),
    /// The token was used before; the family is revoked, to be saved so.
    Reused(Session),
    /// The session had ended; nothing changed.
    Ended,
}

impl Session {
    pub fn start(
        id: SessionId,
        account: AccountId,
        (method, device): (SignInMethod, Device),
        current: TokenDigest,
        limits: SessionLimits,
        now: DateTime<Utc>,
    ) -> Self {
        let ends_at = now + limits.absolute;
        Self {
            id,
            account,
            state: SessionState::Live,
            method,
            proved: false,
            device,
            current,
            generation: 0,
            created_at: now,
            refreshed_at: now,
            idle_until: (now + limits.idle).min(ends_at),
            ends_at,
        }
    }

    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.state == SessionState::Live && now < self.idle_until && now < self.ends_at
    }

    /// Presents a token that the store knows to be of this family.
    pub fn refresh(
        self,
        presented: TokenDigest,
        next: TokenDigest,
        limits: SessionLimits,
        now: DateTime<Utc>,
    ) -> Refreshed {
        if !self.is_live(now) {
            return Refreshed::Ended;
        }
        if presented != self.current {
            return Refreshed::Reused(self.revoke(RevocationReason::Reuse, now));
        }
        Refreshed::Rotated(Self {
            current: next,
            generation: self.generation + 1,
            refreshed_at: now,
            idle_until: (now + limits.idle).min(self.ends_at),
            ..self
        })
    }

    /// A second factor was proven within the session.
    pub fn strengthen(self, method: SignInMethod, proved: bool) -> Self {
        Self { method, proved, ..self }
    }

    /// Ends the session; one that has been revoked keeps its first reason.
    pub fn revoke(self, reason: RevocationReason, now: DateTime<Utc>) -> Self {
        match self.state {
            SessionState::Live => Self { state: SessionState::Revoked { at: now, reason }, ..self },
            SessionState::Revoked { .. } => self,
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
