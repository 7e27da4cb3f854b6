use std::sync::Arc;

use api::{Answer, Body, Caller, Mirror, PageQuery, Result, Tag, Text, idempotency_key};
use chrono::{DateTime, Utc};
use communication::{
    BodyFormat, CareTeam, CommunicationError, CommunicationStore, Message, MessageBody, StatusWord,
    Thread, ThreadSummary, Topic,
    messaging::{self, Destination},
};
use kernel::{
    AccountId, FieldError, MessageId, Page, PatientId, ProviderId, SubscriptionId, ThreadId, Uuid,
    text::MessageText,
};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use ports::Env;

pub struct MessagesApi {
    pub env: Env,
    pub store: Arc<dyn CommunicationStore>,
    pub care_team: Arc<dyn CareTeam>,
}

/// A message to send: either a reply in `thread_id`, or one to `recipient_id`
/// on a `topic`.
#[derive(Debug, Object)]
#[oai(example)]
pub struct SendMessage {
    /// The thread to reply in.
    pub thread_id: Option<ThreadId>,
    /// The account to write to: for a patient a provider of their care team,
    /// for a provider a patient of their panel.
    pub recipient_id: Option<AccountId>,
    /// What it is about; needed with `recipient_id`.
    pub topic: Option<Topic>,
    /// The subscription it is about, where it is about one.
    pub subscription_id: Option<SubscriptionId>,
    /// How `body` is to be read; plain text without one. HTML is reduced to
    /// simple formatting and to links to `https`, `mailto` and `tel`.
    pub format: Option<BodyFormat>,
    /// What to say, in 1 to 10,000 characters.
    pub body: Text<MessageText>,
}

api::example!(SendMessage {
    thread_id: None,
    recipient_id: Some(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001).into()),
    topic: Some(Topic::Treatment),
    subscription_id: None,
    format: None,
    body: "My scalp has been itching since Monday. Should I go on?".into(),
});

impl SendMessage {
    fn parse(self) -> Result<(Destination, MessageBody), CommunicationError> {
        let refuse = |path, code, message: &str| {
            Err(CommunicationError::Invalid(vec![FieldError::new(path, code, message)]))
        };
        let destination = match (self.thread_id, self.recipient_id, self.topic) {
            (Some(thread), None, _) => Destination::Thread(thread),
            (None, Some(account), Some(topic)) => {
                Destination::Person { account, topic, subscription: self.subscription_id }
            }
            (None, Some(_), None) => {
                return Err(CommunicationError::Invalid(vec![FieldError::required("topic")]));
            }
            (Some(_), Some(_), _) => {
                return refuse("recipient_id", "ambiguous", "Give either a thread or a recipient.");
            }
            (None, None, _) => {
                return refuse("thread_id", "required", "Give a thread or a recipient.");
            }
        };
        let format = self.format.unwrap_or(BodyFormat::Plain);
        Ok((destination, MessageBody::parse(format, &self.body)?))
    }
}

/// A message.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Message)]
pub struct MessageView {
    pub id: MessageId,
    pub thread_id: ThreadId,
    pub sender_id: AccountId,
    pub recipient_id: AccountId,
    #[mirror(|message| message.body.format())]
    pub format: BodyFormat,
    /// The text; where it is HTML, it is safe to show.
    #[mirror(|message| message.body.text().to_owned())]
    pub body: String,
    #[mirror(|message| message.status.status())]
    pub status: StatusWord,
    pub sent_at: DateTime<Utc>,
    /// When the recipient's client fetched it.
    #[mirror(|message| message.status.delivered_at())]
    pub delivered_at: Option<DateTime<Utc>>,
    #[mirror(|message| message.status.read_at())]
    pub read_at: Option<DateTime<Utc>>,
}

/// A thread of a patient and a provider.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Thread)]
pub struct ThreadView {
    pub id: ThreadId,
    pub patient_id: PatientId,
    pub provider_id: ProviderId,
    pub topic: Topic,
    pub subscription_id: Option<SubscriptionId>,
    pub created_at: DateTime<Utc>,
    /// When the newest message was sent; only in lists.
    #[mirror(|_| None)]
    pub last_message_at: Option<DateTime<Utc>>,
    /// How many messages the caller has not read; only in lists.
    #[mirror(|_| None)]
    pub unread: Option<u64>,
}

impl From<ThreadSummary> for ThreadView {
    fn from(summary: ThreadSummary) -> Self {
        Self {
            last_message_at: Some(summary.last_message_at),
            unread: Some(summary.unread),
            ..summary.thread.into()
        }
    }
}

/// A page of threads, the one with the newest message first.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Page<ThreadSummary>)]
pub struct ThreadsView {
    #[mirror(items)]
    pub threads: Vec<ThreadView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// A page of a thread's messages, the newest first.
#[derive(Debug, Object)]
pub struct MessagesView {
    pub thread: ThreadView,
    pub messages: Vec<MessageView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

#[OpenApi(tag = "Tag::Communication")]
impl MessagesApi {
    /// List an account's threads
    ///
    /// The threads that the account takes part in, the one with the newest
    /// message first. Only the account's own holder sees them.
    #[oai(
        path = "/api/messages/threads/:user_id",
        method = "get",
        operation_id = "listMessageThreads"
    )]
    async fn threads(
        &self,
        caller: Caller,
        user_id: Path<AccountId>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<ThreadsView> {
        let (store, page) = (&*self.store, PageQuery::read(limit, cursor)?);
        Ok(Json(messaging::list_threads(store, caller.actor(), user_id.0, &page).await?.into()))
    }

    /// Send a message
    ///
    /// Sends a message to someone who treats the caller or whom the caller
    /// treats; the thread of the two on the topic is opened when there is none.
    /// Repeated with the same `Idempotency-Key`, it answers with the message
    /// that was sent first.
    #[oai(path = "/api/messages/send", method = "post", operation_id = "sendMessage")]
    async fn send(
        &self,
        caller: Caller,
        /// A value that is unique to this message; a repetition carries it again.
        #[oai(name = "Idempotency-Key")]
        key: Header<String>,
        body: Body<SendMessage>,
    ) -> Answer<MessageView> {
        let key = idempotency_key("communication.send", &key.0, &body.0)?;
        let (to, text) = body.0.parse()?;
        let (store, team, actor) = (&*self.store, &*self.care_team, caller.actor());
        let message =
            messaging::send_message(&self.env, store, team, actor, &key, to, text).await?;
        Ok(Json(message.into()))
    }

    /// Read a thread
    ///
    /// A page of the thread's messages, the newest first. Messages to the
    /// caller count as delivered from here on.
    #[oai(path = "/api/messages/:thread_id", method = "get", operation_id = "readMessageThread")]
    async fn read(
        &self,
        caller: Caller,
        thread_id: Path<ThreadId>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<MessagesView> {
        let (store, page) = (&*self.store, PageQuery::read(limit, cursor)?);
        let (thread, messages) =
            messaging::read_thread(&self.env, store, caller.actor(), thread_id.0, &page).await?;
        Ok(Json(MessagesView {
            thread: thread.into(),
            messages: messages.items.into_iter().map(Into::into).collect(),
            next: messages.next,
        }))
    }

    /// Mark a message as read
    ///
    /// Only its recipient can; the time of the first call is kept.
    #[oai(path = "/api/messages/:id/read", method = "put", operation_id = "markMessageRead")]
    async fn mark_read(&self, caller: Caller, id: Path<MessageId>) -> Answer<MessageView> {
        let (env, store) = (&self.env, &*self.store);
        Ok(Json(messaging::mark_message_read(env, store, caller.actor(), id.0).await?.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> SendMessage {
        <SendMessage as api::Example>::example()
    }

    fn paths(request: SendMessage) -> Vec<String> {
        match request.parse() {
            Err(CommunicationError::Invalid(fields)) => {
                fields.into_iter().map(|field| format!("{} {}", field.path, field.code)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_has_exactly_one_destination() {
        let thread_id = Some(Uuid::from_u128(1).into());
        assert!(matches!(request().parse(), Ok((Destination::Person { .. }, _))));
        let reply = SendMessage { thread_id, recipient_id: None, topic: None, ..request() };
        assert!(matches!(reply.parse(), Ok((Destination::Thread(_), _))));
        assert_eq!(paths(SendMessage { thread_id, ..request() }), ["recipient_id ambiguous"]);
        let nobody = SendMessage { recipient_id: None, ..request() };
        assert_eq!(paths(nobody), ["thread_id required"]);
        assert_eq!(paths(SendMessage { topic: None, ..request() }), ["topic required"]);
        let silent = SendMessage { body: " ".into(), ..request() };
        assert_eq!(paths(silent), ["body required"]);
    }
}
