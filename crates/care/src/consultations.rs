//! Booking, joining and documenting video consultations.

use chrono::{DateTime, Utc};
use kernel::{Actor, CategoryId, ConsultationId, Page, PageRequest, Permission, ProviderId};
use ports::{AuditAction, AuditEntry, Env, Event, IdempotencyKey, JobRequest, JobSpec, PortError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Assessment, CallbackCredentials, CareError, CareStore, CareTx, ClientToken, Consultation,
    ConsultationStatus, Participant, Reach, Sources, TokenRequest, VIDEO_VISITS, VideoCallback,
    VideoRooms, VisitCover, licenses,
};

/// What a patient books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    pub provider: ProviderId,
    pub category: Option<CategoryId>,
    pub starts_at: DateTime<Utc>,
}

/// Makes the vendor's session of a booked consultation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateVideoRoom {
    pub consultation: ConsultationId,
}

impl JobSpec for CreateVideoRoom {
    const KIND: &'static str = "care.create_video_room";
}

/// What a participant connects with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    pub consultation: ConsultationId,
    pub participant: Participant,
    pub session: String,
    pub token: ClientToken,
    pub expires_at: DateTime<Utc>,
}

/// Books a slot. The room is made by a job, after the booking is committed.
pub async fn book(
    env: &Env,
    store: &dyn CareStore,
    sources: &Sources,
    actor: &Actor,
    booking: Booking,
    key: &IdempotencyKey,
) -> Result<Consultation, CareError> {
    actor.require(Permission::ConsultationOwn)?;
    let patient = actor.as_patient().ok_or(CareError::PatientRequired)?;
    let facts = sources.facts.facts(patient).await?.ok_or(CareError::ProfileIncomplete)?;
    let providers = sources.directory.licensed_providers(facts.state, booking.starts_at).await?;
    let ends_at = booking.starts_at.checked_add_signed(Consultation::SLOT);
    let at_work = match ends_at {
        Some(ends_at) => {
            sources.directory.at_work(booking.provider, booking.starts_at, ends_at).await?
        }
        // The slot that never ends is refused below.
        None => None,
    };
    let cover = sources.covers.video_visits(patient, booking.category).await?;

    let id: ConsultationId = env.fresh();
    let mut tx = store.begin(actor).await?;
    if let Some(earlier) = tx.claim(key, id.uuid()).await? {
        let found = tx.consultation(ConsultationId(earlier), &Reach::Patient(patient)).await?;
        let found = found.ok_or(CareError::NotFound("consultation"))?;
        tx.audit(AuditEntry::new(AuditAction::Read, "consultation", found.id).patient(patient));
        tx.commit().await?;
        return Ok(found);
    }
    Consultation::check_slot(booking.starts_at, env.now())?;
    if cover == VisitCover::NoSuchCategory {
        return Err(CareError::field("category_id", "unknown", "There is no such category."));
    }
    licenses::is_among(booking.provider, &providers)?;
    if at_work == Some(false) {
        return Err(CareError::field(
            "starts_at",
            "outside_working_hours",
            "The provider does not work during the whole of the slot.",
        ));
    }
    let assessments = tx.assessments(patient, &Reach::Patient(patient)).await?;
    check_cover(cover, booking.category, &assessments)?;
    if tx.consultations_ahead(patient, env.now()).await? >= Consultation::MOST_AHEAD {
        return Err(CareError::TooManyBookings);
    }
    let consultation = Consultation {
        id,
        patient,
        provider: booking.provider,
        category: booking.category,
        state: facts.state,
        starts_at: booking.starts_at,
        status: ConsultationStatus::Scheduled,
        began_at: None,
        ended_at: None,
        room: None,
        notes: None,
        version: 1,
    };
    tx.add_consultation(&consultation)
        .await
        .map_err(|error| CareError::on_conflict(error, CareError::SlotTaken))?;
    tx.enqueue(JobRequest::new(&CreateVideoRoom { consultation: id }).key(format!("room-{id}")));
    tx.emit(changed(&consultation));
    tx.audit(AuditEntry::new(AuditAction::Create, "consultation", id).patient(patient));
    tx.commit().await?;
    Ok(consultation)
}

/// A visit takes a plan that has them. One in a category in which the patient
/// waits for a decision is a part of that decision: a provider may have to see
/// who cannot subscribe yet.
fn check_cover(
    cover: VisitCover,
    category: Option<CategoryId>,
    assessments: &[Assessment],
) -> Result<(), CareError> {
    let awaited = assessments.iter().any(|assessment| {
        assessment.review.is_open() && category.is_none_or(|own| own == assessment.category)
    });
    if cover == VisitCover::NotIncluded && !awaited {
        return Err(CareError::FeatureNotIncluded(VIDEO_VISITS));
    }
    Ok(())
}

fn changed(consultation: &Consultation) -> Event {
    Event::ConsultationChanged {
        consultation: consultation.id,
        patient: consultation.patient,
        provider: consultation.provider,
        status: consultation.status.to_string(),
    }
}

/// The job [`CreateVideoRoom`]. Run twice it may make a second session at the
/// vendor, which stays unused: the first that is stored is the room.
pub async fn create_video_room(
    _env: &Env,
    store: &dyn CareStore,
    rooms: &dyn VideoRooms,
    job: CreateVideoRoom,
) -> Result<(), CareError> {
    let actor = Actor::system("care.create_video_room");
    let load = async |tx: &mut dyn CareTx| {
        tx.consultation(job.consultation, &Reach::All)
            .await?
            .ok_or(CareError::NotFound("consultation"))
    };
    let mut tx = store.begin(&actor).await?;
    let consultation = load(tx.as_mut()).await?;
    drop(tx);
    if consultation.room.is_some() || consultation.status.is_over() {
        return Ok(());
    }

    let session = rooms.create_session().await?;

    let mut tx = store.begin(&actor).await?;
    let consultation = load(tx.as_mut()).await?;
    let patient = consultation.patient;
    if let Some(with_room) = consultation.with_room(session) {
        tx.save_consultation(&with_room).await?;
        tx.audit(
            AuditEntry::new(AuditAction::Update, "consultation", job.consultation)
                .patient(patient)
                .detail("room", "created"),
        );
        tx.commit().await?;
    }
    Ok(())
}

/// The consultations in which the actor takes part.
fn own(actor: &Actor) -> Reach {
    match (actor.as_provider(), actor.as_patient()) {
        (Some(provider), _) => Reach::Provider { provider, states: Vec::new() },
        (None, Some(patient)) => Reach::Patient(patient),
        (None, None) => Reach::Nobody,
    }
}

/// One's own consultations, those that begin last first: a patient's, or those
/// that a provider holds.
pub async fn list(
    store: &dyn CareStore,
    actor: &Actor,
    status: Option<ConsultationStatus>,
    page: &PageRequest,
) -> Result<Page<Consultation>, CareError> {
    let reach = own(actor);
    let (permission, whose) = match &reach {
        Reach::Provider { provider, .. } => (Permission::ConsultationConduct, provider.uuid()),
        Reach::Patient(patient) => (Permission::ConsultationOwn, patient.uuid()),
        Reach::Nobody | Reach::All => return Err(CareError::PatientRequired),
    };
    actor.require(permission)?;
    let mut tx = store.begin(actor).await?;
    let found = tx.consultations(&reach, status, page).await?;
    let shown = found.items.iter().map(|one| (one.patient, one.id.uuid()));
    let entry = AuditEntry::new(AuditAction::Search, "consultation", whose)
        .detail("status", status.map(|status| status.to_string()));
    tx.audit_all(entry.per_patient(shown));
    tx.commit().await?;
    Ok(found)
}

/// Loads a consultation for one of its two participants, or audits the
/// attempt.
async fn reachable(
    store: &dyn CareStore,
    actor: &Actor,
    id: ConsultationId,
    action: AuditAction,
) -> Result<(Box<dyn CareTx>, Consultation, Participant), CareError> {
    let mut tx = store.begin(actor).await?;
    let reach = own(actor);
    if let Some(consultation) = tx.consultation(id, &reach).await? {
        let participant = match reach {
            Reach::Provider { .. } => Participant::Provider,
            _ => Participant::Patient,
        };
        return Ok((tx, consultation, participant));
    }
    tx.audit(AuditEntry::new(action, "consultation", id).denied());
    tx.commit().await?;
    Err(CareError::NotFound("consultation"))
}

/// A consultation of one's own.
pub async fn get(
    store: &dyn CareStore,
    actor: &Actor,
    id: ConsultationId,
) -> Result<Consultation, CareError> {
    let (mut tx, consultation, _) = reachable(store, actor, id, AuditAction::Read).await?;
    tx.audit(AuditEntry::new(AuditAction::Read, "consultation", id).patient(consultation.patient));
    tx.commit().await?;
    Ok(consultation)
}

/// Calls a meeting off for both; the slot is free again.
pub async fn cancel(
    env: &Env,
    store: &dyn CareStore,
    actor: &Actor,
    id: ConsultationId,
) -> Result<Consultation, CareError> {
    let (mut tx, consultation, participant) =
        reachable(store, actor, id, AuditAction::Update).await?;
    actor.require(match participant {
        Participant::Patient => Permission::ConsultationOwn,
        Participant::Provider => Permission::ConsultationConduct,
    })?;
    let patient = consultation.patient;
    let Some(mut canceled) = consultation.clone().cancel(env.now())? else {
        tx.audit(AuditEntry::new(AuditAction::Read, "consultation", id).patient(patient));
        tx.commit().await?;
        return Ok(consultation);
    };
    tx.save_consultation(&canceled)
        .await
        .map_err(|error| CareError::on_conflict(error, CareError::ConsultationBegun))?;
    tx.emit(changed(&canceled));
    tx.audit(
        AuditEntry::new(AuditAction::Update, "consultation", id)
            .patient(patient)
            .detail("status", canceled.status.to_string())
            .detail("by", participant.to_string()),
    );
    tx.commit().await?;
    canceled.version += 1;
    Ok(canceled)
}

/// Lets a participant in: a token with the participant's role that ends with
/// the meeting. The connection's data names the consultation and the part
/// played in it, never the person.
pub async fn join(
    env: &Env,
    store: &dyn CareStore,
    rooms: &dyn VideoRooms,
    actor: &Actor,
    id: ConsultationId,
) -> Result<Admission, CareError> {
    let (tx, consultation, participant) = reachable(store, actor, id, AuditAction::Execute).await?;
    drop(tx);
    actor.require(match participant {
        Participant::Patient => Permission::ConsultationOwn,
        Participant::Provider => Permission::ConsultationConduct,
    })?;
    let now = env.now();
    consultation.check_open(now)?;
    if consultation.room.is_none() {
        // The job has not run yet, and somebody waits: make the room now.
        create_video_room(env, store, rooms, CreateVideoRoom { consultation: id }).await.map_err(
            |error| match error {
                CareError::Port(PortError::Conflict(_)) => CareError::RoomNotReady,
                other => other,
            },
        )?;
    }

    let (mut tx, consultation, _) = reachable(store, actor, id, AuditAction::Execute).await?;
    consultation.check_open(now)?;
    let expires_at = consultation.closes_at();
    let session = consultation.room.ok_or(CareError::RoomNotReady)?;
    let token = rooms.client_token(&TokenRequest {
        session: session.clone(),
        role: participant.token_role(),
        issued_at: now,
        expires_at,
        data: json!({ "consultation": id, "participant": participant }).to_string(),
        nonce: env.ids.uuid().to_string(),
    })?;
    tx.audit(
        AuditEntry::new(AuditAction::Execute, "consultation", id)
            .patient(consultation.patient)
            .detail("joined_as", participant.to_string()),
    );
    tx.commit().await?;
    Ok(Admission { consultation: id, participant, session, token, expires_at })
}

/// The notes: the provider's own at any time, and the patient's to read once
/// the consultation is completed.
pub async fn notes(
    store: &dyn CareStore,
    actor: &Actor,
    id: ConsultationId,
) -> Result<Consultation, CareError> {
    let (mut tx, mut consultation, participant) =
        reachable(store, actor, id, AuditAction::Read).await?;
    if participant == Participant::Patient && consultation.status != ConsultationStatus::Completed {
        consultation.notes = None;
    }
    tx.audit(
        AuditEntry::new(AuditAction::Read, "consultation_notes", id).patient(consultation.patient),
    );
    tx.commit().await?;
    Ok(consultation)
}

/// Writes the notes, and completes the consultation when asked to.
pub async fn write_notes(
    env: &Env,
    store: &dyn CareStore,
    actor: &Actor,
    id: ConsultationId,
    text: &str,
    complete: bool,
) -> Result<Consultation, CareError> {
    actor.require(Permission::ConsultationConduct)?;
    let (mut tx, before, participant) = reachable(store, actor, id, AuditAction::Update).await?;
    if participant != Participant::Provider {
        return Err(CareError::ProviderRequired);
    }
    let status = before.status;
    let mut after = before.write_notes(text, complete, env.now())?;
    tx.save_consultation(&after).await?;
    if after.status != status {
        tx.emit(changed(&after));
    }
    tx.audit(
        AuditEntry::new(AuditAction::Update, "consultation_notes", id)
            .patient(after.patient)
            .detail("status", after.status.to_string()),
    );
    tx.commit().await?;
    after.version += 1;
    Ok(after)
}

/// Takes a callback of the video vendor. Callbacks come more than once and in
/// any order; what changes nothing is accepted in silence. The answer says why
/// staff have to see it, where it cannot be read.
pub async fn on_video_callback(
    env: &Env,
    store: &dyn CareStore,
    rooms: &dyn VideoRooms,
    credentials: &CallbackCredentials,
    body: &[u8],
) -> Result<Option<&'static str>, CareError> {
    let callback = rooms.read_callback(credentials, body, env.now())?;
    let session = match callback.ok_or(CareError::BadSignature)? {
        VideoCallback::Connected { session } => session,
        VideoCallback::Unreadable(why) => return Ok(Some(why)),
        _ => return Ok(None),
    };
    let mut tx = store.begin(&Actor::system("care.video_callback")).await?;
    let Some(consultation) = tx.consultation_in(&session).await? else { return Ok(None) };
    let Some(running) = consultation.connected(env.now()) else { return Ok(None) };
    tx.save_consultation(&running).await?;
    tx.emit(changed(&running));
    tx.audit(
        AuditEntry::new(AuditAction::Update, "consultation", running.id)
            .patient(running.patient)
            .detail("status", running.status.to_string()),
    );
    tx.commit().await?;
    Ok(None)
}
