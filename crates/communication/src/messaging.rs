//! Writing and reading messages.

use kernel::{
    AccountId, Actor, MessageId, Page, PageRequest, PatientId, Permission, ProviderId, Seen,
    SubscriptionId, ThreadId,
};
use ports::{
    Aggregate, AuditAction, AuditEntry, Env, Event, IdempotencyKey, Locked, PortError, Repository,
    repository::get, repository::lock_existing,
};

use crate::{
    CareTeam, CommunicationError, CommunicationStore, CommunicationTx, Message, MessageBody,
    Thread, ThreadSummary, Topic, error::check_cursor,
};

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A thread that the sender takes part in.
    Thread(ThreadId),
    /// Someone the sender treats or is treated by, on a topic; the thread of
    /// the two on that topic is opened when there is none.
    Person { account: AccountId, topic: Topic, subscription: Option<SubscriptionId> },
}

/// Sends a message. A second call with the same key answers with the message
/// of the first.
pub async fn send_message(
    env: &Env,
    store: &dyn CommunicationStore,
    care_team: &dyn CareTeam,
    actor: &Actor,
    key: &IdempotencyKey,
    destination: Destination,
    body: MessageBody,
) -> Result<Message, CommunicationError> {
    actor.require(Permission::MessageOwn)?;
    let sender = actor.account().ok_or(CommunicationError::RecipientNotFound)?;
    let thread = address(env, store, care_team, actor, sender, &destination).await?;
    let side = thread.side_of_actor(actor).ok_or(CommunicationError::RecipientNotFound)?;

    let mut tx = store.begin(actor).await?;
    let id = env.fresh::<MessageId>();
    if let Some(earlier) = tx.claim(key, id.uuid()).await? {
        let message = get::<Message>(tx.as_mut(), MessageId(earlier)).await?;
        tx.audit(read_of(&message));
        tx.commit().await?;
        return Ok(message);
    }
    let thread = tx.open_thread(&thread).await?;
    let message = Message::write(id, &thread, side, body, env.now());
    tx.insert(&message).await?;
    tx.emit(Event::MessageSent {
        message: message.id,
        thread: thread.id,
        sender: message.sender,
        recipient: message.recipient,
    });
    tx.audit(
        AuditEntry::new(AuditAction::Create, "message", message.id)
            .patient(thread.patient)
            .detail("thread", thread.id.to_string()),
    );
    tx.commit().await?;
    Ok(message)
}

/// The thread that a destination stands for, once it is clear that its two
/// still treat each other. Whatever is in the way looks the same from outside
/// and leaves a denied entry.
async fn address(
    env: &Env,
    store: &dyn CommunicationStore,
    care_team: &dyn CareTeam,
    actor: &Actor,
    sender: AccountId,
    destination: &Destination,
) -> Result<Thread, CommunicationError> {
    let thread = match destination {
        Destination::Thread(id) => {
            let mut tx = store.begin(actor).await?;
            tx.thread(*id, sender).await?.filter(|thread| thread.side_of_actor(actor).is_some())
        }
        Destination::Person { account, topic, subscription } => {
            let pair = |patient: PatientId, provider: ProviderId| Thread {
                id: env.fresh(),
                patient,
                provider,
                topic: *topic,
                subscription: *subscription,
                created_at: env.now(),
            };
            // Someone who is both is a patient of others and never of themselves.
            match (actor.as_provider(), actor.as_patient()) {
                _ if *account == sender => None,
                (Some(provider), _)
                    if care_team.includes(account.as_patient(), provider).await? =>
                {
                    Some(pair(account.as_patient(), provider))
                }
                (_, Some(patient)) => Some(pair(patient, account.as_provider())),
                _ => None,
            }
        }
    };
    if let Some(thread) = thread
        && care_team.includes(thread.patient, thread.provider).await?
    {
        if let (Destination::Person { .. }, Some(subscription)) = (destination, thread.subscription)
            && !care_team.subscribed(thread.patient, subscription).await?
        {
            let message = "The patient has no such subscription.";
            return Err(CommunicationError::invalid("subscription_id", "unknown", message));
        }
        return Ok(thread);
    }
    let (entity, id) = match destination {
        Destination::Thread(id) => ("message_thread", id.to_string()),
        Destination::Person { account, .. } => ("message_recipient", account.to_string()),
    };
    let mut tx = store.begin(actor).await?;
    tx.audit(AuditEntry::new(AuditAction::Create, entity, id).denied());
    tx.commit().await?;
    Err(match destination {
        Destination::Thread(_) => PortError::not_found("message_thread").into(),
        Destination::Person { .. } => CommunicationError::RecipientNotFound,
    })
}

/// The threads of an account, which only that account sees.
pub async fn list_threads(
    store: &dyn CommunicationStore,
    actor: &Actor,
    account: AccountId,
    page: &PageRequest,
) -> Result<Page<ThreadSummary>, CommunicationError> {
    actor.require(Permission::MessageOwn)?;
    check_cursor(page)?;
    let mut tx = store.begin(actor).await?;
    if actor.account() != Some(account) {
        return deny_account(tx, AuditAction::Search, "message_thread", account).await;
    }
    let mut threads = tx.threads_of(account, page).await?;
    threads.items.retain(|summary| summary.thread.side_of_actor(actor).is_some());
    let entry = AuditEntry::new(AuditAction::Search, "message_thread", account).detail(
        "threads",
        threads.items.iter().map(|summary| summary.thread.id.to_string()).collect::<Vec<_>>(),
    );
    tx.audit(of_own(actor, entry));
    tx.commit().await?;
    Ok(threads)
}

/// A page of a thread's messages, the newest first. Fetching them is what
/// makes the other side's messages delivered.
pub async fn read_thread(
    env: &Env,
    store: &dyn CommunicationStore,
    actor: &Actor,
    id: ThreadId,
    page: &PageRequest,
) -> Result<(Thread, Page<Message>), CommunicationError> {
    actor.require(Permission::MessageOwn)?;
    check_cursor(page)?;
    let mut tx = store.begin(actor).await?;
    let Some((reader, thread)) = own_thread(tx.as_mut(), actor, id).await? else {
        return deny(tx, AuditAction::Read, "message_thread", id).await;
    };
    let delivered = tx.mark_delivered(id, reader, env.now()).await?;
    let messages = tx.messages(id, page).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Read, "message_thread", id)
            .patient(thread.patient)
            .detail("messages", messages.items.len())
            .detail("newly_delivered", delivered),
    );
    tx.commit().await?;
    Ok((thread, messages))
}

/// Marks a message as read; only its recipient can.
pub async fn mark_message_read(
    env: &Env,
    store: &dyn CommunicationStore,
    actor: &Actor,
    id: MessageId,
) -> Result<Message, CommunicationError> {
    actor.require(Permission::MessageOwn)?;
    let mut tx = store.begin(actor).await?;
    let Some((reader, mut message)) = lock_own::<Message>(tx.as_mut(), actor, id).await? else {
        return deny(tx, AuditAction::Update, "message", id).await;
    };
    message.read_by(reader, env.now())?;
    if message.status != message.stored().status {
        tx.save(&mut message).await?;
        tx.audit(
            AuditEntry::new(AuditAction::Update, "message", id)
                .patient(message.patient)
                .detail("status", message.status.word()),
        );
    } else {
        // The answer holds the text once more.
        tx.audit(read_of(&message));
    }
    tx.commit().await?;
    Ok(message.into_inner())
}

fn read_of(message: &Message) -> AuditEntry {
    AuditEntry::new(AuditAction::Read, "message", message.id).patient(message.patient)
}

/// An entry about what is the actor's own, in the trail of a patient where the actor is one.
pub(crate) fn of_own(actor: &Actor, entry: AuditEntry) -> AuditEntry {
    AuditEntry { patient: actor.as_patient(), ..entry }
}

/// The actor's account and what it reaches, locked; `None` where there is no such thing
/// for it. Salus itself has nothing of its own.
pub(crate) async fn lock_own<A: Aggregate>(
    tx: &mut (impl Repository<A> + ?Sized),
    actor: &Actor,
    id: A::Id,
) -> Result<Option<(AccountId, Locked<A>)>, PortError> {
    let Some(account) = actor.account() else { return Ok(None) };
    let found = lock_existing(tx, id, &Seen::Any).await?;
    Ok(found.map(|found| (account, found)))
}

async fn own_thread(
    tx: &mut dyn CommunicationTx,
    actor: &Actor,
    id: ThreadId,
) -> Result<Option<(AccountId, Thread)>, CommunicationError> {
    let Some(account) = actor.account() else { return Ok(None) };
    let thread = tx.thread(id, account).await?;
    Ok(thread
        .filter(|thread| thread.side_of_actor(actor).is_some())
        .map(|thread| (account, thread)))
}

/// Leaves a denied entry and answers as if there were nothing.
pub(crate) async fn deny<T>(
    tx: Box<dyn CommunicationTx>,
    action: AuditAction,
    entity: &'static str,
    id: impl ToString + Send,
) -> Result<T, CommunicationError> {
    hidden(tx, entity, AuditEntry::new(action, entity, id)).await
}

/// The same for what is asked for by the account whose it is, so that it stands
/// in the trail of that patient. Whether the account is a patient's, is not said
/// to anybody by a denial, and the trail of who is none is never asked for.
pub(crate) async fn deny_account<T>(
    tx: Box<dyn CommunicationTx>,
    action: AuditAction,
    entity: &'static str,
    account: AccountId,
) -> Result<T, CommunicationError> {
    let entry = AuditEntry::new(action, entity, account).patient(account.as_patient());
    hidden(tx, entity, entry).await
}

async fn hidden<T>(
    mut tx: Box<dyn CommunicationTx>,
    entity: &'static str,
    entry: AuditEntry,
) -> Result<T, CommunicationError> {
    tx.audit(entry.denied());
    tx.commit().await?;
    Err(PortError::not_found(entity).into())
}
