use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use chrono_tz::Tz;
use communication::{
    BodyFormat, CareTeam, Channel, CommunicationError, CommunicationStore, DropReason,
    FailureReason, Mail, MailSettings, Mailer, Message, MessageBody, MessageStatus, Notification,
    NotificationKind, NotificationState, Preference, Recipient, Recipients, SendMail, SignInLinks,
    Templates, Topic,
    mailing::{PostOffice, send_mail},
    messaging::{Destination, list_threads, mark_message_read, read_thread, send_message},
    notifying::notify,
    port::RECIPIENT_REFUSED,
    reading::{change_preferences, list_history, list_inbox, mark_notification_read},
};
use kernel::{
    AccountId, Actor, ActorKind, DomainError as _, EmailAddress, ErrorKind, PageRequest, PatientId,
    Permission, PrescriptionId, ProviderId, RequestContext, Role, SessionId, ShipmentId,
    SubscriptionId, ThreadId, Uuid,
};
use ports::{Envelope, Event, IdempotencyKey, PortError, events::ShipmentStatusWord};
use salus_tests::Database;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

fn actor(account: AccountId, role: Role) -> Actor {
    let permissions = BTreeSet::from([Permission::MessageOwn, Permission::NotificationOwn]);
    Actor {
        kind: ActorKind::Account {
            account,
            session: SessionId(account.uuid()),
            roles: Arc::new(BTreeSet::from([role])),
        },
        permissions: Arc::new(permissions),
        request: RequestContext::default(),
    }
}

/// A care team of the pairs that it was given.
#[derive(Default)]
struct Team(Mutex<Vec<(PatientId, ProviderId)>>);

#[async_trait]
impl CareTeam for Team {
    async fn includes(&self, patient: PatientId, provider: ProviderId) -> ports::Result<bool> {
        Ok(self.0.lock().unwrap().contains(&(patient, provider)))
    }

    async fn subscribed(&self, _: PatientId, id: SubscriptionId) -> ports::Result<bool> {
        Ok(id == SubscriptionId(Uuid::from_u128(5)))
    }
}

struct Clinic {
    database: Database,
    team: Team,
    patient: Actor,
    provider: Actor,
    stranger: Actor,
}

impl Clinic {
    async fn open() -> Self {
        let database = Database::fresh().await;
        let (patient, provider) = (database.env.fresh(), database.env.fresh::<AccountId>());
        let patient = actor(patient, Role::Patient);
        let stranger = actor(database.env.fresh(), Role::Patient);
        let team = Team::default();
        let pair = (patient.as_patient().unwrap(), provider.as_provider());
        team.0.lock().unwrap().push(pair);
        Self { database, team, patient, provider: actor(provider, Role::Provider), stranger }
    }

    async fn send(
        &self,
        sender: &Actor,
        to: &Actor,
        key: &str,
        text: &str,
    ) -> Result<Message, CommunicationError> {
        let destination = Destination::Person {
            account: to.account().unwrap(),
            topic: Topic::Treatment,
            subscription: None,
        };
        self.send_to(sender, destination, key, text).await
    }

    async fn send_to(
        &self,
        sender: &Actor,
        destination: Destination,
        key: &str,
        text: &str,
    ) -> Result<Message, CommunicationError> {
        let body = MessageBody::parse(BodyFormat::Plain, text).unwrap();
        let mut fingerprint = [0; 32];
        for (slot, byte) in fingerprint.iter_mut().zip(text.bytes()) {
            *slot = byte;
        }
        let key = IdempotencyKey { operation: "communication.send", key: key.into(), fingerprint };
        let database = &self.database;
        send_message(&database.env, &database.pg, &self.team, sender, &key, destination, body).await
    }

    async fn count(&self, sql: &str) -> i64 {
        let superuser = self.database.superuser().await;
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = superuser.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    async fn denied_of(&self, account: AccountId, entity: &str) -> i64 {
        let sql = format!(
            "SELECT count(*) FROM audit_entries WHERE outcome = 'denied' \
             AND patient_id = '{account}' AND entity = '{entity}'"
        );
        self.count(&sql).await
    }

    async fn denied(&self) -> i64 {
        self.count("SELECT count(*) FROM audit_entries WHERE outcome = 'denied'").await
    }
}

fn page() -> PageRequest {
    PageRequest::default()
}

fn assert_hidden<T: std::fmt::Debug>(result: Result<T, CommunicationError>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_message_goes_from_sent_to_delivered_to_read_and_lies_sealed() {
    let clinic = Clinic::open().await;
    let (env, pg) = (&clinic.database.env, &clinic.database.pg);
    let sent =
        clinic.send(&clinic.patient, &clinic.provider, "a", "My scalp itches").await.unwrap();
    assert_eq!(sent.status, MessageStatus::Sent);

    let (_, own) = read_thread(env, pg, &clinic.patient, sent.thread, &page()).await.unwrap();
    assert_eq!(own.items[0].status, MessageStatus::Sent, "the sender's reading delivers nothing");

    let provider = clinic.provider.account().unwrap();
    let threads = list_threads(pg, &clinic.provider, provider, &page()).await.unwrap();
    assert_eq!((threads.items.len(), threads.items[0].unread), (1, 1));
    let unread = async |who: AccountId| {
        let mut tx = CommunicationStore::begin(pg, &Actor::system("tests")).await.unwrap();
        tx.unread_messages(who).await.unwrap()
    };
    assert_eq!(unread(provider).await, 1);
    assert_eq!(unread(clinic.patient.account().unwrap()).await, 0, "one's own is read");

    let (_, messages) = read_thread(env, pg, &clinic.provider, sent.thread, &page()).await.unwrap();
    assert_eq!(messages.items[0].body.text(), "My scalp itches");
    assert!(matches!(messages.items[0].status, MessageStatus::Delivered { .. }));

    let read = mark_message_read(env, pg, &clinic.provider, sent.id).await.unwrap();
    assert!(matches!(read.status, MessageStatus::Read { .. }));
    let again = mark_message_read(env, pg, &clinic.provider, sent.id).await.unwrap();
    assert_eq!(again.status, read.status);
    let threads = list_threads(pg, &clinic.provider, provider, &page()).await.unwrap();
    assert_eq!(threads.items[0].unread, 0);
    assert_eq!(unread(provider).await, 0);

    let plain = "SELECT count(*) FROM messages WHERE position('scalp'::bytea IN body) > 0";
    assert_eq!(clinic.count(plain).await, 0);
    let events = "SELECT count(*) FROM outbox_events WHERE kind = 'message_sent'";
    assert_eq!(clinic.count(events).await, 1);
}

#[tokio::test]
async fn a_thread_does_not_exist_for_anyone_else_and_asking_is_written_down() {
    let clinic = Clinic::open().await;
    let (env, pg) = (&clinic.database.env, &clinic.database.pg);
    let sent = clinic.send(&clinic.patient, &clinic.provider, "a", "Hello").await.unwrap();
    let other_provider = actor(clinic.database.env.fresh(), Role::Provider);
    let admin = actor(clinic.database.env.fresh(), Role::Admin);
    // The provider of the thread, who is none any more.
    let former = actor(clinic.provider.account().unwrap(), Role::Support);
    let mut denied = 0;
    for intruder in [&clinic.stranger, &other_provider, &admin, &former] {
        assert_hidden(read_thread(env, pg, intruder, sent.thread, &page()).await);
        assert_hidden(mark_message_read(env, pg, intruder, sent.id).await);
        let patient = clinic.patient.account().unwrap();
        assert_hidden(list_threads(pg, intruder, patient, &page()).await);
        let reply = clinic.send_to(intruder, Destination::Thread(sent.thread), "b", "Hi").await;
        assert_hidden(reply);
        denied += 4;
        assert_eq!(clinic.denied().await, denied);
    }
    // The list that was asked for by its patient stands in the patient's trail.
    let patient = clinic.patient.account().unwrap();
    assert_eq!(clinic.denied_of(patient, "message_thread").await, 4);
    let unknown = ThreadId(clinic.database.env.ids.uuid());
    assert_hidden(read_thread(env, pg, &clinic.patient, unknown, &page()).await);
    let refused = mark_message_read(env, pg, &clinic.patient, sent.id).await;
    assert_eq!(refused.unwrap_err().code(), "communication.not_the_recipient");
}

#[tokio::test]
async fn a_patient_writes_only_to_the_care_team_and_only_while_it_stands() {
    let clinic = Clinic::open().await;
    let sent = clinic.send(&clinic.patient, &clinic.provider, "a", "Hello").await.unwrap();
    let answer = clinic.send(&clinic.provider, &clinic.patient, "a", "Good morning").await.unwrap();
    assert_eq!(sent.thread, answer.thread, "both sides write in one thread");

    let other = actor(clinic.database.env.fresh(), Role::Provider);
    assert_hidden(clinic.send(&clinic.patient, &other, "b", "Hello").await);
    assert_hidden(clinic.send(&clinic.patient, &clinic.stranger, "c", "Hello").await);
    assert_hidden(clinic.send(&clinic.patient, &clinic.patient, "d", "Hello").await);
    assert_hidden(clinic.send(&other, &clinic.patient, "e", "Hello").await);
    clinic.team.0.lock().unwrap().clear();
    let late = clinic.send_to(&clinic.patient, Destination::Thread(sent.thread), "f", "Hi").await;
    assert_hidden(late);
    assert_eq!(clinic.denied().await, 5);
    assert_eq!(clinic.count("SELECT count(*) FROM messages").await, 2);
}

#[tokio::test]
async fn a_message_submitted_twice_at_once_is_sent_once() {
    let clinic = Clinic::open().await;
    let send = || clinic.send(&clinic.patient, &clinic.provider, "same", "Hello");
    let (first, second, third) = tokio::join!(send(), send(), send());
    let first = first.unwrap();
    assert_eq!(first.id, second.unwrap().id);
    assert_eq!(first.id, third.unwrap().id);
    assert_eq!(clinic.count("SELECT count(*) FROM messages").await, 1);
    assert_eq!(clinic.count("SELECT count(*) FROM outbox_events").await, 1);

    let other = clinic.send(&clinic.patient, &clinic.provider, "same", "Something else").await;
    assert_eq!(other.unwrap_err().code(), "idempotency_key_reused");
}

#[tokio::test]
async fn first_messages_at_the_same_time_open_one_thread() {
    let clinic = Clinic::open().await;
    let (from_patient, from_provider) = tokio::join!(
        clinic.send(&clinic.patient, &clinic.provider, "a", "Hello"),
        clinic.send(&clinic.provider, &clinic.patient, "b", "Hello"),
    );
    assert_eq!(from_patient.unwrap().thread, from_provider.unwrap().thread);
    assert_eq!(clinic.count("SELECT count(*) FROM message_threads").await, 1);
}

#[tokio::test]
async fn a_long_thread_comes_in_pages_that_neither_repeat_nor_skip() {
    let clinic = Clinic::open().await;
    let mut sent = Vec::new();
    for index in 0..5 {
        let text = format!("Message {index}");
        sent.push(clinic.send(&clinic.patient, &clinic.provider, &text, &text).await.unwrap());
    }
    sent.reverse();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let request = PageRequest::new(Some(2), cursor);
        let (env, pg) = (&clinic.database.env, &clinic.database.pg);
        let thread = sent[0].thread;
        let (_, page) = read_thread(env, pg, &clinic.patient, thread, &request).await.unwrap();
        seen.extend(page.items.into_iter().map(|message| message.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, sent.iter().map(|message| message.id).collect::<Vec<_>>());

    let bad = PageRequest::new(None, Some("1 OR 1=1".into()));
    let patient = clinic.patient.account().unwrap();
    let refused = list_threads(&clinic.database.pg, &clinic.patient, patient, &bad).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn row_level_security_hides_messages_even_from_a_query_without_a_scope() {
    let clinic = Clinic::open().await;
    clinic.send(&clinic.patient, &clinic.provider, "a", "Hello").await.unwrap();
    for (reader, expected) in [(&clinic.patient, 1), (&clinic.stranger, 0)] {
        let tx = clinic.database.pg.open(reader).await.unwrap();
        for table in ["messages", "message_threads"] {
            let sql = format!("SELECT count(*) FROM {table}");
            let statement = Statement::from_string(DbBackend::Postgres, sql);
            let row = tx.read().query_one_raw(statement).await.unwrap().unwrap();
            assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), expected, "{table}");
        }
    }
}

// Notifications.

fn shipped(clinic: &Clinic) -> Event {
    Event::ShipmentChanged {
        shipment: ShipmentId(clinic.database.env.ids.uuid()),
        patient: clinic.patient.as_patient().unwrap(),
        prescription: PrescriptionId(clinic.database.env.ids.uuid()),
        status: ShipmentStatusWord::InTransit,
    }
}

async fn tell(clinic: &Clinic, event: &Event) {
    let (env, event) = (&clinic.database.env, event.clone());
    let envelope = Envelope { id: env.fresh(), occurred_at: env.now(), event };
    notify(env, &clinic.database.pg, &envelope).await.unwrap();
}

async fn history(clinic: &Clinic) -> Vec<Notification> {
    let account = clinic.patient.account().unwrap();
    list_history(&clinic.database.pg, &clinic.patient, account, None, &page()).await.unwrap().items
}

async fn mail_of(clinic: &Clinic) -> Notification {
    let all = history(clinic).await;
    all.into_iter().find(|notification| notification.channel == Channel::Mail).unwrap()
}

#[tokio::test]
async fn concurrent_deliveries_of_one_event_tell_once() {
    let clinic = Clinic::open().await;
    let (env, event) = (&clinic.database.env, shipped(&clinic));
    let envelope = Envelope { id: env.fresh(), occurred_at: env.now(), event };
    // The unique rule of the table has to hold.
    let deliveries = [(); 5].map(|()| notify(env, &clinic.database.pg, &envelope));
    let [a, b, c, d, e] = deliveries;
    let results: [Result<(), CommunicationError>; 5] = tokio::join!(a, b, c, d, e).into();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(history(&clinic).await.len(), 2);
    let jobs = "SELECT count(*) FROM graphile_worker._private_jobs";
    assert_eq!(clinic.count(jobs).await, 1);
}

#[tokio::test]
async fn what_was_switched_off_is_not_told_and_what_is_mandatory_is() {
    let clinic = Clinic::open().await;
    let pg = &clinic.database.pg;
    let off = Preference {
        kind: NotificationKind::ShipmentChanged,
        channel: Channel::Mail,
        enabled: false,
    };
    let matrix = change_preferences(pg, &clinic.patient, &[off]).await.unwrap();
    assert!(matrix.contains(&off));
    assert_eq!(change_preferences(pg, &clinic.patient, &[]).await.unwrap(), matrix);
    tell(&clinic, &shipped(&clinic)).await;
    let told = history(&clinic).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].channel, Channel::InApp);

    let mandatory = Preference { kind: NotificationKind::VerifyEmail, ..off };
    let refused = change_preferences(pg, &clinic.patient, &[mandatory]).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn an_inbox_is_its_owners_alone() {
    let clinic = Clinic::open().await;
    let (env, pg) = (&clinic.database.env, &clinic.database.pg);
    tell(&clinic, &shipped(&clinic)).await;
    tell(&clinic, &shipped(&clinic)).await;
    let account = clinic.patient.account().unwrap();
    let inbox = list_inbox(pg, &clinic.patient, account, false, &page()).await.unwrap();
    assert_eq!((inbox.notifications.items.len(), inbox.unread), (2, 2));

    let id = inbox.notifications.items[0].id;
    assert_hidden(list_inbox(pg, &clinic.stranger, account, false, &page()).await);
    assert_hidden(list_history(pg, &clinic.stranger, account, None, &page()).await);
    assert_hidden(mark_notification_read(env, pg, &clinic.stranger, id).await);
    assert_hidden(mark_notification_read(env, pg, &Actor::system("tests"), id).await);
    assert_eq!(clinic.denied().await, 4);
    assert_eq!(clinic.denied_of(account, "notification").await, 2);

    mark_notification_read(env, pg, &clinic.patient, id).await.unwrap();
    let inbox = list_inbox(pg, &clinic.patient, account, true, &page()).await.unwrap();
    assert_eq!((inbox.notifications.items.len(), inbox.unread), (1, 1));
    let mail = mail_of(&clinic).await;
    let refused = mark_notification_read(env, pg, &clinic.patient, mail.id).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
}

// Mails.

/// A mail server that answers from a script and remembers what it was handed.
#[derive(Default)]
struct Post {
    answers: Mutex<Vec<PortError>>,
    handed: Mutex<Vec<Mail>>,
    links: AtomicU32,
    verified: bool,
}

#[async_trait]
impl Mailer for Post {
    async fn takes_international(&self) -> ports::Result<bool> {
        Ok(true)
    }

    async fn send(&self, mail: &Mail) -> ports::Result<()> {
        self.handed.lock().unwrap().push(mail.clone());
        self.answers.lock().unwrap().pop().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Recipients for Post {
    async fn recipient(&self, _: AccountId) -> ports::Result<Option<Recipient>> {
        Ok(Some(Recipient {
            email: "ada@example.com".parse().unwrap(),
            first_name: Some("Ada".into()),
            zone: Tz::America__Chicago,
            locale: "en-US".into(),
        }))
    }
}

#[async_trait]
impl SignInLinks for Post {
    async fn verification_link(&self, _: AccountId) -> ports::Result<Option<String>> {
        let count = self.links.fetch_add(1, Ordering::Relaxed);
        Ok((!self.verified).then(|| format!("https://salus.example.org/verify/secret-{count}")))
    }

    async fn reset_link(&self, _: AccountId) -> ports::Result<Option<String>> {
        Ok(Some("https://salus.example.org/reset".into()))
    }

    async fn new_address(&self, _: AccountId) -> ports::Result<Option<(EmailAddress, String)>> {
        let link = "https://salus.example.org/confirm-email".to_owned();
        Ok(Some(("ada.byron@example.com".parse().unwrap(), link)))
    }

    async fn factor_link(&self, _: AccountId, factor: Uuid) -> ports::Result<Option<String>> {
        Ok(Some(format!("https://salus.example.org/confirm-factor/{factor}")))
    }

    async fn previous_address(&self, _: AccountId) -> ports::Result<Option<EmailAddress>> {
        Ok(Some("old@example.com".parse().unwrap()))
    }
}

async fn deliver(clinic: &Clinic, post: &Post) -> Result<(), CommunicationError> {
    let templates = Templates::new(MailSettings {
        product: "Salus".into(),
        sign_in_url: "https://salus.example.org".into(),
        preferences_url: "https://salus.example.org/settings".into(),
        message_id_domain: "mail.example.org".into(),
    })
    .unwrap();
    let office = PostOffice { mailer: post, recipients: post, links: post, templates: &templates };
    let job = SendMail { notification: mail_of(clinic).await.id };
    send_mail(&clinic.database.env, &clinic.database.pg, office, job).await
}

fn registered(clinic: &Clinic) -> Event {
    Event::AccountRegistered { account: clinic.patient.account().unwrap() }
}

#[tokio::test]
async fn a_mail_of_unknown_outcome_is_repeated_with_its_message_id_and_then_never_again() {
    let clinic = Clinic::open().await;
    tell(&clinic, &registered(&clinic)).await;
    let post = Post::default();
    let unknown = PortError::Unknown { vendor: "smtp", message: "no answer".into() };
    let later = PortError::Unavailable { vendor: "smtp", message: "451".into() };
    post.answers.lock().unwrap().extend([later, unknown]);
    assert!(deliver(&clinic, &post).await.is_err());
    assert!(deliver(&clinic, &post).await.is_err());
    assert_eq!(mail_of(&clinic).await.state, NotificationState::Queued { attempts: 2 });
    deliver(&clinic, &post).await.unwrap();
    deliver(&clinic, &post).await.unwrap();
    let handed = post.handed.lock().unwrap().clone();
    assert_eq!(handed.len(), 3, "a delivered mail is not handed over again");
    assert!(handed.iter().all(|mail| mail.message_id == handed[0].message_id));
    assert!(handed[0].text.contains("/verify/secret-0"));
    let stored = "SELECT count(*) FROM notifications n WHERE n::text LIKE '%secret%'";
    assert_eq!(clinic.count(stored).await, 0, "a link is stored nowhere");
    let jobs = "SELECT count(*) FROM graphile_worker._private_jobs j WHERE j::text LIKE '%secret%'";
    assert_eq!(clinic.count(jobs).await, 0, "a link is in no job");
}

#[tokio::test]
async fn an_attempt_is_on_record_before_the_call() {
    struct Dies<'a>(&'a Clinic);
    #[async_trait]
    impl Mailer for Dies<'_> {
        async fn takes_international(&self) -> ports::Result<bool> {
            Ok(true)
        }

        async fn send(&self, _: &Mail) -> ports::Result<()> {
            let stored = mail_of(self.0).await;
            assert_eq!(stored.state, NotificationState::Sending { attempts: 1 });
            Err(PortError::Unknown { vendor: "smtp", message: "killed".into() })
        }
    }
    let clinic = Clinic::open().await;
    tell(&clinic, &shipped(&clinic)).await;
    let post = Post::default();
    let mailer = Dies(&clinic);
    let templates = Templates::new(MailSettings {
        product: "Salus".into(),
        sign_in_url: "https://salus.example.org".into(),
        preferences_url: "https://salus.example.org/settings".into(),
        message_id_domain: "mail.example.org".into(),
    })
    .unwrap();
    let office =
        PostOffice { mailer: &mailer, recipients: &post, links: &post, templates: &templates };
    let job = SendMail { notification: mail_of(&clinic).await.id };
    let result = send_mail(&clinic.database.env, &clinic.database.pg, office, job).await;
    assert!(result.is_err());
}

#[tokio::test]
async fn a_refused_address_is_not_written_to_again() {
    let clinic = Clinic::open().await;
    tell(&clinic, &shipped(&clinic)).await;
    let post = Post::default();
    let refused = |code: &str| PortError::Refused {
        vendor: "smtp",
        code: code.into(),
        message: "550".into(),
    };
    post.answers.lock().unwrap().push(refused(RECIPIENT_REFUSED));
    deliver(&clinic, &post).await.unwrap();
    let state = mail_of(&clinic).await.state;
    assert!(
        matches!(state, NotificationState::Failed { reason: FailureReason::RecipientRefused, .. }),
        "{state:?}"
    );

    tell(&clinic, &shipped(&clinic)).await;
    deliver(&clinic, &post).await.unwrap();
    let state = mail_of(&clinic).await.state;
    assert!(
        matches!(state, NotificationState::Dropped { reason: DropReason::AddressSuppressed, .. }),
        "{state:?}"
    );
    assert_eq!(post.handed.lock().unwrap().len(), 1);
    let plain = "SELECT count(*) FROM suppressed_mail_addresses s WHERE s::text LIKE '%ada%'";
    assert_eq!(clinic.count(plain).await, 0);
}

#[tokio::test]
async fn a_refused_mail_does_not_suppress_the_address() {
    let clinic = Clinic::open().await;
    tell(&clinic, &shipped(&clinic)).await;
    let post = Post::default();
    let spam = PortError::Refused {
        vendor: "smtp",
        code: "message_refused".into(),
        message: "554".into(),
    };
    post.answers.lock().unwrap().push(spam);
    deliver(&clinic, &post).await.unwrap();
    tell(&clinic, &shipped(&clinic)).await;
    deliver(&clinic, &post).await.unwrap();
    assert!(matches!(mail_of(&clinic).await.state, NotificationState::Delivered { .. }));
}

#[tokio::test]
async fn the_link_to_a_new_address_goes_there_and_word_of_it_to_the_old_one() {
    let clinic = Clinic::open().await;
    let account = clinic.patient.account().unwrap();
    let post = Post::default();
    tell(&clinic, &Event::EmailChangeRequested { account }).await;
    deliver(&clinic, &post).await.unwrap();
    let change = "email_change_requested".to_owned();
    tell(&clinic, &Event::SignInChanged { account, change }).await;
    deliver(&clinic, &post).await.unwrap();
    let handed = post.handed.lock().unwrap().clone();
    let to: Vec<&str> = handed.iter().map(|mail| mail.to.as_str()).collect();
    assert_eq!(to, ["ada.byron@example.com", "ada@example.com"]);
    assert!(handed[0].text.contains("/confirm-email"));
    assert!(!handed[1].text.contains("/confirm-email"), "the link is for the new address alone");
}

#[tokio::test]
async fn the_owner_of_an_account_is_asked_about_a_factor_and_the_left_address_told() {
    let clinic = Clinic::open().await;
    let account = clinic.patient.account().unwrap();
    let (post, factor) = (Post::default(), Uuid::from_u128(77));
    tell(&clinic, &Event::FactorConfirmationRequested { account, factor }).await;
    deliver(&clinic, &post).await.unwrap();
    tell(&clinic, &Event::AddressLeft { account }).await;
    deliver(&clinic, &post).await.unwrap();
    let handed = post.handed.lock().unwrap().clone();
    assert_eq!(handed[0].to.as_str(), "ada@example.com");
    assert!(handed[0].text.contains(&format!("/confirm-factor/{factor}")));
    assert_eq!(handed[1].to.as_str(), "old@example.com");
    assert!(handed[1].text.contains("another one from now on"), "{}", handed[1].text);
}

#[tokio::test]
async fn a_verified_account_gets_no_verification_mail() {
    let clinic = Clinic::open().await;
    tell(&clinic, &registered(&clinic)).await;
    let post = Post { verified: true, ..Post::default() };
    deliver(&clinic, &post).await.unwrap();
    let state = mail_of(&clinic).await.state;
    assert!(
        matches!(state, NotificationState::Dropped { reason: DropReason::NoLongerNeeded, .. }),
        "{state:?}"
    );
    assert!(post.handed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_message_is_about_a_subscription_of_the_patient_or_none() {
    let clinic = Clinic::open().await;
    let send = async |number: u128| {
        let destination = Destination::Person {
            account: clinic.provider.account().unwrap(),
            topic: Topic::Treatment,
            subscription: Some(SubscriptionId(Uuid::from_u128(number))),
        };
        clinic.send_to(&clinic.patient, destination, &format!("about-{number}"), "When?").await
    };
    send(5).await.unwrap();
    let refused = send(6).await.unwrap_err();
    assert_eq!(refused.fields()[0].path, "subscription_id");
    assert_eq!(clinic.count("SELECT count(*) FROM messages").await, 1);
}

#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_no_message() {
    let clinic = Clinic::open().await;
    let mut tx = CommunicationStore::begin(&clinic.database.pg, &clinic.patient).await.unwrap();
    let thread = communication::Thread {
        id: clinic.database.env.fresh(),
        patient: clinic.patient.as_patient().unwrap(),
        provider: clinic.provider.as_provider().unwrap(),
        topic: Topic::General,
        subscription: None,
        created_at: clinic.database.env.now(),
    };
    tx.open_thread(&thread).await.unwrap();
    drop(tx);
    assert_eq!(clinic.count("SELECT count(*) FROM message_threads").await, 0);
}

#[tokio::test]
async fn threads_go_with_a_patient_who_is_handed_over() {
    let clinic = Clinic::open().await;
    let (env, pg) = (&clinic.database.env, &clinic.database.pg);
    let successor = actor(env.fresh(), Role::Provider);
    let patient = clinic.patient.as_patient().unwrap();
    let pair = (patient, successor.as_provider().unwrap());
    clinic.team.0.lock().unwrap().push(pair);
    let before = clinic.send(&clinic.patient, &clinic.provider, "a", "My scalp itches").await;
    let before = before.unwrap();
    clinic.send(&clinic.provider, &clinic.patient, "c", "Since when?").await.unwrap();
    // The two have written about the same already.
    let own = clinic.send(&clinic.patient, &successor, "b", "Hello").await.unwrap();

    let event = Event::PatientHandedOver {
        patient,
        from: clinic.provider.as_provider().unwrap(),
        to: pair.1,
    };
    for _ in 0..2 {
        communication::handover::on_patient_handed_over(
            pg,
            patient,
            (clinic.provider.as_provider().unwrap(), pair.1),
        )
        .await
        .unwrap();
    }
    let account = successor.account().unwrap();
    let threads = list_threads(pg, &successor, account, &page()).await.unwrap();
    assert_eq!((threads.items.len(), threads.items[0].unread), (1, 2));
    let (_, messages) = read_thread(env, pg, &successor, own.thread, &page()).await.unwrap();
    let texts: Vec<_> = messages.items.iter().map(|message| message.body.text()).collect();
    assert_eq!(texts, ["Hello", "Since when?", "My scalp itches"]);
    let former = clinic.provider.account().unwrap();
    let threads = list_threads(pg, &clinic.provider, former, &page()).await.unwrap();
    assert_eq!(threads.items, []);
    assert_hidden(mark_message_read(env, pg, &clinic.provider, before.id).await);
    // What the one before wrote, the successor has neither sent nor received.
    let answer = messages.items.iter().find(|message| message.sender == former).unwrap();
    assert_hidden(mark_message_read(env, pg, &successor, answer.id).await);

    tell(&clinic, &event).await;
    let told = "SELECT count(*) FROM notifications WHERE kind = 'care_team_changed'";
    assert_eq!(clinic.count(told).await, 2, "in the application and by mail");
}
