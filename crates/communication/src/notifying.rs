//! From what happened to who is told: one handler for every event.

use kernel::{AccountId, Actor, PatientId, ProviderId, Uuid};
use ports::{
    AuditAction, AuditEntry, Env, Envelope, Event, JobRequest,
    events::{AssessmentOutcome, PrescriptionStatusWord, ShipmentStatusWord},
};

use crate::{
    About, Channel, CommunicationError, CommunicationStore, Notification, NotificationKind,
    SendMail, template::INVITED,
};

/// The name under which the handler's deliveries are recorded.
pub const HANDLER: &str = "communication.notify";

/// News for one person, before it is split into channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    pub recipient: AccountId,
    /// The patient whose record the recipient's being told belongs to.
    pub patient: Option<PatientId>,
    pub kind: NotificationKind,
    pub about: About,
}

/// Tells everyone whom the event concerns, through every channel they want.
/// However often it is called for an event, and by however many at a time,
/// nobody is told twice.
pub async fn notify(
    env: &Env,
    store: &dyn CommunicationStore,
    envelope: &Envelope,
) -> Result<(), CommunicationError> {
    let news = news_of(&envelope.event);
    if news.is_empty() {
        return Ok(());
    }
    let mut tx = store.begin(&Actor::system(HANDLER)).await?;
    let mut told = 0;
    for item in news {
        let preferences = tx.preferences(item.recipient).await?;
        for channel in item.kind.channels() {
            if !preferences.allow(item.kind, *channel) {
                continue;
            }
            let notification = Notification::raise(
                env.fresh(),
                envelope.id,
                item.recipient,
                *channel,
                item.kind,
                item.about.clone(),
                env.now(),
            );
            if !tx.add_notification(&notification).await? {
                continue;
            }
            told += 1;
            if *channel == Channel::Mail {
                let job = SendMail { notification: notification.id };
                let key = notification.id.to_string();
                tx.enqueue(JobRequest::new(&job).key(key));
            }
            let mut entry = AuditEntry::new(AuditAction::Create, "notification", notification.id)
                .detail("kind", item.kind.to_string())
                .detail("channel", channel.to_string())
                .detail("recipient", item.recipient.to_string());
            if let Some(patient) = item.patient {
                entry = entry.patient(patient);
            }
            tx.audit(entry);
        }
    }
    // Where nobody wanted to hear of it, or all had, nothing has happened.
    if told > 0 {
        tx.commit().await?;
    }
    Ok(())
}

/// Whom an event concerns, and what it is to them.
pub fn news_of(event: &Event) -> Vec<News> {
    use NotificationKind as Kind;
    match event {
        Event::AccountRegistered { account } | Event::EmailVerificationRequested { account } => {
            vec![to_account(*account, Kind::VerifyEmail, "account", account.uuid(), None)]
        }
        Event::RegistrationRepeated { account } => {
            vec![to_account(*account, Kind::AccountExists, "account", account.uuid(), None)]
        }
        Event::PasswordResetRequested { account, invited } => {
            let status = invited.then_some(INVITED);
            vec![to_account(*account, Kind::PasswordReset, "account", account.uuid(), status)]
        }
        Event::EmailChangeRequested { account } => {
            vec![to_account(*account, Kind::ChangeEmail, "account", account.uuid(), None)]
        }
        Event::FactorConfirmationRequested { account, factor } => {
            vec![to_account(*account, Kind::ConfirmFactor, "factor", *factor, None)]
        }
        Event::AddressLeft { account } => {
            vec![to_account(*account, Kind::AddressLeft, "account", account.uuid(), None)]
        }
        Event::SignInChanged { account, change } => {
            let (kind, id) = (Kind::SignInChanged, account.uuid());
            vec![to_account(*account, kind, "account", id, Some(change.as_str()))]
        }
        Event::AssessmentDecided { assessment, patient, outcome, .. } => {
            let status = match outcome {
                AssessmentOutcome::AutoApproved => "auto_approved",
                AssessmentOutcome::InReview => "in_review",
                AssessmentOutcome::Refused => "refused",
            };
            let id = assessment.uuid();
            vec![to_patient(*patient, Kind::AssessmentDecided, "assessment", id, Some(status))]
        }
        Event::ReviewDecided { assessment, patient, approved, .. } => {
            let status = if *approved { "approved" } else { "refused" };
            let id = assessment.uuid();
            vec![to_patient(*patient, Kind::ReviewDecided, "assessment", id, Some(status))]
        }
        Event::ReviewInformationRequested { assessment, patient, .. } => {
            let (kind, status) = (Kind::AssessmentDecided, Some("information_requested"));
            vec![to_patient(*patient, kind, "assessment", assessment.uuid(), status)]
        }
        Event::ReviewAssigned { assessment, patient, provider } => {
            let id = assessment.uuid();
            vec![to_provider(*provider, Some(*patient), Kind::TaskCreated, "assessment", id, None)]
        }
        // The entity is the access and not the patient, who is not named to a
        // mailbox.
        Event::GlassBroken { id, watchers, .. } => watchers
            .iter()
            .map(|watcher| to_account(*watcher, Kind::GlassBroken, "break_glass", id.uuid(), None))
            .collect(),
        Event::PatientHandedOver { patient, to, .. } => {
            vec![to_patient(*patient, Kind::CareTeamChanged, "care_team", to.uuid(), None)]
        }
        Event::TaskCreated { task, provider } => {
            vec![to_provider(*provider, None, Kind::TaskCreated, "task", task.uuid(), None)]
        }
        Event::LicenseExpiring { provider, days, .. } => {
            let (kind, id, status) = (Kind::LicenseExpiring, provider.uuid(), days.to_string());
            vec![to_provider(*provider, None, kind, "license", id, Some(&status))]
        }
        Event::ConsultationChanged { consultation, patient, provider, status } => {
            let (kind, id, status) =
                (Kind::ConsultationChanged, consultation.uuid(), Some(status.as_str()));
            vec![
                to_patient(*patient, kind, "consultation", id, status),
                to_provider(*provider, Some(*patient), kind, "consultation", id, status),
            ]
        }
        Event::PrescriptionChanged { prescription, patient, provider, status, .. } => {
            prescription_news(prescription.uuid(), *patient, *provider, *status)
        }
        // Whoever has to decide has a task.
        Event::FillHeld { hold, patient, .. } => {
            let (kind, status) = (Kind::PrescriptionChanged, Some("under_review"));
            vec![to_patient(*patient, kind, "held_fill", hold.uuid(), status)]
        }
        Event::DispatchCreated { dispatch, patient, .. } => {
            vec![to_patient(*patient, Kind::DispatchCreated, "dispatch", dispatch.uuid(), None)]
        }
        Event::ShipmentChanged { shipment, patient, status, .. } => {
            let status = shipment_word(*status);
            let id = shipment.uuid();
            vec![to_patient(*patient, Kind::ShipmentChanged, "shipment", id, Some(status))]
        }
        Event::InvoiceFinalized { invoice, patient } => {
            vec![to_patient(*patient, Kind::InvoiceFinalized, "invoice", invoice.uuid(), None)]
        }
        Event::InvoicePaid { invoice, patient, .. } => {
            vec![to_patient(*patient, Kind::InvoicePaid, "invoice", invoice.uuid(), None)]
        }
        Event::PaymentFailed { invoice, patient, .. } => {
            vec![to_patient(*patient, Kind::PaymentFailed, "invoice", invoice.uuid(), None)]
        }
        Event::SubscriptionStopped { subscription, patient, at_period_end, .. } => {
            let status = if *at_period_end { "at_period_end" } else { "ended" };
            let (kind, id) = (Kind::SubscriptionStopped, subscription.uuid());
            vec![to_patient(*patient, kind, "subscription", id, Some(status))]
        }
        Event::MessageSent { message, recipient, .. } => {
            vec![to_account(*recipient, Kind::MessageReceived, "message", message.uuid(), None)]
        }
        _ => Vec::new(),
    }
}

/// A patient hears of what they can see or act on; the steps between and the
/// alerts are for the prescriber, who alone can settle them. That a provider
/// looks at it the patient hears too.
fn prescription_news(
    id: Uuid,
    patient: PatientId,
    provider: ProviderId,
    status: PrescriptionStatusWord,
) -> Vec<News> {
    use PrescriptionStatusWord as Status;
    let word: &'static str = status.into();
    let kind = NotificationKind::PrescriptionChanged;
    let for_patient = || to_patient(patient, kind, "prescription", id, Some(word));
    let for_provider =
        || to_provider(provider, Some(patient), kind, "prescription", id, Some(word));
    match status {
        Status::Queued => Vec::new(),
        // What stands in the way is for the prescriber; the patient hears that
        // somebody is looking.
        Status::Blocked => vec![
            to_patient(patient, kind, "prescription", id, Some("under_review")),
            for_provider(),
        ],
        Status::Sent | Status::Active | Status::Completed => vec![for_patient()],
        Status::Failed | Status::Canceled => vec![for_patient(), for_provider()],
    }
}

fn shipment_word(status: ShipmentStatusWord) -> &'static str {
    status.into()
}

fn to_account(
    recipient: AccountId,
    kind: NotificationKind,
    entity: &str,
    id: Uuid,
    status: Option<&str>,
) -> News {
    let about = About { entity: entity.to_owned(), id, status: status.map(str::to_owned) };
    News { recipient, patient: None, kind, about }
}

fn to_patient(
    patient: PatientId,
    kind: NotificationKind,
    entity: &str,
    id: Uuid,
    status: Option<&str>,
) -> News {
    let news = to_account(patient.account(), kind, entity, id, status);
    News { patient: Some(patient), ..news }
}

fn to_provider(
    provider: ProviderId,
    patient: Option<PatientId>,
    kind: NotificationKind,
    entity: &str,
    id: Uuid,
    status: Option<&str>,
) -> News {
    News { patient, ..to_account(provider.account(), kind, entity, id, status) }
}

#[cfg(test)]
mod tests {
    use kernel::{CategoryId, PrescriptionId, ShipmentId};

    use super::*;

    fn patient() -> PatientId {
        PatientId(Uuid::from_u128(1))
    }

    fn prescription(status: PrescriptionStatusWord) -> Vec<AccountId> {
        let event = Event::PrescriptionChanged {
            treatment_plan: kernel::TreatmentPlanId(kernel::Uuid::from_u128(9)),
            plan_version: 1,
            prescription: PrescriptionId(Uuid::from_u128(3)),
            patient: patient(),
            provider: ProviderId(Uuid::from_u128(2)),
            category: CategoryId(Uuid::from_u128(4)),
            status,
        };
        news_of(&event).into_iter().map(|news| news.recipient).collect()
    }

    #[test]
    fn what_an_alert_says_is_for_the_prescriber_and_the_patient_hears_that_somebody_looks() {
        let provider = AccountId(Uuid::from_u128(2));
        assert_eq!(prescription(PrescriptionStatusWord::Blocked), [patient().account(), provider]);
        assert_eq!(prescription(PrescriptionStatusWord::Active), [patient().account()]);
        assert!(prescription(PrescriptionStatusWord::Queued).is_empty());
        assert_eq!(prescription(PrescriptionStatusWord::Failed).len(), 2);
    }

    #[test]
    fn a_license_that_expires_is_told_to_its_holder_without_a_patient() {
        let provider = ProviderId(Uuid::from_u128(2));
        let event = Event::LicenseExpiring { provider, state: "MA".to_owned(), days: 30 };
        let news = news_of(&event);
        assert_eq!(news.len(), 1);
        assert_eq!((news[0].recipient, news[0].patient), (provider.account(), None));
        assert_eq!(news[0].about.status.as_deref(), Some("30"));
    }

    #[test]
    fn every_step_of_a_shipment_is_told_with_its_word() {
        use ShipmentStatusWord as Word;
        for status in [
            Word::Created,
            Word::PreTransit,
            Word::InTransit,
            Word::OutForDelivery,
            Word::AvailableForPickup,
            Word::Delivered,
            Word::ReturnToSender,
            Word::Failure,
            Word::Cancelled,
        ] {
            let news = news_of(&Event::ShipmentChanged {
                shipment: ShipmentId(Uuid::from_u128(5)),
                patient: patient(),
                prescription: PrescriptionId(Uuid::from_u128(3)),
                status,
            });
            let word: &'static str = status.into();
            assert_eq!(news.len(), 1);
            assert_eq!(news[0].about.status.as_deref(), Some(word));
            assert_eq!(news[0].patient, Some(patient()));
        }
    }
}
