use std::sync::Arc;

use api::{Answer, Body, Caller, Mirror, PageQuery, Result, Tag, Text, idempotency_key};
use care::{
    CareStore, Consultation, ConsultationStatus, Participant, Sources, VideoRooms,
    consultations::{self, Admission, Booking},
};
use chrono::{DateTime, Utc};
use kernel::{CategoryId, ConsultationId, Page, ProviderId, Uuid, text::ConsultationNotes};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use ports::Env;

use super::names::{self, WhoView};

pub struct ConsultationsApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub sources: Sources,
    pub rooms: Arc<dyn VideoRooms>,
}

/// A slot to book.
#[derive(Debug, Object, Mirror)]
#[mirror(into = Booking)]
#[oai(example)]
pub struct BookConsultation {
    /// A provider with an active license in the patient's state.
    pub provider_id: ProviderId,
    /// The category that it is about.
    pub category_id: Option<CategoryId>,
    /// When the slot begins: at a quarter of an hour, at most 90 days ahead. A
    /// slot lasts 15 minutes.
    pub starts_at: DateTime<Utc>,
}

api::example!(BookConsultation {
    provider_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002).into(),
    category_id: None,
    starts_at: DateTime::from_timestamp_nanos(1_798_767_000_000_000_000),
});

/// A video consultation.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Consultation)]
pub struct ConsultationView {
    /// The `session_id` of the other operations.
    pub id: ConsultationId,
    #[oai(flatten)]
    #[mirror(patient)]
    pub who: WhoView,
    pub provider_id: ProviderId,
    pub category_id: Option<CategoryId>,
    pub status: ConsultationStatus,
    pub starts_at: DateTime<Utc>,
    #[mirror(|consultation| consultation.ends_at())]
    pub ends_at: DateTime<Utc>,
    /// From when one can join.
    #[mirror(|consultation| consultation.opens_at())]
    pub opens_at: DateTime<Utc>,
    /// When the meeting and its tokens end.
    #[mirror(|consultation| consultation.closes_at())]
    pub closes_at: DateTime<Utc>,
    /// Whether the vendor's room has been made.
    #[mirror(|consultation| consultation.room.is_some())]
    pub room_ready: bool,
}

/// A page of video consultations.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Page<Consultation>)]
pub struct ConsultationsView {
    /// Those that begin last come first.
    #[mirror(items)]
    pub consultations: Vec<ConsultationView>,
    /// The cursor of the next page.
    pub next: Option<String>,
}

/// What a client connects to the video vendor with.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Admission)]
pub struct AdmissionView {
    pub consultation_id: ConsultationId,
    pub participant: Participant,
    /// The vendor's project (API key or application id).
    #[mirror(token.project)]
    pub project: String,
    /// The vendor's session.
    #[mirror(session)]
    pub vendor_session_id: String,
    /// The client token; it is a secret of this participant.
    #[mirror(token.token)]
    pub token: String,
    pub expires_at: DateTime<Utc>,
}

/// The notes of a consultation.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Consultation)]
pub struct NotesView {
    #[mirror(id)]
    pub consultation_id: ConsultationId,
    pub status: ConsultationStatus,
    /// The notes; a patient reads them once the consultation is completed.
    pub notes: Option<String>,
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

api::example!(WriteNotes { notes: "Seen by video; goes on as before.".into(), complete: true });

impl ConsultationsApi {
    /// Says who the patients are, where a provider asks; a patient's own name says
    /// nothing that is new.
    async fn name(&self, caller: &Caller, shown: &mut [ConsultationView]) -> Result<()> {
        if caller.actor().as_provider().is_none() {
            return Ok(());
        }
        names::name(&*self.sources.facts, shown.iter_mut().map(|one| &mut one.who)).await
    }

    async fn shown(&self, caller: &Caller, found: Consultation) -> Answer<ConsultationView> {
        let mut shown = [found.into()];
        self.name(caller, &mut shown).await?;
        let [shown] = shown;
        Ok(Json(shown))
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
        status: Query<Option<ConsultationStatus>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<ConsultationsView> {
        let (status, page) = (status.0, PageQuery::read(limit, cursor)?);
        let found = consultations::list(&*self.store, caller.actor(), status, &page).await?;
        let mut shown = ConsultationsView::from(found);
        self.name(&caller, &mut shown.consultations).await?;
        Ok(Json(shown))
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
    ) -> Answer<ConsultationView> {
        let key = idempotency_key("care.book_consultation", &key.0, &body.0)?;
        let (store, actor, booking) = (&*self.store, caller.actor(), body.0.into());
        let booked =
            consultations::book(&self.env, store, &self.sources, actor, booking, &key).await?;
        self.shown(&caller, booked).await
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
        session_id: Path<ConsultationId>,
    ) -> Answer<ConsultationView> {
        let found = consultations::get(&*self.store, caller.actor(), session_id.0).await?;
        self.shown(&caller, found).await
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
        session_id: Path<ConsultationId>,
    ) -> Answer<ConsultationView> {
        let store = &*self.store;
        let canceled =
            consultations::cancel(&self.env, store, caller.actor(), session_id.0).await?;
        self.shown(&caller, canceled).await
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
        session_id: Path<ConsultationId>,
    ) -> Answer<AdmissionView> {
        let (store, rooms) = (&*self.store, &*self.rooms);
        let admission =
            consultations::join(&self.env, store, rooms, caller.actor(), session_id.0).await?;
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
    async fn notes(&self, caller: Caller, session_id: Path<ConsultationId>) -> Answer<NotesView> {
        Ok(Json(consultations::notes(&*self.store, caller.actor(), session_id.0).await?.into()))
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
        session_id: Path<ConsultationId>,
        body: Body<WriteNotes>,
    ) -> Answer<NotesView> {
        let (store, id) = (&*self.store, session_id.0);
        let WriteNotes { notes, complete } = body.0;
        let written =
            consultations::write_notes(&self.env, store, caller.actor(), id, &notes, complete)
                .await?;
        Ok(Json(written.into()))
    }
}
