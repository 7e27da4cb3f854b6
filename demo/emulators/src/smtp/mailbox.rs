//! What the provider keeps, and how it has been told to answer.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mail_parser::MessageParser;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Mailboxes {
    pub messages: Vec<Kept>,
    pub replies: Vec<ScriptedReply>,
    pub faults: Vec<ScriptedFault>,
}

/// One recipient's copy of a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub recipient: String,
    pub sender: String,
    /// Without the angle brackets.
    pub message_id: Option<String>,
    /// How often it was handed over.
    pub deliveries: u32,
    /// The message as it came, in base64.
    pub raw: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ScriptedReply {
    pub recipient: String,
    pub code: u16,
    /// How often it still answers so; for good without one.
    pub times: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fault {
    /// The message is refused for now, with 451.
    RefuseData,
    /// The message is refused for good, with 554.
    RejectData,
    /// The message is kept and the connection dropped before the reply.
    DropAfter,
    /// The message is kept and no reply ever comes.
    Hang,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ScriptedFault {
    pub fault: Fault,
    pub times: u32,
}

impl Kept {
    pub fn raw(&self) -> Vec<u8> {
        STANDARD.decode(&self.raw).unwrap_or_default()
    }
}

impl Mailboxes {
    /// Keeps a message for each of its recipients.
    pub fn keep(&mut self, sender: &str, recipients: &[String], raw: &[u8]) {
        let message_id = MessageParser::default()
            .parse(raw)
            .and_then(|message| message.message_id().map(str::to_owned));
        for recipient in recipients {
            let recipient = recipient.to_lowercase();
            let earlier = self.messages.iter_mut().find(|kept| {
                kept.message_id.is_some()
                    && kept.message_id == message_id
                    && kept.recipient == recipient
            });
            match earlier {
                Some(kept) => kept.deliveries += 1,
                None => self.messages.push(Kept {
                    recipient,
                    sender: sender.to_owned(),
                    message_id: message_id.clone(),
                    deliveries: 1,
                    raw: STANDARD.encode(raw),
                }),
            }
        }
    }

    /// The scripted reply to a recipient, used up by one.
    pub fn take_reply(&mut self, recipient: &str) -> Option<u16> {
        let wanted = recipient.to_lowercase();
        let index = self
            .replies
            .iter()
            .position(|reply| reply.recipient.to_lowercase() == wanted && reply.times != Some(0))?;
        let reply = &mut self.replies[index];
        if let Some(times) = &mut reply.times {
            *times -= 1;
        }
        let code = reply.code;
        self.replies.retain(|reply| reply.times != Some(0));
        Some(code)
    }

    /// The fault that befalls the next message, used up by one.
    pub fn take_fault(&mut self) -> Option<Fault> {
        let scripted = self.faults.iter_mut().find(|scripted| scripted.times > 0)?;
        scripted.times -= 1;
        let fault = scripted.fault;
        self.faults.retain(|scripted| scripted.times > 0);
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &[u8] = b"Message-ID: <1@example.org>\r\nSubject: Hi\r\n\r\nHello\r\n";

    #[test]
    fn a_repeated_message_is_shown_once_to_each_recipient_and_counted() {
        let mut mailboxes = Mailboxes::default();
        let both = ["ada@example.com".to_owned(), "Bob@example.com".to_owned()];
        mailboxes.keep("from@example.org", &both, RAW);
        mailboxes.keep("from@example.org", &both[1..], RAW);
        let counts: Vec<(&str, u32)> = mailboxes
            .messages
            .iter()
            .map(|kept| (kept.recipient.as_str(), kept.deliveries))
            .collect();
        assert_eq!(counts, [("ada@example.com", 1), ("bob@example.com", 2)]);
        assert_eq!(mailboxes.messages[0].raw(), RAW);
    }

    #[test]
    fn messages_without_an_id_are_never_taken_for_each_other() {
        let mut mailboxes = Mailboxes::default();
        let ada = ["ada@example.com".to_owned()];
        mailboxes.keep("from@example.org", &ada, b"Subject: Hi\r\n\r\nHello\r\n");
        mailboxes.keep("from@example.org", &ada, b"Subject: Hi\r\n\r\nHello\r\n");
        assert_eq!(mailboxes.messages.len(), 2);
    }

    #[test]
    fn a_scripted_reply_is_used_up() {
        let mut mailboxes = Mailboxes::default();
        let recipient = "Ada@example.com".to_owned();
        mailboxes.replies.push(ScriptedReply { recipient, code: 451, times: Some(1) });
        assert_eq!(mailboxes.take_reply("bob@example.com"), None);
        assert_eq!(mailboxes.take_reply("ada@example.com"), Some(451));
        assert_eq!(mailboxes.take_reply("ada@example.com"), None);
    }
}
