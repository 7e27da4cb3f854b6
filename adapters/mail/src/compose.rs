use communication::Mail;
use lettre::{
    Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use ports::{PortError, Result};

/// The mail as it goes over the wire: both bodies as alternatives, so that a
/// reader shows the one it can.
pub(crate) fn compose(mail: &Mail, from: &Mailbox) -> Result<Message> {
    let address = mail
        .to
        .as_str()
        .parse()
        .map_err(|error| PortError::internal("an address that SMTP does not know", error))?;
    let mut builder = Message::builder()
        .message_id(Some(format!("<{}>", mail.message_id)))
        .date(mail.date.into())
        .from(from.clone())
        .to(Mailbox::new(mail.to_name.clone(), address))
        .subject(mail.subject.as_str())
        // RFC 3834: nobody's holiday notice is to answer.
        .raw_header(raw("Auto-Submitted", "auto-generated"));
    if let Some(url) = &mail.unsubscribe {
        builder = builder.raw_header(raw("List-Unsubscribe", &format!("<{url}>")));
    }
    builder
        .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
        .map_err(|error| PortError::internal("composing a mail", error))
}

fn raw(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
