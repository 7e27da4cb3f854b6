//! The words of notifications, per language. Every template is compiled and
//! rendered once at the start, so that a broken one stops the server and not
//! the first mail that needs it.

use chrono_tz::Tz;
use minijinja::{Environment, UndefinedBehavior, Value, context};

use crate::{Channel, CommunicationError, Mail, Notification, NotificationKind, Recipient};

/// What stands in every mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailSettings {
    /// The name of the service.
    pub product: String,
    /// Where a recipient signs in.
    pub sign_in_url: String,
    /// Where a recipient chooses what to be told.
    pub preferences_url: String,
    /// The domain of Message-IDs.
    pub message_id_domain: String,
}

/// The words that a notification shows in the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub title: String,
    pub text: String,
}

#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    settings: MailSettings,
}

/// The language of whoever asks for one that there is not.
const FALLBACK: &str = "en";

macro_rules! sources {
    ($($language:literal: [$($name:literal),+ $(,)?]);+ $(;)?) => {
        const SOURCES: &[(&str, &str)] = &[$($(
            (
                concat!($language, "/", $name),
                include_str!(concat!("../templates/", $language, "/", $name)),
            ),
        )+)+];
        const LANGUAGES: &[&str] = &[$($language),+];
    };
}

sources! {
    "en": [
        "account_exists.jinja",
        "address_left.jinja",
        "change_email.jinja",
        "confirm_factor.jinja",
        "glass_broken.jinja",
        "in_app.jinja",
        "invitation.jinja",
        "layout.html",
        "layout.txt",
        "message_received.jinja",
        "password_reset.jinja",
        "payment_failed.jinja",
        "sign_in_changed.jinja",
        "task_created.jinja",
        "update.jinja",
        "verify_email.jinja",
    ];
}

/// The status of a link to a password for somebody who has had none.
pub(crate) const INVITED: &str = "invited";

/// The template of a kind's mail. What would tell something of a treatment or
/// of a payment shares one that says only that there is an update.
fn mail_template(kind: NotificationKind, status: &str) -> &'static str {
    match kind {
        NotificationKind::PasswordReset if status == INVITED => "invitation",
        NotificationKind::VerifyEmail => "verify_email",
        NotificationKind::PasswordReset => "password_reset",
        NotificationKind::AccountExists => "account_exists",
        NotificationKind::ChangeEmail => "change_email",
        NotificationKind::ConfirmFactor => "confirm_factor",
        NotificationKind::AddressLeft => "address_left",
        NotificationKind::SignInChanged => "sign_in_changed",
        NotificationKind::MessageReceived => "message_received",
        NotificationKind::TaskCreated => "task_created",
        NotificationKind::GlassBroken => "glass_broken",
        NotificationKind::PaymentFailed => "payment_failed",
        NotificationKind::AssessmentDecided
        | NotificationKind::ReviewDecided
        | NotificationKind::PrescriptionChanged
        | NotificationKind::DispatchCreated
        | NotificationKind::ShipmentChanged
        | NotificationKind::InvoiceFinalized
        | NotificationKind::InvoicePaid
        | NotificationKind::SubscriptionStopped
        | NotificationKind::ConsultationChanged
        | NotificationKind::CareTeamChanged
        | NotificationKind::LicenseExpiring => "update",
    }
}

/// The status words that the words of a kind tell apart.
fn statuses(kind: NotificationKind) -> &'static [&'static str] {
    match kind {
        NotificationKind::AssessmentDecided => {
            &["auto_approved", "in_review", "information_requested", "refused"]
        }
        NotificationKind::SignInChanged => &[
            "password_changed",
            "password_reset",
            "factors_suspended",
            "factor_confirmed",
            "email_change_requested",
            "email_changed",
            "totp_added",
            "totp_removed",
            "passkey_added",
            "passkey_removed",
            "recovery_codes_renewed",
        ],
        NotificationKind::PasswordReset => &["", INVITED],
        NotificationKind::ReviewDecided => &["approved", "refused"],
        NotificationKind::PrescriptionChanged => {
            &["blocked", "sent", "active", "failed", "canceled", "completed"]
        }
        NotificationKind::ShipmentChanged => &[
            "created",
            "pre_transit",
            "in_transit",
            "out_for_delivery",
            "available_for_pickup",
            "delivered",
            "return_to_sender",
            "failure",
            "cancelled",
        ],
        NotificationKind::SubscriptionStopped => &["at_period_end", "ended"],
        NotificationKind::ConsultationChanged => {
            &["scheduled", "in_progress", "completed", "canceled", "other"]
        }
        NotificationKind::LicenseExpiring => &["90", "30", "7", "1"],
        _ => &[""],
    }
}

impl Templates {
    /// Compiles every template and renders each once.
    ///
    /// # Errors
    /// `Template` with the name of the first that is broken.
    pub fn new(settings: MailSettings) -> Result<Self, CommunicationError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in SOURCES {
            environment.add_template(name, source).map_err(|error| broken(name, &error))?;
        }
        let templates = Self { environment, settings };
        templates.check()?;
        Ok(templates)
    }

    pub fn settings(&self) -> &MailSettings {
        &self.settings
    }

    /// The mail of a notification. Besides the recipient's first name, nothing
    /// of a person is at hand to be rendered.
    pub fn mail(
        &self,
        notification: &Notification,
        recipient: &Recipient,
        link: Option<&str>,
    ) -> Result<Mail, CommunicationError> {
        let written_on = written_on(notification, recipient.zone);
        let parts = self.render_mail(
            language(&recipient.locale),
            (notification.kind, notification.about.status.as_deref().unwrap_or_default()),
            recipient.first_name.as_deref(),
            link.unwrap_or(&self.settings.sign_in_url),
            &written_on,
        )?;
        Ok(Mail {
            message_id: notification.message_id(&self.settings.message_id_domain),
            to: recipient.email.clone(),
            to_name: recipient.first_name.clone(),
            date: notification.created_at,
            subject: parts.subject,
            text: parts.text,
            html: parts.html,
            unsubscribe: self.unsubscribe(notification.kind).map(str::to_owned),
        })
    }

    /// What the notification says in the application; `None` for a kind that
    /// does not appear there.
    pub fn in_app(
        &self,
        kind: NotificationKind,
        status: Option<&str>,
        locale: &str,
    ) -> Result<Option<Words>, CommunicationError> {
        if !kind.channels().contains(&Channel::InApp) {
            return Ok(None);
        }
        let name = format!("{}/in_app.jinja", language(locale));
        let context = context! { kind => kind.to_string(), status => status.unwrap_or_default() };
        let [title, text] = self.variables(&name, context, ["title", "text"])?;
        Ok(Some(Words { title, text }))
    }

    fn unsubscribe(&self, kind: NotificationKind) -> Option<&str> {
        (!kind.mandatory(Channel::Mail)).then_some(self.settings.preferences_url.as_str())
    }

    fn render_mail(
        &self,
        language: &str,
        (kind, status): (NotificationKind, &str),
        first_name: Option<&str>,
        link: &str,
        written_on: &str,
    ) -> Result<MailParts, CommunicationError> {
        let name = format!("{language}/{}.jinja", mail_template(kind, status));
        let product = self.settings.product.as_str();
        let [subject, lead, action, note] =
            self.variables(&name, context! { product }, ["subject", "lead", "action", "note"])?;
        let unsubscribe = self.unsubscribe(kind).unwrap_or_default();
        let first_name = first_name.unwrap_or_default();
        let context = context! {
            subject => subject.as_str(), lead, action, note, link, product, first_name, written_on,
            unsubscribe,
        };
        let layout = |suffix: &str| {
            let name = format!("{language}/layout.{suffix}");
            self.environment
                .get_template(&name)
                .and_then(|template| template.render(context.clone()))
                .map_err(|error| broken(&name, &error))
        };
        Ok(MailParts { text: layout("txt")?, html: layout("html")?, subject })
    }

    /// The values that a template sets, each one line of text.
    fn variables<const N: usize>(
        &self,
        name: &str,
        context: Value,
        wanted: [&str; N],
    ) -> Result<[String; N], CommunicationError> {
        let captured = self
            .environment
            .get_template(name)
            .and_then(|template| template.render_captured(context))
            .map_err(|error| broken(name, &error))?;
        let mut found = wanted.map(|variable| {
            captured.state().lookup(variable).map(|value| value.to_string().trim().to_owned())
        });
        if let Some(missing) = found.iter().position(Option::is_none) {
            return Err(CommunicationError::Template {
                template: name.to_owned(),
                cause: format!("it does not set {}", wanted[missing]),
            });
        }
        Ok(std::array::from_fn(|index| found[index].take().unwrap_or_default()))
    }

    fn check(&self) -> Result<(), CommunicationError> {
        let link = "https://example.org/check?a=1&b=2";
        for language in LANGUAGES {
            for (kind, channel) in NotificationKind::matrix() {
                match channel {
                    Channel::Mail => {
                        for status in statuses(kind) {
                            let of = (kind, *status);
                            let parts =
                                self.render_mail(language, of, Some("Ada"), link, "today")?;
                            let template = mail_template(kind, status);
                            let template = format!("{language}/{template}.jinja");
                            parts.check(link).map_err(|cause| CommunicationError::Template {
                                template,
                                cause: cause.to_owned(),
                            })?;
                        }
                    }
                    Channel::InApp => {
                        for status in statuses(kind) {
                            self.in_app(kind, Some(status), language)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

struct MailParts {
    subject: String,
    text: String,
    html: String,
}

impl MailParts {
    fn check(&self, link: &str) -> Result<(), &'static str> {
        // RFC 5322 recommends lines of at most 78 characters.
        if self.subject.is_empty() || self.subject.contains('\n') || self.subject.len() > 78 {
            Err("the subject is not one line of at most 78 characters")
        } else if !self.text.contains(link) {
            Err("the text has no link")
        } else if !self.html.contains("href=\"https:") {
            Err("the HTML has no link")
        } else {
            Ok(())
        }
    }
}

fn language(locale: &str) -> &'static str {
    let wanted = locale.split(['-', '_']).next().unwrap_or_default();
    LANGUAGES
        .iter()
        .find(|language| language.eq_ignore_ascii_case(wanted))
        .copied()
        .unwrap_or(FALLBACK)
}

fn written_on(notification: &Notification, zone: Tz) -> String {
    notification.created_at.with_timezone(&zone).format("%-d %B %Y, %H:%M %Z").to_string()
}

fn broken(name: &str, error: &minijinja::Error) -> CommunicationError {
    CommunicationError::Template { template: name.to_owned(), cause: format!("{error:#}") }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeZone as _, Utc};
    use kernel::{AccountId, DomainError as _, ErrorKind, EventId, NotificationId, Uuid};

    use super::*;
    use crate::About;

    fn templates() -> Templates {
        Templates::new(MailSettings {
            product: "Salus".into(),
            sign_in_url: "https://salus.example.org/sign-in".into(),
            preferences_url: "https://salus.example.org/settings".into(),
            message_id_domain: "mail.salus.example.org".into(),
        })
        .unwrap()
    }

    fn at() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 7, 1, 3, 30, 0).unwrap()
    }

    fn notification(kind: NotificationKind, status: Option<&str>) -> Notification {
        Notification::raise(
            NotificationId(Uuid::from_u128(1)),
            EventId(Uuid::from_u128(2)),
            AccountId(Uuid::from_u128(3)),
            Channel::Mail,
            kind,
            About {
                entity: "thing".into(),
                id: Uuid::from_u128(0xfeed),
                status: status.map(str::to_owned),
            },
            at(),
        )
    }

    fn recipient(first_name: Option<&str>) -> Recipient {
        Recipient {
            email: "ada@example.com".parse().unwrap(),
            first_name: first_name.map(str::to_owned),
            zone: Tz::America__Los_Angeles,
            locale: "en-US".into(),
        }
    }

    #[test]
    fn a_verification_mail_carries_its_link_and_cannot_be_switched_off() {
        let link = "https://salus.example.org/verify?token=abc&x=1";
        let notification = notification(NotificationKind::VerifyEmail, None);
        let mail = templates().mail(&notification, &recipient(None), Some(link)).unwrap();
        assert!(mail.text.contains(link));
        assert!(mail.text.starts_with("Hello,\n"));
        assert!(mail.html.contains("token=abc"));
        assert_eq!(mail.unsubscribe, None);
        assert!(!mail.text.contains("https://salus.example.org/settings"));
        assert_eq!(mail.message_id, "00000000-0000-0000-0000-000000000001@mail.salus.example.org");
        assert_eq!(mail.subject, "Confirm your e-mail address for Salus");
    }

    #[test]
    fn whoever_is_invited_is_not_told_of_a_password_that_somebody_forgot() {
        let link = Some("https://salus.example.org/reset-password?token=abc");
        let subject = |status: Option<&str>| {
            let notification = notification(NotificationKind::PasswordReset, status);
            templates().mail(&notification, &recipient(None), link).unwrap().subject
        };
        assert_eq!(subject(Some(INVITED)), "Your account at Salus");
        assert_eq!(subject(None), "Set a new password for Salus");
    }

    #[test]
    fn a_mail_says_nothing_of_what_it_is_about() {
        let templates = templates();
        for kind in NotificationKind::ALL.iter().copied() {
            for status in statuses(kind) {
                let notification = notification(kind, Some(status));
                let mail = templates.mail(&notification, &recipient(Some("Ada")), None).unwrap();
                let said = format!("{} {} {}", mail.subject, mail.text, mail.html).to_lowercase();
                for word in [
                    "feed",
                    "prescription",
                    "shipment",
                    "medication",
                    "assessment",
                    "treatment",
                    "invoice",
                    "payment",
                    "consultation",
                    "approved",
                    "refused",
                ] {
                    assert!(!said.contains(word), "{kind} says {word}");
                }
                assert!(!mail.subject.contains("Ada"));
            }
        }
    }

    #[test]
    fn a_name_cannot_become_markup() {
        let notification = notification(NotificationKind::ShipmentChanged, Some("delivered"));
        let mail =
            templates().mail(&notification, &recipient(Some("<b>Ada</b> & Co")), None).unwrap();
        assert!(mail.html.contains("&lt;b&gt;Ada"));
        assert!(mail.text.contains("Hello <b>Ada</b> & Co,"));
    }

    #[test]
    fn the_date_is_the_recipients_own() {
        let notification = notification(NotificationKind::ShipmentChanged, Some("delivered"));
        let mail = templates().mail(&notification, &recipient(Some("Ada")), None).unwrap();
        assert!(mail.text.contains("30 June 2026, 20:30 PDT"), "{}", mail.text);
        assert!(mail.text.contains("https://salus.example.org/settings"));
    }

    #[test]
    fn each_step_has_its_own_words_in_the_application() {
        let templates = templates();
        let words = |status| {
            templates
                .in_app(NotificationKind::ShipmentChanged, Some(status), "fr-FR")
                .unwrap()
                .unwrap()
        };
        assert_eq!(words("delivered").text, "Your shipment was delivered.");
        assert_ne!(words("in_transit"), words("out_for_delivery"));
        assert_eq!(templates.in_app(NotificationKind::VerifyEmail, None, "en").unwrap(), None);
    }

    #[test]
    fn an_unknown_status_is_an_error_and_not_an_empty_notification() {
        let result = templates().in_app(NotificationKind::ShipmentChanged, Some("lost"), "en");
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Internal);
    }
}
