//! What becomes void when something about an account changes: one rule for all
//! that somebody else may have begun, got hold of or left behind.
//!
//! | | reset | new password | new address | disabled |
//! |---|---|---|---|---|
//! | sessions, and sign-ins that were begun | all | all others | all | all |
//! | links to choose a password | void | void | void | void |
//! | the link that verifies the address | void | void | void | void |
//! | a change of address that waits for its link | void | void | taken | void |
//! | an authenticator app before its first code | dropped | dropped | dropped | dropped |
//! | links that prove a factor | renewed | renewed | renewed | void |
//! | factors and recovery codes that are not proved | suspended, dropped | | | |
//!
//! A proved factor outlives all of it.

use kernel::{SessionId, Uuid};
use ports::Event;

use crate::{
    Account, IdentityTx, Services, Standing, credentials::end_sessions, error::Result,
    factor::Totp, session::RevocationReason,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    PasswordReset,
    /// By the owner, in this session.
    PasswordChanged(SessionId),
    EmailChanged,
    Disabled,
    Enabled,
}

impl Cause {
    fn reason(self) -> RevocationReason {
        match self {
            Self::PasswordReset => RevocationReason::PasswordReset,
            Self::PasswordChanged(_) => RevocationReason::PasswordChanged,
            Self::EmailChanged => RevocationReason::EmailChanged,
            Self::Disabled | Self::Enabled => RevocationReason::Administrator,
        }
    }
}

/// What the rule did, for the audit log and for what is remembered of sessions.
pub(crate) struct Voided {
    pub sessions: Vec<SessionId>,
    pub suspended: usize,
}

/// Applies the rule, in the transaction of the change. The caller holds the
/// account and saves it.
pub(crate) async fn void(
    services: &Services,
    tx: &mut dyn IdentityTx,
    account: &mut Account,
    cause: Cause,
) -> Result<Voided> {
    let (now, ids) = (services.now(), services.env.ids.as_ref());
    let keep = match cause {
        Cause::PasswordChanged(this) => Some(this),
        _ => None,
    };
    // Whoever adds a factor holds the sessions first, so what they add is seen
    // here, or they find their session ended.
    let sessions = end_sessions(services, tx, account, keep, cause.reason()).await?;
    *account = account.void_links(now);
    let mut suspended = 0;
    if cause == Cause::Enabled {
        return Ok(Voided { sessions, suspended });
    }
    let mut to_confirm: Vec<Uuid> = Vec::new();
    let settle = |standing: Standing| match cause {
        Cause::PasswordReset => standing.suspend(ids, now),
        Cause::Disabled => Standing { confirmation: None, ..standing },
        _ => standing.ask(ids, now),
    };
    match tx.lock_totp(account.id).await? {
        Some(totp) if totp.confirmed_at.is_none() => tx.remove_totp(account.id).await?,
        Some(totp) if !totp.standing.is_proved() => {
            let standing = settle(totp.standing);
            suspended += usize::from(totp.standing.is_active() && !standing.is_active());
            to_confirm.extend(standing.confirmation.map(|_| account.id.uuid()));
            tx.save_totp(&Totp { standing, ..totp }).await?;
        }
        _ => {}
    }
    for mut passkey in tx.lock_passkeys(account.id).await? {
        if passkey.standing.is_proved() {
            continue;
        }
        let standing = settle(passkey.standing);
        suspended += usize::from(passkey.standing.is_active() && !standing.is_active());
        to_confirm.extend(standing.confirmation.map(|_| passkey.id.uuid()));
        passkey.standing = standing;
        tx.save_passkey(&passkey).await?;
    }
    if cause == Cause::PasswordReset {
        tx.drop_unproved_recovery_codes(account.id).await?;
    }
    for factor in to_confirm {
        tx.emit(Event::FactorConfirmationRequested { account: account.id, factor });
    }
    Ok(Voided { sessions, suspended })
}
