//! Accounts: an address, a password, roles, and how far the address has been
//! proven.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{AccountId, EmailAddress, FieldError, HumanName, Role, Uuid};
use ports::{Aggregate, Ids, Sealer};

use crate::{IdentityError, PasswordHash, error::Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// Nobody has shown yet that the address is theirs.
    Unverified,
    Active {
        verified_at: DateTime<Utc>,
    },
    Disabled {
        at: DateTime<Utc>,
    },
}

/// What a link in a mail proves: that its holder reads the mail of the
/// account's address. Only a nonce is stored; the link's secret is derived
/// from it with a key that the database does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    pub nonce: [u8; 32],
    pub issued_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// What a challenge is for; a link for one purpose does not serve another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengePurpose {
    VerifyEmail,
    ResetPassword,
    ChangeEmail,
    /// A second factor is the owner's.
    ConfirmFactor,
}

impl ChallengePurpose {
    fn word(self) -> &'static str {
        match self {
            Self::VerifyEmail => "identity.verify_email",
            Self::ResetPassword => "identity.reset_password",
            Self::ChangeEmail => "identity.change_email",
            Self::ConfirmFactor => "identity.confirm_factor",
        }
    }

    fn lifetime(self) -> TimeDelta {
        match self {
            Self::VerifyEmail => TimeDelta::hours(24),
            Self::ResetPassword | Self::ChangeEmail => TimeDelta::hours(1),
            Self::ConfirmFactor => TimeDelta::days(7),
        }
    }
}

/// How long the mails of one purpose to one address keep apart, so that a
/// stranger cannot flood a mailbox.
const MAIL_INTERVAL: TimeDelta = TimeDelta::minutes(1);

/// An invitation of a member of the staff lives longer than a reset.
const INVITATION: TimeDelta = TimeDelta::days(3);

/// The rule that an address is of one account.
pub const EMAIL_KEY: &str = "identity_accounts_email_unique";

#[derive(Clone, Debug, PartialEq, Eq, Aggregate)]
#[aggregate("account")]
pub struct Account {
    pub id: AccountId,
    pub email: EmailAddress,
    /// The name of a member of the staff; a patient's stands in the profile.
    pub name: Option<HumanName>,
    /// `None` until an invited person has chosen one.
    pub password: Option<PasswordHash>,
    pub roles: BTreeSet<Role>,
    pub state: AccountState,
    pub verification: Option<Challenge>,
    pub reset: Option<Challenge>,
    pub email_change: Option<EmailChange>,
    /// The address before the last change, which is told of the change.
    pub previous_email: Option<EmailAddress>,
    pub created_at: DateTime<Utc>,
    pub version: i64,
}

/// Another address, which counts once its link has been followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailChange {
    pub email: EmailAddress,
    pub challenge: Challenge,
}

/// Roles before and after a change, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleChange {
    pub old: BTreeSet<Role>,
    pub new: BTreeSet<Role>,
}

impl Challenge {
    pub(crate) fn new(purpose: ChallengePurpose, ids: &dyn Ids, now: DateTime<Utc>) -> Self {
        Self { nonce: ids.secret(), issued_at: now, expires_at: now + purpose.lifetime() }
    }

    /// Opens the challenge again for its full life. While the last one is open
    /// its nonce stays, so that the link of an earlier mail, which may arrive
    /// late, is as good as that of the new one.
    fn renew(
        last: Option<&Self>,
        purpose: ChallengePurpose,
        ids: &dyn Ids,
        now: DateTime<Utc>,
    ) -> Self {
        let fresh = Self::new(purpose, ids, now);
        match last.filter(|last| now < last.expires_at) {
            Some(last) => Self {
                nonce: last.nonce,
                expires_at: fresh.expires_at.max(last.expires_at),
                ..fresh
            },
            None => fresh,
        }
    }

    pub(crate) fn too_soon(challenge: Option<&Self>, now: DateTime<Utc>) -> bool {
        challenge.is_some_and(|last| now < last.issued_at + MAIL_INTERVAL)
    }
}

impl Account {
    /// A patient who registers.
    pub fn register(
        id: AccountId,
        email: EmailAddress,
        password: PasswordHash,
        ids: &dyn Ids,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            email,
            name: None,
            password: Some(password),
            roles: BTreeSet::from([Role::Patient]),
            state: AccountState::Unverified,
            verification: Some(Challenge::new(ChallengePurpose::VerifyEmail, ids, now)),
            reset: None,
            email_change: None,
            previous_email: None,
            created_at: now,
            version: 1,
        }
    }

    /// A member of the staff, who chooses a password through the link of an
    /// invitation and thereby proves the address.
    pub fn invite(
        id: AccountId,
        email: EmailAddress,
        name: HumanName,
        roles: BTreeSet<Role>,
        ids: &dyn Ids,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        check_staff_roles(&roles)?;
        let invitation =
            Challenge { nonce: ids.secret(), issued_at: now, expires_at: now + INVITATION };
        Ok(Self {
            id,
            email,
            name: Some(name),
            password: None,
            roles,
            state: AccountState::Unverified,
            verification: None,
            reset: Some(invitation),
            email_change: None,
            previous_email: None,
            created_at: now,
            version: 1,
        })
    }

    /// Asks for another verification mail; `None` when there is nothing to
    /// verify or the last mail is too recent.
    pub fn request_verification(&self, ids: &dyn Ids, now: DateTime<Utc>) -> Option<Self> {
        let open = self.state == AccountState::Unverified && self.password.is_some();
        if !open || Challenge::too_soon(self.verification.as_ref(), now) {
            return None;
        }
        let last = self.verification.as_ref();
        let verification = Challenge::renew(last, ChallengePurpose::VerifyEmail, ids, now);
        Some(Self { verification: Some(verification), ..self.clone() })
    }

    /// Asks for a reset mail; `None` when the account is disabled or the last
    /// mail is too recent.
    pub fn request_reset(&self, ids: &dyn Ids, now: DateTime<Utc>) -> Option<Self> {
        let disabled = matches!(self.state, AccountState::Disabled { .. });
        if disabled || Challenge::too_soon(self.reset.as_ref(), now) {
            return None;
        }
        let last = self.reset.as_ref();
        let reset = Challenge::renew(last, ChallengePurpose::ResetPassword, ids, now);
        Some(Self { reset: Some(reset), ..self.clone() })
    }

    /// The secret of the link of an open challenge; the same each time it is
    /// asked for, so that a mail sent twice holds one link.
    pub fn link_token(
        &self,
        purpose: ChallengePurpose,
        sealer: &dyn Sealer,
        now: DateTime<Utc>,
    ) -> ports::Result<Option<String>> {
        let idle = purpose == ChallengePurpose::VerifyEmail && self.is_active();
        let open = self.challenge(purpose).filter(|open| !idle && now < open.expires_at);
        let Some(challenge) = open else { return Ok(None) };
        let secret = self.link_secret(purpose, challenge, sealer)?;
        Ok(Some(LinkToken { account: self.id, secret }.to_text()))
    }

    /// Whether the link is that of the open challenge.
    fn answers(
        &self,
        purpose: ChallengePurpose,
        link: &LinkToken,
        sealer: &dyn Sealer,
        now: DateTime<Utc>,
    ) -> ports::Result<bool> {
        let Some(challenge) = self.challenge(purpose).filter(|open| now < open.expires_at) else {
            return Ok(false);
        };
        Ok(link.holds(&self.link_secret(purpose, challenge, sealer)?))
    }

    fn challenge(&self, purpose: ChallengePurpose) -> Option<&Challenge> {
        match purpose {
            ChallengePurpose::VerifyEmail => self.verification.as_ref(),
            ChallengePurpose::ResetPassword => self.reset.as_ref(),
            ChallengePurpose::ChangeEmail => {
                self.email_change.as_ref().map(|change| &change.challenge)
            }
            // Each factor has one of its own.
            ChallengePurpose::ConfirmFactor => None,
        }
    }

    /// The secret of the link that proves a factor; it is of the address that
    /// it goes to.
    pub(crate) fn factor_secret(
        &self,
        factor: Uuid,
        challenge: &Challenge,
        sealer: &dyn Sealer,
    ) -> ports::Result<[u8; 32]> {
        let nonce = URL_SAFE_NO_PAD.encode(challenge.nonce);
        let value = format!("{}|{}|{factor}|{nonce}", self.id, self.email);
        Ok(sealer.blind_index(ChallengePurpose::ConfirmFactor.word(), &value)?.0)
    }

    /// Voids every open link of the account. One that waits to be verified goes
    /// on waiting, for a link that is yet to be asked for.
    pub(crate) fn void_links(&self, now: DateTime<Utc>) -> Self {
        let ended = |open: Challenge| Challenge { expires_at: open.issued_at.min(now), ..open };
        let verification = self.verification.map(ended);
        Self { reset: None, email_change: None, verification, ..self.clone() }
    }

    fn link_secret(
        &self,
        purpose: ChallengePurpose,
        challenge: &Challenge,
        sealer: &dyn Sealer,
    ) -> ports::Result<[u8; 32]> {
        let nonce = URL_SAFE_NO_PAD.encode(challenge.nonce);
        // The secret is of the address that it goes to.
        let email = match (purpose, &self.email_change) {
            (ChallengePurpose::ChangeEmail, Some(change)) => &change.email,
            _ => &self.email,
        };
        let value = format!("{}|{email}|{nonce}", self.id);
        Ok(sealer.blind_index(purpose.word(), &value)?.0)
    }

    /// The holder of the verification link has proven the address. The link of
    /// an address that is verified says so for as long as the address is the
    /// account's.
    pub fn verify_email(
        &self,
        link: &LinkToken,
        sealer: &dyn Sealer,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let verified = self.is_active();
        let Some(challenge) = self.verification.filter(|open| verified || now < open.expires_at)
        else {
            return Err(IdentityError::InvalidLink);
        };
        let right =
            link.holds(&self.link_secret(ChallengePurpose::VerifyEmail, &challenge, sealer)?);
        match self.state {
            _ if !right => Err(IdentityError::InvalidLink),
            AccountState::Unverified => {
                Ok(Self { state: AccountState::Active { verified_at: now }, ..self.clone() })
            }
            AccountState::Active { .. } => Ok(self.clone()),
            AccountState::Disabled { .. } => Err(IdentityError::InvalidLink),
        }
    }

    /// Whether the link opens a reset; asked before the costly hashing.
    pub fn may_reset(
        &self,
        link: &LinkToken,
        sealer: &dyn Sealer,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let disabled = matches!(self.state, AccountState::Disabled { .. });
        if disabled || !self.answers(ChallengePurpose::ResetPassword, link, sealer, now)? {
            return Err(IdentityError::InvalidLink);
        }
        Ok(())
    }

    /// Sets a new password. The link came by mail, so it proves the address too.
    pub fn reset_password(
        &self,
        link: &LinkToken,
        password: PasswordHash,
        sealer: &dyn Sealer,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        self.may_reset(link, sealer, now)?;
        let state = match self.state {
            AccountState::Unverified => AccountState::Active { verified_at: now },
            state => state,
        };
        Ok(Self { password: Some(password), reset: None, state, ..self.clone() })
    }

    /// Asks to sign in with another address. A request for yet another address
    /// voids the link to the last at once; `None` when the last mail to the same
    /// address is too recent.
    pub fn request_email_change(
        &self,
        email: EmailAddress,
        ids: &dyn Ids,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let last = self.email_change.as_ref();
        let same = last.filter(|change| change.email == email).map(|change| &change.challenge);
        if Challenge::too_soon(same, now) {
            return None;
        }
        let challenge = Challenge::renew(same, ChallengePurpose::ChangeEmail, ids, now);
        Some(Self { email_change: Some(EmailChange { email, challenge }), ..self.clone() })
    }

    /// The holder of the link has proven the new address. Links to the old one
    /// open nothing any more.
    pub fn change_email(
        &self,
        link: &LinkToken,
        sealer: &dyn Sealer,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let answered = self.answers(ChallengePurpose::ChangeEmail, link, sealer, now)?;
        match self.email_change.clone().filter(|_| answered && self.is_active()) {
            Some(EmailChange { email, .. }) => {
                let previous_email = Some(self.email.clone());
                Ok(Self { email, previous_email, email_change: None, ..self.clone() })
            }
            None => Err(IdentityError::InvalidLink),
        }
    }

    pub fn state_word(&self) -> &'static str {
        match self.state {
            AccountState::Unverified => "unverified",
            AccountState::Active { .. } => "active",
            AccountState::Disabled { .. } => "disabled",
        }
    }

    /// Shuts the account, or opens it again as far as it had come.
    pub fn set_disabled(&self, disabled: bool, now: DateTime<Utc>) -> Self {
        let state = match (self.state, disabled) {
            (AccountState::Disabled { .. }, false) => {
                // What has no password or waits to be verified was never active.
                if self.password.is_none() || self.verification.is_some() {
                    AccountState::Unverified
                } else {
                    AccountState::Active { verified_at: now }
                }
            }
            (AccountState::Active { .. }, true) => {
                return Self {
                    state: AccountState::Disabled { at: now },
                    // What waits to be verified is told by it.
                    verification: None,
                    ..self.clone()
                };
            }
            (AccountState::Unverified, true) => AccountState::Disabled { at: now },
            (state, _) => state,
        };
        Self { state, ..self.clone() }
    }

    /// Whether somebody who knew the password may come in.
    pub fn admit(&self) -> Result<()> {
        match self.state {
            AccountState::Active { .. } => Ok(()),
            AccountState::Unverified => Err(IdentityError::EmailNotVerified),
            AccountState::Disabled { .. } => Err(IdentityError::WrongCredentials),
        }
    }

    pub fn is_active(&self) -> bool {
        matches!(self.state, AccountState::Active { .. })
    }

    pub fn is_staff(&self) -> bool {
        self.roles.iter().any(|role| *role != Role::Patient)
    }

    /// Gives a member of the staff other roles. A patient's account stays a
    /// patient's: mixing the two would widen what a patient's session reaches.
    pub fn change_roles(&self, roles: BTreeSet<Role>) -> Result<(Self, RoleChange)> {
        if !self.is_staff() {
            return Err(IdentityError::field(
                "roles",
                "patient",
                "A patient's account takes no staff roles; create a staff account.",
            ));
        }
        check_staff_roles(&roles)?;
        let change = RoleChange { old: self.roles.clone(), new: roles.clone() };
        Ok((Self { roles, ..self.clone() }, change))
    }
}

fn check_staff_roles(roles: &BTreeSet<Role>) -> Result<()> {
    let mut errors = Vec::new();
    if roles.is_empty() {
        errors.push(FieldError::required("roles"));
    }
    if roles.contains(&Role::Patient) {
        errors.push(FieldError::new("roles", "patient", "A patient registers; staff is invited."));
    }
    if errors.is_empty() { Ok(()) } else { Err(IdentityError::Invalid(errors)) }
}

/// The secret part of a link, taken apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LinkToken {
    pub account: AccountId,
    pub(crate) secret: [u8; 32],
}

impl LinkToken {
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| IdentityError::InvalidLink)?;
        let bytes: [u8; 48] = bytes.try_into().map_err(|_| IdentityError::InvalidLink)?;
        let (account, secret) = bytes.split_at(16);
        let account = Uuid::from_slice(account).map_err(|_| IdentityError::InvalidLink)?;
        let secret = secret.try_into().map_err(|_| IdentityError::InvalidLink)?;
        Ok(Self { account: account.into(), secret })
    }

    pub(crate) fn to_text(self) -> String {
        let mut bytes = self.account.uuid().as_bytes().to_vec();
        bytes.extend(self.secret);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether this is the secret. Every byte is compared, so that the time does
    /// not tell how many were right.
    pub(crate) fn holds(&self, secret: &[u8; 32]) -> bool {
        secret.iter().zip(self.secret).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
