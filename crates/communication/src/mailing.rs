//! Sending one mail: the attempt is stored, the call made, the outcome stored.

use kernel::{Actor, NotificationId};
use ports::{
    AuditAction, AuditEntry, Env, JobSpec, Locked, PortError, repository::get, repository::lock,
};
use serde::{Deserialize, Serialize};

use crate::{
    CommunicationError, CommunicationStore, CommunicationTx, DropReason, FailureReason, Mailer,
    Notification, NotificationKind, Recipient, Recipients, SignInLinks, Templates,
    notification::Attempt, port::RECIPIENT_REFUSED,
};

/// The job that sends the mail of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendMail {
    pub notification: NotificationId,
}

impl JobSpec for SendMail {
    const KIND: &'static str = "communication.send_mail";
}

/// What sending a mail needs besides the store.
#[derive(Clone, Copy)]
pub struct PostOffice<'a> {
    pub mailer: &'a dyn Mailer,
    pub recipients: &'a dyn Recipients,
    pub links: &'a dyn SignInLinks,
    pub templates: &'a Templates,
}

/// Sends the mail of a notification, unless that is done already. An error
/// means that it is to be tried again; every attempt carries the Message-ID of
/// the first, so that a receiver keeps one copy even when the outcome of an
/// earlier attempt is unknown.
pub async fn send_mail(
    env: &Env,
    store: &dyn CommunicationStore,
    office: PostOffice<'_>,
    job: SendMail,
) -> Result<(), CommunicationError> {
    let actor = Actor::system(SendMail::KIND);
    let notification =
        get::<Notification>(store.begin(&actor).await?.as_mut(), job.notification).await?;
    if !notification.is_open() {
        return Ok(());
    }

    let Some(mut recipient) = office.recipients.recipient(notification.recipient).await? else {
        return give_up(env, store, &actor, notification, DropReason::NoRecipient).await;
    };
    let link = match notification.kind {
        NotificationKind::VerifyEmail => {
            Some(office.links.verification_link(notification.recipient).await?)
        }
        NotificationKind::PasswordReset => {
            Some(office.links.reset_link(notification.recipient).await?)
        }
        NotificationKind::ConfirmFactor => {
            let factor = notification.about.id;
            Some(office.links.factor_link(notification.recipient, factor).await?)
        }
        NotificationKind::AddressLeft => {
            let left = office.links.previous_address(notification.recipient).await?;
            if let Some(email) = &left {
                recipient.email = email.clone();
            }
            // It takes no link, and without an address there is nobody to tell.
            left.is_none().then_some(None)
        }
        NotificationKind::ChangeEmail => {
            let change = office.links.new_address(notification.recipient).await?;
            Some(change.map(|(email, link)| {
                recipient.email = email;
                link
            }))
        }
        _ => None,
    };
    // A cut-short attempt for a link that is used by now needs no repetition.
    if link == Some(None) {
        return give_up(env, store, &actor, notification, DropReason::NoLongerNeeded).await;
    }
    let link = link.flatten();
    let mail = office.templates.mail(&notification, &recipient, link.as_deref())?;

    let mut tx = store.begin(&actor).await?;
    if tx.is_suppressed(&recipient.email).await? {
        drop(tx);
        return give_up(env, store, &actor, notification, DropReason::AddressSuppressed).await;
    }
    let mut notification = unchanged(tx.as_mut(), &notification).await?;
    notification.begin_attempt();
    tx.save(&mut notification).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Execute, "notification", notification.id)
            .detail("attempt", notification.attempts()),
    );
    tx.commit().await?;

    let sent = office.mailer.send(&mail).await;
    settle(env, store, &actor, notification.into_inner(), &recipient, sent).await
}

/// Locks the notification, which nobody has changed since it was read.
async fn unchanged(
    tx: &mut dyn CommunicationTx,
    read: &Notification,
) -> Result<Locked<Notification>, PortError> {
    lock(tx, read.id, &read.version.into()).await
}

async fn settle(
    env: &Env,
    store: &dyn CommunicationStore,
    actor: &Actor,
    notification: Notification,
    recipient: &Recipient,
    sent: ports::Result<()>,
) -> Result<(), CommunicationError> {
    let (attempt, failure) = match sent {
        Ok(()) => (Attempt::Accepted, None),
        Err(PortError::Refused { code, .. }) if code == RECIPIENT_REFUSED => {
            (Attempt::Refused(FailureReason::RecipientRefused), None)
        }
        Err(PortError::Refused { .. }) => (Attempt::Refused(FailureReason::MessageRefused), None),
        Err(error) => (Attempt::Inconclusive, Some(error)),
    };
    if let Attempt::Refused(reason) = attempt {
        // By its ids alone: the address stays out of the log.
        tracing::warn!(
            notification = %notification.id,
            kind = %notification.kind,
            ?reason,
            "a mail was refused and is not sent again"
        );
    }

    let mut tx = store.begin(actor).await?;
    let mut notification = unchanged(tx.as_mut(), &notification).await?;
    notification.finish_attempt(attempt, env.now());
    tx.save(&mut notification).await?;
    if attempt == Attempt::Refused(FailureReason::RecipientRefused) {
        tx.suppress(&recipient.email, notification.id).await?;
    }
    let entry = AuditEntry::new(AuditAction::Execute, "notification", notification.id)
        .detail("attempt", notification.attempts())
        .detail("state", notification.state.word().to_string());
    tx.audit(if attempt == Attempt::Accepted { entry } else { entry.failed() });
    tx.commit().await?;

    match failure {
        // Given up: there is nothing left that a repetition could do.
        Some(_) if !notification.is_open() => Ok(()),
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

async fn give_up(
    env: &Env,
    store: &dyn CommunicationStore,
    actor: &Actor,
    notification: Notification,
    reason: DropReason,
) -> Result<(), CommunicationError> {
    if reason != DropReason::NoLongerNeeded {
        tracing::warn!(
            notification = %notification.id,
            kind = %notification.kind,
            %reason,
            "a mail was not sent"
        );
    }
    let mut tx = store.begin(actor).await?;
    let mut notification = unchanged(tx.as_mut(), &notification).await?;
    notification.drop_for(reason, env.now());
    tx.save(&mut notification).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "notification", notification.id)
            .detail("state", notification.state.word().to_string())
            .detail("reason", reason.to_string()),
    );
    tx.commit().await?;
    Ok(())
}
