//! One SMTP session.

use std::{future::pending, io, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::{Provider, mailbox::Fault};

/// RFC 5321 lets a command line have 512 octets and asks servers to take more.
const LONGEST_LINE: u64 = 4096;
const MOST_RECIPIENTS: usize = 100;

pub(super) struct Session {
    provider: Arc<Provider>,
    stream: BufReader<TcpStream>,
    greeted: bool,
    signed_in: bool,
    sender: Option<String>,
    recipients: Vec<String>,
}

enum Next {
    Reply(String),
    Data,
    SignIn,
    Close(String),
}

fn reply(text: impl Into<String>) -> Next {
    Next::Reply(text.into())
}

impl Session {
    pub fn new(provider: Arc<Provider>, stream: TcpStream) -> Self {
        Self {
            provider,
            stream: BufReader::new(stream),
            greeted: false,
            signed_in: false,
            sender: None,
            recipients: Vec::new(),
        }
    }

    pub async fn run(mut self) -> anyhow::Result<()> {
        let greeting = format!("220 {} ESMTP", self.provider.config.hostname);
        self.say(&greeting).await?;
        while let Some(line) = self.line(LONGEST_LINE).await? {
            let Ok(line) = String::from_utf8(line) else {
                self.say("500 5.5.2 A command is UTF-8 text").await?;
                continue;
            };
            match self.command(line.trim_end_matches(['\r', '\n']))? {
                Next::Reply(text) => self.say(&text).await?,
                Next::Close(text) => {
                    self.say(&text).await?;
                    return Ok(());
                }
                Next::SignIn => {
                    self.say("334 ").await?;
                    let answer = self.line(LONGEST_LINE).await?.unwrap_or_default();
                    let answer = String::from_utf8_lossy(&answer).trim().to_owned();
                    let text = self.sign_in(&answer);
                    self.say(text).await?;
                }
                Next::Data => {
                    if !self.data().await? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn command(&mut self, line: &str) -> anyhow::Result<Next> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let next = match verb.to_ascii_uppercase().as_str() {
            "EHLO" if !rest.is_empty() => {
                self.reset();
                self.greeted = true;
                let config = &self.provider.config;
                let auth = config.credentials.as_ref().map_or("", |_| "250-AUTH PLAIN\r\n");
                let utf8 = if config.international { "250-SMTPUTF8\r\n" } else { "" };
                reply(format!(
                    "250-{}\r\n250-SIZE {}\r\n250-8BITMIME\r\n250-PIPELINING\r\n\
                     {utf8}{auth}250 ENHANCEDSTATUSCODES",
                    config.hostname, config.max_size
                ))
            }
            "HELO" if !rest.is_empty() => {
                self.reset();
                self.greeted = true;
                reply(format!("250 {}", self.provider.config.hostname))
            }
            "EHLO" | "HELO" => reply("501 5.5.4 Say who you are"),
            "AUTH" => self.auth(rest),
            "MAIL" => self.mail(rest),
            "RCPT" => self.rcpt(rest)?,
            "DATA" if self.recipients.is_empty() => reply("503 5.5.1 Name a recipient first"),
            "DATA" => Next::Data,
            "RSET" => {
                self.reset();
                reply("250 2.0.0 Forgotten")
            }
            "NOOP" => reply("250 2.0.0 OK"),
            "VRFY" => reply("252 2.1.5 Send it and see"),
            "QUIT" => Next::Close("221 2.0.0 Goodbye".to_owned()),
            _ => reply("500 5.5.2 No such command"),
        };
        Ok(next)
    }

    fn auth(&mut self, rest: &str) -> Next {
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        if self.provider.config.credentials.is_none() {
            reply("502 5.5.1 There is nothing to sign in to")
        } else if !self.greeted || self.signed_in {
            reply("503 5.5.1 Not now")
        } else if !mechanism.eq_ignore_ascii_case("PLAIN") {
            reply("504 5.5.4 Only PLAIN")
        } else if initial.is_empty() {
            Next::SignIn
        } else {
            reply(self.sign_in(initial))
        }
    }

    fn sign_in(&mut self, answer: &str) -> &'static str {
        let Some((user, password)) = &self.provider.config.credentials else {
            return "502 5.5.1 There is nothing to sign in to";
        };
        // RFC 4616: an identity to act as, which may be empty, the user and the
        // password, with zero bytes between them.
        let decoded = STANDARD.decode(answer).unwrap_or_default();
        let parts: Vec<&[u8]> = decoded.split(|byte| *byte == 0).collect();
        if let [_, given_user, given_password] = parts.as_slice()
            && *given_user == user.as_bytes()
            && *given_password == password.as_bytes()
        {
            self.signed_in = true;
            return "235 2.7.0 Welcome";
        }
        "535 5.7.8 Wrong user or password"
    }

    fn mail(&mut self, rest: &str) -> Next {
        if !self.greeted {
            return reply("503 5.5.1 Say hello first");
        }
        if self.provider.config.credentials.is_some() && !self.signed_in {
            return reply("530 5.7.0 Sign in first");
        }
        if self.sender.is_some() {
            return reply("503 5.5.1 There is a sender already");
        }
        let Some((address, parameters)) = path(rest, "FROM:") else {
            return reply("501 5.5.4 MAIL FROM:<address>");
        };
        for parameter in parameters.split_whitespace() {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name.to_ascii_uppercase().as_str() {
                "SIZE" => match value.parse::<usize>() {
                    Ok(size) if size > self.provider.config.max_size => {
                        return reply("552 5.3.4 That is too large");
                    }
                    Ok(_) => {}
                    Err(_) => return reply("501 5.5.4 SIZE=bytes"),
                },
                "BODY" => {}
                "SMTPUTF8" if self.provider.config.international => {}
                _ => return reply("555 5.5.4 No such parameter"),
            }
        }
        self.sender = Some(address.to_owned());
        reply("250 2.1.0 OK")
    }

    fn rcpt(&mut self, rest: &str) -> anyhow::Result<Next> {
        if self.sender.is_none() {
            return Ok(reply("503 5.5.1 Name the sender first"));
        }
        let Some((address, _)) = path(rest, "TO:").filter(|(address, _)| address.contains('@'))
        else {
            return Ok(reply("501 5.1.3 RCPT TO:<address>"));
        };
        if !address.is_ascii() && !self.provider.config.international {
            return Ok(reply("553 5.6.7 Addresses are ASCII here"));
        }
        if self.recipients.len() >= MOST_RECIPIENTS {
            return Ok(reply("452 4.5.3 Too many recipients"));
        }
        let scripted = self.provider.mailboxes.mutate(|state| state.take_reply(address))?;
        Ok(match scripted {
            None => {
                self.recipients.push(address.to_owned());
                reply("250 2.1.5 OK")
            }
            Some(code @ 400..500) => reply(format!("{code} 4.2.0 <{address}> is busy, come back")),
            // Providers quote the address, so a client that logs replies shows.
            Some(code) => reply(format!("{code} 5.1.1 <{address}> does not exist")),
        })
    }

    /// Takes a message; `false` ends the session.
    async fn data(&mut self) -> anyhow::Result<bool> {
        self.say("354 End with a dot on a line of its own").await?;
        let Some(message) = self.message().await? else { return Ok(false) };
        let recipients = std::mem::take(&mut self.recipients);
        let sender = self.sender.take().unwrap_or_default();
        let Message::Whole(raw) = message else {
            self.say("552 5.3.4 That was too large").await?;
            return Ok(true);
        };
        let fault = self.provider.mailboxes.mutate(|state| {
            let fault = state.take_fault();
            if !matches!(fault, Some(Fault::RefuseData | Fault::RejectData)) {
                state.keep(&sender, &recipients, &raw);
            }
            fault
        })?;
        match fault {
            None => self.say("250 2.0.0 Taken").await?,
            Some(Fault::RefuseData) => self.say("451 4.3.0 Not now, come back").await?,
            Some(Fault::RejectData) => self.say("554 5.7.1 Looks like spam").await?,
            Some(Fault::DropAfter) => return Ok(false),
            Some(Fault::Hang) => pending().await,
        }
        Ok(true)
    }

    /// Reads a message up to its end and takes the stuffed dots out. Only a
    /// dot between two CRLFs ends it: taking a bare line feed for a line's end
    /// would let one message smuggle in another.
    async fn message(&mut self) -> anyhow::Result<Option<Message>> {
        let most = self.provider.config.max_size;
        let (mut raw, mut too_large, mut at_line_start) = (Vec::new(), false, true);
        loop {
            let Some(line) = self.line(1024 * 1024).await? else { return Ok(None) };
            if at_line_start && line == b".\r\n" {
                break;
            }
            let text =
                if at_line_start && line.first() == Some(&b'.') { &line[1..] } else { &line };
            at_line_start = line.ends_with(b"\r\n");
            too_large |= raw.len() + text.len() > most;
            if !too_large {
                raw.extend_from_slice(text);
            }
        }
        Ok(Some(if too_large { Message::TooLarge } else { Message::Whole(raw) }))
    }

    fn reset(&mut self) {
        self.sender = None;
        self.recipients.clear();
    }

    /// The next line with its end; `None` when the client is gone.
    async fn line(&mut self, longest: u64) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let read = (&mut self.stream).take(longest).read_until(b'\n', &mut line).await?;
        if read as u64 == longest && !line.ends_with(b"\n") {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
        }
        Ok(line.ends_with(b"\n").then_some(line))
    }

    async fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(format!("{text}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }
}

enum Message {
    Whole(Vec<u8>),
    TooLarge,
}

/// The address of `FROM:<address> parameters`.
fn path<'a>(rest: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let head = rest.get(..keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let inner = rest[keyword.len()..].trim_start().strip_prefix('<')?;
    let (address, parameters) = inner.split_once('>')?;
    (!address.contains(char::is_whitespace)).then_some((address, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_with_its_parameters() {
        assert_eq!(path("FROM:<a@b.org> SIZE=10", "FROM:"), Some(("a@b.org", " SIZE=10")));
        assert_eq!(path("from: <>", "FROM:"), Some(("", "")));
        for bad in ["FROM:a@b.org", "TO:<a@b.org>", "FROM:<a b@c.org>", "FR"] {
            assert_eq!(path(bad, "FROM:"), None, "{bad}");
        }
    }
}
