//! The adapter against the mail emulator, over real sockets.

use std::{net::TcpListener, time::Duration};

use chrono::{DateTime, TimeZone as _, Utc};
use communication::{Mail, Mailer as _, port::RECIPIENT_REFUSED};
use ports::PortError;
use salus_mail::{MailConfigError, Security, SmtpConfig, SmtpMailer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

struct Provider {
    smtp: u16,
    control: String,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Provider {
    fn start(folder: &TempDir, credentials: Option<(String, String)>) -> Self {
        Self::start_with(folder, |config| config.credentials = credentials)
    }

    fn start_with(folder: &TempDir, set: impl FnOnce(&mut emulators::smtp::SmtpConfig)) -> Self {
        let smtp = TcpListener::bind("127.0.0.1:0").unwrap();
        let control = TcpListener::bind("127.0.0.1:0").unwrap();
        let shutdown = CancellationToken::new();
        let mut config = emulators::smtp::SmtpConfig::new(folder.path().join("mail.json"));
        config.max_size = 20_000;
        set(&mut config);
        Self {
            smtp: smtp.local_addr().unwrap().port(),
            control: format!("http://{}/_control", control.local_addr().unwrap()),
            shutdown: shutdown.clone(),
            task: tokio::spawn(emulators::smtp::serve(config, smtp, control, shutdown)),
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    async fn control(&self, path: &str, body: Value) {
        let url = format!("{}/{path}", self.control);
        let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    async fn mailbox(&self, address: &str) -> Vec<Value> {
        let url = format!("{}/messages?to={address}", self.control);
        reqwest::get(url).await.unwrap().json().await.unwrap()
    }

    fn mailer(&self) -> SmtpMailer {
        self.mailer_with(None)
    }

    fn mailer_with(&self, credentials: Option<(&str, &str)>) -> SmtpMailer {
        let credentials = credentials.map(|(user, word)| (user.to_owned(), word.to_owned()));
        let config = SmtpConfig { credentials, ..config(self.smtp) };
        SmtpMailer::new(config).unwrap()
    }
}

fn config(port: u16) -> SmtpConfig {
    SmtpConfig {
        host: "127.0.0.1".into(),
        port,
        security: Security::None,
        credentials: None,
        from: "Salus <no-reply@salus.example.org>".into(),
        hello_name: "salus.example.org".into(),
        timeout: Duration::from_millis(1500),
        root_certificate: None,
    }
}

const DOTS: &str = "Hello Zoë <\"'&> 李小龙 👩🏽\u{200D}⚕\u{FE0F} می\u{200C}نا,\n\n.\n..two dots\nhttps://salus.example.org/verify?token=a=b&c\n";

fn mail(id: &str) -> Mail {
    let date: DateTime<Utc> = Utc.with_ymd_and_hms(2026, 3, 2, 12, 0, 0).unwrap();
    Mail {
        message_id: format!("{id}@mail.salus.example.org"),
        to: "ada@example.com".parse().unwrap(),
        to_name: Some("Zoë, \"Ada\"".into()),
        date,
        subject: "You have an update — Salus".into(),
        text: DOTS.into(),
        html: "<p>Grüße, <a href=\"https://salus.example.org/verify?token=a=b&amp;c\">go</a></p>"
            .into(),
        unsubscribe: Some("https://salus.example.org/settings".into()),
    }
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start(&folder, None);
    provider.mailer().send(&mail("1")).await.unwrap();
    let mandatory = Mail { unsubscribe: None, ..mail("2") };
    provider.mailer().send(&mandatory).await.unwrap();

    let mailbox = provider.mailbox("ada@example.com").await;
    let (first, second) = (&mailbox[0], &mailbox[1]);
    assert_eq!(first["message_id"], "1@mail.salus.example.org");
    assert_eq!(first["subject"], "You have an update — Salus");
    assert_eq!(first["envelope_from"], "no-reply@salus.example.org");
    assert_eq!(first["text"].as_str().unwrap().replace("\r\n", "\n").trim_end(), DOTS.trim_end());
    assert_eq!(first["html"].as_str().unwrap().trim_end(), mail("1").html);
    let headers = &first["headers"];
    assert!(headers["content-type"].as_str().unwrap().starts_with("multipart/alternative"));
    assert_eq!(headers["date"], "Mon, 02 Mar 2026 12:00:00 +0000");
    assert_eq!(headers["auto-submitted"], "auto-generated");
    assert_eq!(headers["list-unsubscribe"], "<https://salus.example.org/settings>");
    assert_eq!(second["headers"].get("list-unsubscribe"), None);
    assert!(provider.mailbox("bob@example.com").await.is_empty());
    provider.stop().await;
}

#[tokio::test]
async fn a_busy_recipient_is_for_later_and_an_unknown_one_for_never() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start(&folder, None);
    let script = |code| json!({ "recipient": "ada@example.com", "code": code, "times": 1 });
    provider.control("replies", script(451)).await;
    let busy = provider.mailer().send(&mail("1")).await.unwrap_err();
    assert!(matches!(&busy, PortError::Unavailable { .. }), "{busy:?}");
    assert!(busy.to_string().contains("451"), "{busy}");

    provider.control("replies", script(550)).await;
    let unknown = provider.mailer().send(&mail("1")).await.unwrap_err();
    let PortError::Refused { code, message, .. } = &unknown else { panic!("{unknown:?}") };
    assert_eq!((code.as_str(), message.as_str()), (RECIPIENT_REFUSED, "550 5.1.1"));
    assert!(!unknown.to_string().contains("ada@"), "the reply's text quotes the address");

    assert!(provider.mailbox("ada@example.com").await.is_empty());
    provider.mailer().send(&mail("1")).await.unwrap();
    provider.stop().await;
}

#[tokio::test]
async fn a_server_for_ascii_addresses_says_so_and_is_given_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start_with(&folder, |config| config.international = false);
    let mailer = provider.mailer();
    assert!(!mailer.takes_international().await.unwrap());
    let to_jose = Mail { to: "josé@example.com".parse().unwrap(), ..mail("1") };
    let refused = mailer.send(&to_jose).await;
    let Err(PortError::Refused { code, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(code, RECIPIENT_REFUSED);
    mailer.send(&mail("2")).await.unwrap();
    provider.stop().await;

    let provider = Provider::start(&folder, None);
    assert!(provider.mailer().takes_international().await.unwrap());
    provider.stop().await;
}

#[tokio::test]
async fn a_refused_message_says_nothing_of_its_recipient() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start(&folder, None);
    provider.control("faults", json!({ "fault": "refuse_data", "times": 1 })).await;
    let later = provider.mailer().send(&mail("1")).await.unwrap_err();
    assert!(matches!(later, PortError::Unavailable { .. }), "{later:?}");

    provider.control("faults", json!({ "fault": "reject_data", "times": 1 })).await;
    let spam = provider.mailer().send(&mail("1")).await.unwrap_err();
    assert!(matches!(&spam, PortError::Refused { code, .. } if code == "message_refused"));

    let large = Mail { text: "a long line\n".repeat(3000), ..mail("2") };
    let refused = provider.mailer().send(&large).await.unwrap_err();
    assert!(matches!(&refused, PortError::Refused { code, .. } if code == "message_refused"));
    provider.stop().await;
}

#[tokio::test]
async fn a_mail_of_unknown_outcome_is_shown_once_after_its_repetition() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start(&folder, None);
    for fault in ["drop_after", "hang"] {
        provider.control("faults", json!({ "fault": fault, "times": 1 })).await;
        let unknown = provider.mailer().send(&mail(fault)).await.unwrap_err();
        assert!(matches!(unknown, PortError::Unknown { .. }), "{fault}: {unknown:?}");
        provider.mailer().send(&mail(fault)).await.unwrap();
    }
    let mailbox = provider.mailbox("ada@example.com").await;
    assert_eq!(mailbox.len(), 2);
    assert!(mailbox.iter().all(|message| message["deliveries"] == 2));
    provider.stop().await;
}

#[tokio::test]
async fn what_fails_before_the_mail_was_handed_over_is_for_later() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = SmtpMailer::new(config(nobody)).unwrap().send(&mail("1")).await.unwrap_err();
    assert!(matches!(refused, PortError::Unavailable { .. }), "{refused:?}");

    // Bound but never accepted: the connection stands and nobody says hello.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let hurried = SmtpConfig { timeout: Duration::from_millis(200), ..config(port) };
    let late = SmtpMailer::new(hurried).unwrap().send(&mail("1")).await.unwrap_err();
    assert!(matches!(late, PortError::Unavailable { .. }), "{late:?}");
}

#[tokio::test]
async fn wrong_credentials_lose_no_mail() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start(&folder, Some(("salus".into(), "secret".into())));
    for credentials in [None, Some(("salus", "wrong"))] {
        let refused = provider.mailer_with(credentials).send(&mail("1")).await.unwrap_err();
        let for_later = matches!(refused, PortError::Unavailable { .. });
        assert!(for_later, "{credentials:?}: {refused:?}");
    }
    provider.mailer_with(Some(("salus", "secret"))).send(&mail("1")).await.unwrap();
    assert_eq!(provider.mailbox("ada@example.com").await.len(), 1);
    provider.stop().await;
}

#[tokio::test]
async fn the_mailboxes_outlive_the_provider() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start(&folder, None);
    provider.mailer().send(&mail("1")).await.unwrap();
    provider.stop().await;
    let provider = Provider::start(&folder, None);
    assert_eq!(provider.mailbox("ADA@example.com").await.len(), 1);
    provider.stop().await;
}

#[test]
fn mail_leaves_this_machine_only_over_tls() {
    let config = SmtpConfig { host: "mail.example.org".into(), ..config(25) };
    assert!(matches!(SmtpMailer::new(config.clone()), Err(MailConfigError::Unprotected)));
    assert!(SmtpMailer::new(SmtpConfig { security: Security::StartTls, ..config }).is_ok());
}

/// Says lines to the provider as a client that is not ours would.
async fn talk(provider: &Provider, said: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", provider.smtp)).await.unwrap();
    stream.write_all(said).await.unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.unwrap();
    heard
}

#[tokio::test]
async fn the_provider_keeps_to_the_order_of_commands_and_takes_them_in_one_go() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start(&folder, None);
    let heard = talk(
        &provider,
        b"MAIL FROM:<a@b.org>\r\nEHLO x\r\nRCPT TO:<c@d.org>\r\nDATA\r\nMAIL FROM:<a@b.org>\r\n\
          RSET\r\nNOOP\r\nMAIL FROM:<a@b.org> SIZE=99999999\r\nBOGUS\r\nQUIT\r\n",
    )
    .await;
    let codes: Vec<&str> = heard
        .lines()
        .filter(|line| line.as_bytes().get(3) == Some(&b' '))
        .map(|line| &line[..3])
        .collect();
    assert_eq!(
        codes,
        ["220", "503", "250", "503", "503", "250", "250", "250", "552", "500", "221"]
    );
    provider.stop().await;
}

#[tokio::test]
async fn a_bare_line_feed_smuggles_no_second_message() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start(&folder, None);
    talk(
        &provider,
        b"EHLO x\r\nMAIL FROM:<a@b.org>\r\nRCPT TO:<c@d.org>\r\nDATA\r\nSubject: one\r\n\r\nx\n.\n\
          MAIL FROM:<evil@b.org>\r\nRCPT TO:<c@d.org>\r\nDATA\r\nSubject: two\r\n.\r\nQUIT\r\n",
    )
    .await;
    let mailbox = provider.mailbox("c@d.org").await;
    assert_eq!(mailbox.len(), 1);
    assert_eq!(mailbox[0]["subject"], "one");
    provider.stop().await;
}
