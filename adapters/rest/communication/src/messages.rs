use std::sync::Arc;

use api::{Body, Caller, PageQuery, Problem, Tag, Text, idempotency_key};
use chrono::{DateTime, Utc};
use communication::{
    BodyFormat, CareTeam, CommunicationError, CommunicationStore, Message, MessageBody, Thread,
    ThreadSummary,
    messaging::{self, Destination},
};
use kernel::{AccountId, FieldError, MessageId, Page, ThreadId, Uuid, text::MessageText};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
    types::Example,
};
use ports::Env;

use super::StatusWord;

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
    pub thread_id: Option<Uuid>,
    /// The account to write to: for a patient a provider of their care team,
    /// for a provider a patient of their panel.
    pub recipient_id: Option<Uuid>,
    /// What it is about; needed with `recipient_id`.
    pub topic: Option<communication::Topic>,
    /// The subscription it is about, where it is about one.
    pub subscription_id: Option<Uuid>,
    /// How `body` is to be read; plain text without one. HTML is reduced to
    /// simple formatting and to links to `https`, `mailto` and `tel`.
    pub format: Option<communication::BodyFormat>,
    /// What to say, in 1 to 10,000 characters.
    pub body: Text<MessageText>,
}

impl Example for SendMessage {
    fn example() -> Self {
        Self {
            thread_id: None,
            recipient_id: Some(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001)),
            topic: Some(communication::Topic::Treatment),
            subscription_id: None,
            format: None,
            body: "My scalp has been itching since Monday. Should I go on?".into(),
        }
    }
}

impl SendMessage {
    fn parse(self) -> Result<(Destination, MessageBody), CommunicationError> {
        let field = |path, code, message: &str| FieldError::new(path, code, message);
        let destination = match (self.thread_id, self.recipient_id, self.topic) {
            (Some(thread), None, _) => Destination::Thread(ThreadId(thread)),
            (None, Some(account), Some(topic)) => Destination::Person {
                account: AccountId(account),
                topic,
                subscription: self.subscription_id.map(Into::into),
            },
            (None, Some(_), None) => {
                return Err(CommunicationError::Invalid(vec![FieldError::required("topic")]));
            }
            (Some(_), Some(_), _) => {
                return Err(CommunicationError::Invalid(vec![field(
                    "recipient_id",
                    "ambiguous",
                    "Give either a thread or a recipient.",
                )]));
            }
            (None, None, _) => {
                return Err(CommunicationError::Invalid(vec![field(
                    "thread_id",
                    "required",
                    "Give a thread or a recipient.",
                )]));
            }
        };
        let format = self.format.map_or(BodyFormat::Plain, BodyFormat::from);
        Ok((destination, MessageBody::parse(format, &self.body)?))
    }
}

/// A message.
#[derive(Debug, Object)]
pub struct MessageView {
    pub id: Uuid,
    pub thread_id: Uuid,
    pub sender_id: Uuid,
    pub recipient_id: Uuid,
    pub format: communication::BodyFormat,
    /// The text; where it is HTML, it is safe to show.
    pub body: String,
    pub status: StatusWord,
    pub sent_at: DateTime<Utc>,
    /// When the recipient's client fetched it.
    pub delivered_at: Option<DateTime<Utc>>,
    pub read_at: Option<DateTime<Utc>>,
}

impl From<Message> for MessageView {
    fn from(message: Message) -> Self {
        Self {
            id: message.id.uuid(),
            thread_id: message.thread.uuid(),
            sender_id: message.sender.uuid(),
            recipient_id: message.recipient.uuid(),
            format: message.body.format(),
            body: message.body.text().to_owned(),
            status: message.status.into(),
            sent_at: message.sent_at,
            delivered_at: message.status.delivered_at(),
            read_at: message.status.read_at(),
        }
    }
}

/// A thread of a patient and a provider.
#[derive(Debug, Object)]
pub struct ThreadView {
    pub id: Uuid,
    pub patient_id: Uuid,
    pub provider_id: Uuid,
    pub topic: communication::Topic,
    pub subscription_id: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    /// When the newest message was sent; only in lists.
    pub last_message_at: Option<DateTime<Utc>>,
    /// How many messages the caller has not read; only in lists.
    pub unread: Option<u64>,
}

impl From<Thread> for ThreadView {
    fn from(thread: Thread) -> Self {
        Self {
            id: thread.id.uuid(),
            patient_id: thread.patient.uuid(),
            provider_id: thread.provider.uuid(),
            topic: thread.topic,
            subscription_id: thread.subscription.map(|id| id.uuid()),
            created_at: thread.created_at,
            last_message_at: None,
            unread: None,
        }
    }
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
#[derive(Debug, Object)]
pub struct ThreadsView {
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
        user_id: Path<Uuid>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<Json<ThreadsView>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let account = AccountId(user_id.0);
        let Page { items, next } =
            messaging::list_threads(self.store.as_ref(), caller.actor(), account, &page).await?;
        Ok(Json(ThreadsView { threads: items.into_iter().map(Into::into).collect(), next }))
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
    ) -> Result<Json<MessageView>, Problem> {
        let key = idempotency_key("communication.send", &key.0, &body.0)?;
        let (destination, text) = body.0.parse()?;
        let (store, team) = (self.store.as_ref(), self.care_team.as_ref());
        let actor = caller.actor();
        let message =
            messaging::send_message(&self.env, store, team, actor, &key, destination, text).await?;
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
        thread_id: Path<Uuid>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<Json<MessagesView>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let (store, id) = (self.store.as_ref(), ThreadId(thread_id.0));
        let (thread, messages) =
            messaging::read_thread(&self.env, store, caller.actor(), id, &page).await?;
        Ok(Json(MessagesView {
            thread: thread.into(),
            messages: messages.items.into_iter().map(Into::into).collect(),
            next: messages.next,
        }))
    }

    /// Mark a message as read
    ///
    /// Only its recipient can; the first time stands.
    #[oai(path = "/api/messages/:id/read", method = "put", operation_id = "markMessageRead")]
    async fn mark_read(
        &self,
        caller: Caller,
        id: Path<Uuid>,
    ) -> Result<Json<MessageView>, Problem> {
        let (store, id) = (self.store.as_ref(), MessageId(id.0));
        let message = messaging::mark_message_read(&self.env, store, caller.actor(), id).await?;
        Ok(Json(message.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> SendMessage {
        SendMessage::example()
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
        let thread_id = Some(Uuid::from_u128(1));
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
