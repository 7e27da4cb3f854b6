use std::sync::Arc;

use api::{Body, Caller, PageQuery, Problem, Tag, Text, idempotency_key};
use care::{
    CareStore, Consultation, Sources, VideoRooms,
    consultations::{self, Admission, Booking},
};
use chrono::{DateTime, Utc};
use kernel::{CategoryId, ConsultationId, Page, ProviderId, Uuid, text::ConsultationNotes};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
    types::Example,
};
use ports::Env;

use super::names::{Names, PatientNameView};

pub struct ConsultationsApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub sources: Sources,
    pub rooms: Arc<dyn VideoRooms>,
}

/// A slot to book.
#[derive(Debug, Object)]
#[oai(example)]
pub struct BookConsultation {
    /// A provider with an active license in the patient's state.
    pub provider_id: Uuid,
    /// The category that it is about.
    pub category_id: Option<Uuid>,
    /// When the slot begins: at a quarter of an hour, at most 90 days ahead. A
    /// slot lasts 15 minutes.
    pub starts_at: DateTime<Utc>,
}

impl Example for BookConsultation {
    fn example() -> Self {
        Self {
            provider_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002),
            category_id: None,
            starts_at: DateTime::from_timestamp_nanos(1_798_767_000_000_000_000),
        }
    }
}

/// A video consultation.
#[derive(Debug, Object)]
pub struct ConsultationView {
    /// The `session_id` of the other operations.
    pub id: Uuid,
    pub patient_id: Uuid,
    /// Who that is, for the provider; absent where the patient asks.
    pub patient: Option<PatientNameView>,
    pub provider_id: Uuid,
    pub category_id: Option<Uuid>,
    pub status: care::ConsultationStatus,
    pub starts_at: DateTime<Utc>,
    pub ends_at: DateTime<Utc>,
    /// From when one can join.
    pub opens_at: DateTime<Utc>,
    /// When the meeting and its tokens end.
    pub closes_at: DateTime<Utc>,
    /// Whether the vendor's room has been made.
    pub room_ready: bool,
}

impl ConsultationView {
    fn of(consultation: Consultation, names: &Names) -> Self {
        Self {
            id: consultation.id.uuid(),
            patient_id: consultation.patient.uuid(),
            patient: names.view(consultation.patient),
            provider_id: consultation.provider.uuid(),
            category_id: consultation.category.map(Into::into),
            status: consultation.status,
            starts_at: consultation.starts_at,
            ends_at: consultation.ends_at(),
            opens_at: consultation.opens_at(),
            closes_at: consultation.closes_at(),
            room_ready: consultation.room.is_some(),
        }
    }
}

/// A page of video consultations.
#[derive(Debug, Object)]
pub struct ConsultationsView {
    /// Those that begin last come first.
    pub consultations: Vec<ConsultationView>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

/// What a client connects to the video vendor with.
#[derive(Debug, Object)]
pub struct AdmissionView {
    pub consultation_id: Uuid,
    pub participant: care::Participant,
    /// The vendor's project (API key or application id).
    pub project: String,
    /// The vendor's session.
    pub vendor_session_id: String,
    /// The client token; it is a secret of this participant.
    pub token: String,
    pub expires_at: DateTime<Utc>,
}

impl From<Admission> for AdmissionView {
    fn from(admission: Admission) -> Self {
        Self {
            consultation_id: admission.consultation.uuid(),
            participant: admission.participant,
            project: admission.token.project,
            vendor_session_id: admission.session,
            token: admission.token.token,
            expires_at: admission.expires_at,
        }
    }
}

/// The notes of a consultation.
#[derive(Debug, Object)]
pub struct NotesView {
    pub consultation_id: Uuid,
    pub status: care::ConsultationStatus,
    /// The notes; a patient reads them once the consultation is completed.
    pub notes: Option<String>,
}

impl From<Consultation> for NotesView {
    fn from(consultation: Consultation) -> Self {
        Self {
            consultation_id: consultation.id.uuid(),
            status: consultation.status,
            notes: consultation.notes,
        }
    }
}

/// The provider's notes.
#[derive(Debug, Object)]
#[oai(example)]
pub struct WriteNotes {
    /// In 1 to 20,000 characters; they replace the ones before.
    pub notes: Text<ConsultationNotes>,
    /// Also closes the consultation.
    #[oai(default)]
    pub complete: bool,
}

impl Example for WriteNotes {
    fn example() -> Self {
        Self { notes: "Seen by video; goes on as before.".into(), complete: true }
    }
}

impl ConsultationsApi {
    /// Shows consultations to one of their participants.
    async fn shown(
        &self,
        caller: &Caller,
        found: Vec<Consultation>,
    ) -> Result<Vec<ConsultationView>, Problem> {
        let names = match caller.actor().as_provider() {
            Some(_) => {
                Names::of(self.sources.facts.as_ref(), found.iter().map(|one| one.patient)).await?
            }
            // A patient's own name says nothing that is new.
            None => Names::default(),
        };
        Ok(found.into_iter().map(|one| ConsultationView::of(one, &names)).collect())
    }

    async fn shown_one(
        &self,
        caller: &Caller,
        found: Consultation,
    ) -> Result<Json<ConsultationView>, Problem> {
        let mut shown = self.shown(caller, vec![found]).await?;
        Ok(Json(shown.remove(0)))
    }
}

#[OpenApi(tag = "Tag::Care")]
impl ConsultationsApi {
    /// List one's video consultations
    ///
    /// A patient's own, or those that a provider holds; those that begin last
    /// come first. The reading is audited with the patients that it returned.
    #[oai(
        path = "/api/consultations/video",
        method = "get",
        operation_id = "listVideoConsultations"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Those of one status.
        status: Query<Option<care::ConsultationStatus>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<Json<ConsultationsView>, Problem> {
        let (status, page) = (status.0, PageQuery::read(limit, cursor)?);
        let Page { items, next } =
            consultations::list(self.store.as_ref(), caller.actor(), status, &page).await?;
        let consultations = self.shown(&caller, items).await?;
        Ok(Json(ConsultationsView { consultations, next }))
    }

    /// Book a video consultation
    ///
    /// The patient takes a slot of a provider who is licensed where the patient
    /// is. Where plans on offer have the feature `video_visits` – those of the
    /// category, or any without one – it takes a subscription in force that
    /// has it (403 `subscriptions.feature_not_included` otherwise), unless the
    /// patient waits for a decision there. Of a provider who has working hours
    /// the whole slot lies within them (422 `outside_working_hours` at
    /// `starts_at`). A patient has at most three ahead
    /// (409 `care.too_many_bookings`). Repeated with the same
    /// `Idempotency-Key`, it answers with the consultation that was booked
    /// first.
    #[oai(
        path = "/api/consultations/video/create",
        method = "post",
        operation_id = "bookVideoConsultation"
    )]
    async fn book(
        &self,
        caller: Caller,
        /// A value that is unique to this booking; a repetition carries it again.
        #[oai(name = "Idempotency-Key")]
        key: Header<String>,
        body: Body<BookConsultation>,
    ) -> Result<Json<ConsultationView>, Problem> {
        let key = idempotency_key("care.book_consultation", &key.0, &body.0)?;
        let booking = Booking {
            provider: ProviderId(body.0.provider_id),
            category: body.0.category_id.map(CategoryId),
            starts_at: body.0.starts_at,
        };
        let (store, actor) = (self.store.as_ref(), caller.actor());
        let booked =
            consultations::book(&self.env, store, &self.sources, actor, booking, &key).await?;
        self.shown_one(&caller, booked).await
    }

    /// Read a video consultation
    ///
    /// For its patient and its provider.
    #[oai(
        path = "/api/consultations/video/:session_id",
        method = "get",
        operation_id = "getVideoConsultation"
    )]
    async fn get(
        &self,
        caller: Caller,
        session_id: Path<Uuid>,
    ) -> Result<Json<ConsultationView>, Problem> {
        let id = ConsultationId(session_id.0);
        let found = consultations::get(self.store.as_ref(), caller.actor(), id).await?;
        self.shown_one(&caller, found).await
    }

    /// Cancel a video consultation
    ///
    /// By its patient or its provider, until it begins or somebody has joined it
    /// (409 `care.consultation_begun`). The slot is free again, and the other is
    /// told. Repeated, it answers the same.
    #[oai(
        path = "/api/consultations/video/:session_id/cancel",
        method = "post",
        operation_id = "cancelVideoConsultation"
    )]
    async fn cancel(
        &self,
        caller: Caller,
        session_id: Path<Uuid>,
    ) -> Result<Json<ConsultationView>, Problem> {
        let id = ConsultationId(session_id.0);
        let store = self.store.as_ref();
        let canceled = consultations::cancel(&self.env, store, caller.actor(), id).await?;
        self.shown_one(&caller, canceled).await
    }

    /// Join a video consultation
    ///
    /// Gives a client token with the participant's role. One can join from 15
    /// minutes before the slot until 30 minutes after it, which is also when
    /// the token ends.
    #[oai(
        path = "/api/consultations/video/:session_id/join",
        method = "post",
        operation_id = "joinVideoConsultation"
    )]
    async fn join(
        &self,
        caller: Caller,
        session_id: Path<Uuid>,
    ) -> Result<Json<AdmissionView>, Problem> {
        let (store, rooms) = (self.store.as_ref(), self.rooms.as_ref());
        let id = ConsultationId(session_id.0);
        let admission = consultations::join(&self.env, store, rooms, caller.actor(), id).await?;
        Ok(Json(admission.into()))
    }

    /// Read a consultation's notes
    ///
    /// The provider at any time, and the patient once the consultation is
    /// completed.
    #[oai(
        path = "/api/consultations/video/:session_id/notes",
        method = "get",
        operation_id = "getConsultationNotes"
    )]
    async fn notes(
        &self,
        caller: Caller,
        session_id: Path<Uuid>,
    ) -> Result<Json<NotesView>, Problem> {
        let id = ConsultationId(session_id.0);
        Ok(Json(consultations::notes(self.store.as_ref(), caller.actor(), id).await?.into()))
    }

    /// Write a consultation's notes
    ///
    /// Only its provider can. One that lies ahead is completed once one can
    /// join it (409 `care.consultation_ahead` before); notes without `complete`
    /// are taken at any time.
    #[oai(
        path = "/api/consultations/video/:session_id/notes",
        method = "put",
        operation_id = "writeConsultationNotes"
    )]
    async fn write_notes(
        &self,
        caller: Caller,
        session_id: Path<Uuid>,
        body: Body<WriteNotes>,
    ) -> Result<Json<NotesView>, Problem> {
        let (store, id) = (self.store.as_ref(), ConsultationId(session_id.0));
        let WriteNotes { notes, complete } = body.0;
        let written =
            consultations::write_notes(&self.env, store, caller.actor(), id, &notes, complete)
                .await?;
        Ok(Json(written.into()))
    }
}
