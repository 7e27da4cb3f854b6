//! How far a second factor is proved to be the owner's.
//!
//! A factor that is added in a session which has shown a proved factor is
//! proved itself. The first factor of an account works at once, but is proved
//! only by the link of a mail to the owner; until then a password reset
//! suspends it. A suspended factor neither opens nor blocks a sign-in, and
//! counts again once its link is followed. A proved factor is dropped by
//! nothing but a session that has shown one.

use chrono::{DateTime, Utc};
use kernel::Uuid;
use ports::{Ids, Sealer};

use crate::{
    Account, Challenge,
    account::{ChallengePurpose, LinkToken},
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub proved_at: Option<DateTime<Utc>>,
    pub suspended_at: Option<DateTime<Utc>>,
    /// The link that proves it, while it is open.
    pub confirmation: Option<Challenge>,
}

impl Standing {
    pub fn proved(now: DateTime<Utc>) -> Self {
        Self { proved_at: Some(now), ..Self::default() }
    }

    /// It works, and its owner is asked by mail.
    pub fn unproved(ids: &dyn Ids, now: DateTime<Utc>) -> Self {
        Self::default().ask(ids, now)
    }

    pub fn is_proved(&self) -> bool {
        self.proved_at.is_some()
    }

    pub fn is_active(&self) -> bool {
        self.suspended_at.is_none()
    }

    /// Another link in place of the last; a proved factor needs none.
    pub fn ask(self, ids: &dyn Ids, now: DateTime<Utc>) -> Self {
        let fresh = || Challenge::new(ChallengePurpose::ConfirmFactor, ids, now);
        Self { confirmation: (!self.is_proved()).then(fresh), ..self }
    }

    /// Whether the last mail about it was sent too recently for another.
    pub fn asked_lately(&self, now: DateTime<Utc>) -> bool {
        Challenge::too_soon(self.confirmation.as_ref(), now)
    }

    /// What a reset does to it.
    pub fn suspend(self, ids: &dyn Ids, now: DateTime<Utc>) -> Self {
        if self.is_proved() {
            return self;
        }
        Self { suspended_at: self.suspended_at.or(Some(now)), ..self }.ask(ids, now)
    }

    fn secret(
        &self,
        account: &Account,
        factor: Uuid,
        sealer: &dyn Sealer,
        now: DateTime<Utc>,
    ) -> ports::Result<Option<[u8; 32]>> {
        let open = self.confirmation.filter(|open| now < open.expires_at);
        open.map(|open| account.factor_secret(factor, &open, sealer)).transpose()
    }

    /// The token of the link that proves the factor.
    pub fn link_token(
        &self,
        account: &Account,
        factor: Uuid,
        sealer: &dyn Sealer,
        now: DateTime<Utc>,
    ) -> ports::Result<Option<String>> {
        let secret = self.secret(account, factor, sealer, now)?;
        Ok(secret.map(|secret| LinkToken { account: account.id, secret }.to_text()))
    }

    /// The factor as proved, where the link is its own.
    pub fn confirm(
        self,
        account: &Account,
        factor: Uuid,
        link: &LinkToken,
        sealer: &dyn Sealer,
        now: DateTime<Utc>,
    ) -> ports::Result<Option<Self>> {
        let secret = self.secret(account, factor, sealer, now)?;
        let right = secret.is_some_and(|secret| link.holds(&secret));
        Ok(right.then(|| Self::proved(now)))
    }
}
