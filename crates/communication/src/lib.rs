//! Communication owns what is said to and between people: the threads of a
//! patient and a provider with their messages, and the notifications that
//! follow from what happens elsewhere in Salus, in the application and by
//! mail, with everyone's preferences and the history of every delivery.
//!
//! It knows nothing of how an account logs in, who treats whom, what was
//! prescribed or how SMTP works: it asks for each through the ports below.
//!
//! **Handles** every event through [`notifying::notify`] (handler name
//! [`notifying::HANDLER`]); events that nobody is told of are ignored.
//! Threads follow `PatientHandedOver` through [`handover::on_patient_handed_over`].
//! **Emits** `MessageSent`. **Jobs**: [`mailing::SendMail`], done by
//! [`mailing::send_mail`].

pub mod body;
pub mod error;
pub mod handover;
pub mod kind;
pub mod mailing;
pub mod message;
pub mod messaging;
pub mod notification;
pub mod notifying;
pub mod port;
pub mod preference;
pub mod reading;
pub mod store;
pub mod template;
pub mod thread;

pub use body::{BodyFormat, MessageBody};
pub use error::CommunicationError;
pub use kind::{Channel, NotificationKind};
pub use mailing::SendMail;
pub use message::{Message, MessageStatus, StatusWord};
pub use notification::{
    About, DropReason, FailureReason, Notification, NotificationState, StateWord,
};
pub use port::{CareTeam, Mail, Mailer, Recipient, Recipients, SignInLinks};
pub use preference::{Preference, Preferences};
pub use store::{CommunicationStore, CommunicationTx};
pub use template::{MailSettings, Templates};
pub use thread::{Side, Thread, ThreadSummary, Topic};
