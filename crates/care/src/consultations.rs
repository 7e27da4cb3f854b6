//! Booking, joining and documenting video consultations.

use chrono::{DateTime, Utc};
use kernel::{Actor, CategoryId, ConsultationId, Page, PageRequest, Permission, ProviderId, Seen};
use ports::{
    AuditAction, AuditEntry, Env, Event, IdempotencyKey, JobRequest, JobSpec, Locked, PortError,
    repository::{self, lock},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Assessment, CallbackCredentials, CareError, CareStore, CareTx, ClientToken, Consultation,
    ConsultationStatus, Participant, Sources, TokenRequest, VIDEO_VISITS, VideoCallback,
    VideoRooms, VisitCover, licenses, store::reached,
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
        let found: Consultation = repository::get(tx.as_mut(), earlier.into()).await?;
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
    let assessments = tx.assessments(patient).await?;
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
    tx.hold_off_handover(patient).await?;
    tx.insert(&consultation).await.map_err(|error| match error {
        PortError::Conflict(rule) if rule.ends_with("_slot") => CareError::SlotTaken,
        other => other.into(),
    })?;
    tx.rejoin(booking.provider, patient).await?;
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
    let mut tx = store.begin(&actor).await?;
    let consultation: Consultation = repository::get(tx.as_mut(), job.consultation).await?;
    drop(tx);
    if !consultation.lacks_room() {
        return Ok(());
    }

    let session = rooms.create_session().await?;

    let mut tx = store.begin(&actor).await?;
    let mut consultation = lock::<Consultation>(tx.as_mut(), job.consultation, &Seen::Any).await?;
    if consultation.lacks_room() {
        consultation.take_room(session);
        tx.save(&mut consultation).await?;
        tx.audit(
            AuditEntry::new(AuditAction::Update, "consultation", job.consultation)
                .patient(consultation.patient)
                .detail("room", "created"),
        );
        tx.commit().await?;
    }
    Ok(())
}

/// One's own consultations, those that begin last first: a patient's, or those
/// that a provider holds.
pub async fn list(
    store: &dyn CareStore,
    actor: &Actor,
    status: Option<ConsultationStatus>,
    page: &PageRequest,
) -> Result<Page<Consultation>, CareError> {
    let (permission, whose) = match (actor.as_provider(), actor.as_patient()) {
        (Some(provider), _) => (Permission::ConsultationConduct, provider.uuid()),
        (None, Some(patient)) => (Permission::ConsultationOwn, patient.uuid()),
        (None, None) => return Err(CareError::PatientRequired),
    };
    actor.require(permission)?;
    let mut tx = store.begin(actor).await?;
    let found = tx.consultations(status, page).await?;
    let shown = found.items.iter().map(|one| (one.patient, one.id.uuid()));
    let entry = AuditEntry::new(AuditAction::Search, "consultation", whose)
        .detail("status", status.map(|status| status.to_string()));
    tx.audit_all(entry.per_patient(shown));
    tx.commit().await?;
    Ok(found)
}

/// As what the actor takes part in the consultations that they reach.
fn participant(actor: &Actor) -> Participant {
    match actor.as_provider() {
        Some(_) => Participant::Provider,
        None => Participant::Patient,
    }
}

/// Loads a consultation for one of its two participants, or audits the
/// attempt.
async fn reachable(
    store: &dyn CareStore,
    actor: &Actor,
    id: ConsultationId,
    action: AuditAction,
) -> Result<(Box<dyn CareTx>, Consultation), CareError> {
    let mut tx = store.begin(actor).await?;
    let found = repository::get(tx.as_mut(), id).await;
    reached(tx, found, (action, "consultation", id.uuid())).await
}

/// The same, locked to be changed.
async fn to_change(
    store: &dyn CareStore,
    actor: &Actor,
    id: ConsultationId,
) -> Result<(Box<dyn CareTx>, Locked<Consultation>), CareError> {
    let mut tx = store.begin(actor).await?;
    let found = lock(tx.as_mut(), id, &Seen::Any).await;
    reached(tx, found, (AuditAction::Update, "consultation", id.uuid())).await
}

/// A consultation of one's own.
pub async fn get(
    store: &dyn CareStore,
    actor: &Actor,
    id: ConsultationId,
) -> Result<Consultation, CareError> {
    let (mut tx, consultation) = reachable(store, actor, id, AuditAction::Read).await?;
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
    let (mut tx, mut consultation) = to_change(store, actor, id).await?;
    let participant = participant(actor);
    actor.require(participant.permission())?;
    let patient = consultation.patient;
    consultation.cancel(env.now())?;
    if *consultation == *consultation.stored() {
        tx.audit(AuditEntry::new(AuditAction::Read, "consultation", id).patient(patient));
    } else {
        tx.save(&mut consultation).await?;
        tx.emit(changed(&consultation));
        tx.audit(
            AuditEntry::new(AuditAction::Update, "consultation", id)
                .patient(patient)
                .detail("status", consultation.status.to_string())
                .detail("by", participant.to_string()),
        );
    }
    tx.commit().await?;
    Ok(consultation.into_inner())
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
    let (tx, consultation) = reachable(store, actor, id, AuditAction::Execute).await?;
    drop(tx);
    let participant = participant(actor);
    actor.require(participant.permission())?;
    let now = env.now();
    consultation.check_open(now)?;
    if consultation.room.is_none() {
        // The job has not run yet, and somebody waits: make the room now.
        create_video_room(env, store, rooms, CreateVideoRoom { consultation: id }).await?;
    }

    let (mut tx, consultation) = reachable(store, actor, id, AuditAction::Execute).await?;
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
    let (mut tx, mut consultation) = reachable(store, actor, id, AuditAction::Read).await?;
    let is_patient = participant(actor) == Participant::Patient;
    if is_patient && consultation.status != ConsultationStatus::Completed {
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
    let (mut tx, mut consultation) = to_change(store, actor, id).await?;
    if participant(actor) != Participant::Provider {
        return Err(CareError::ProviderRequired);
    }
    let status = consultation.status;
    consultation.write_notes(text, complete, env.now())?;
    tx.save(&mut consultation).await?;
    if consultation.status != status {
        tx.emit(changed(&consultation));
    }
    tx.audit(
        AuditEntry::new(AuditAction::Update, "consultation_notes", id)
            .patient(consultation.patient)
            .detail("status", consultation.status.to_string()),
    );
    tx.commit().await?;
    Ok(consultation.into_inner())
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
    let Some(mut consultation) = tx.lock_consultation_in(&session).await? else { return Ok(None) };
    consultation.connect(env.now());
    if *consultation == *consultation.stored() {
        return Ok(None);
    }
    tx.save(&mut consultation).await?;
    tx.emit(changed(&consultation));
    tx.audit(
        AuditEntry::new(AuditAction::Update, "consultation", consultation.id)
            .patient(consultation.patient)
            .detail("status", consultation.status.to_string()),
    );
    tx.commit().await?;
    Ok(None)
}
