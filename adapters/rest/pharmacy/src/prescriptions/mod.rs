//! Prescriptions, their safety alerts and the pharmacy directory; and what the
//! eRx network calls.

mod pharmacies;
mod views;
mod webhook;

use std::sync::Arc;

use api::{Body, Caller, PageQuery, Problem, Tag, idempotency_key, idempotency_key_on};
use kernel::Uuid;
use pharmacy::prescription::{
    PrescriptionStore, read,
    write::{self, PrescribingPorts},
};
use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use ports::{Env, Panel};

pub use self::{
    pharmacies::PharmaciesApi,
    views::{
        AlertOverrideRequest, ModifyPrescriptionRequest, OverrideAlertsRequest, PharmacyPage,
        PharmacyView, PrescriptionPage, PrescriptionView, SendPrescriptionRequest,
    },
    webhook::{ErxWebhookApi, WebhookCredential},
};

pub struct PrescriptionsApi {
    pub env: Env,
    pub store: Arc<dyn PrescriptionStore>,
    pub ports: PrescribingPorts,
    pub panel: Arc<dyn Panel>,
}

#[OpenApi(tag = "Tag::Pharmacy")]
impl PrescriptionsApi {
    /// Send electronic prescription
    ///
    /// Writes the prescription of a treatment plan, checks it against the
    /// patient's record and queues it for the pharmacy. A prescription that a
    /// safety alert blocks is answered with `status` `blocked`; it goes out
    /// once each blocking alert is overridden with a reason. While a
    /// prescription is open for the plan, that one is the answer.
    #[oai(path = "/api/prescriptions/erx", method = "post", operation_id = "sendPrescription")]
    async fn send(
        &self,
        caller: Caller,
        /// The client's promise that two requests with this key are one.
        #[oai(name = "Idempotency-Key")]
        key: Header<String>,
        body: Body<SendPrescriptionRequest>,
    ) -> Result<Json<PrescriptionView>, Problem> {
        let key = idempotency_key("pharmacy.send_prescription", &key.0, &body.0)?;
        let request = body.0.into_domain();
        let prescription = write::prescribe(
            &self.env,
            self.store.as_ref(),
            &self.ports,
            caller.actor(),
            request,
            &key,
        )
        .await?;
        Ok(Json(PrescriptionView::of(&prescription)))
    }

    /// Get prescription status
    ///
    /// One prescription with its state, its alerts and the fills that are
    /// left. A patient reads their own, a provider those they wrote, a pharmacist
    /// those of their own pharmacies.
    #[oai(
        path = "/api/prescriptions/status/:id",
        method = "get",
        operation_id = "getPrescriptionStatus"
    )]
    async fn status(
        &self,
        caller: Caller,
        /// The prescription's id.
        id: Path<Uuid>,
    ) -> Result<Json<PrescriptionView>, Problem> {
        let prescription =
            read::prescription(self.store.as_ref(), caller.actor(), id.0.into()).await?;
        Ok(Json(PrescriptionView::of(&prescription)))
    }

    /// Modify prescription
    ///
    /// Changes a prescription that has not been sent; it is checked again and
    /// queued when nothing blocks it. One that was sent cannot be changed,
    /// because the pharmacy holds it.
    #[oai(
        path = "/api/prescriptions/:id/modify",
        method = "put",
        operation_id = "modifyPrescription"
    )]
    async fn modify(
        &self,
        caller: Caller,
        /// The prescription's id.
        id: Path<Uuid>,
        body: Body<ModifyPrescriptionRequest>,
    ) -> Result<Json<PrescriptionView>, Problem> {
        let changes = body.0.into_domain()?;
        let prescription = write::modify(
            &self.env,
            self.store.as_ref(),
            &self.ports,
            caller.actor(),
            id.0.into(),
            changes,
        )
        .await?;
        Ok(Json(PrescriptionView::of(&prescription)))
    }

    /// Override safety alerts
    ///
    /// The prescriber takes alerts upon themselves, each with a reason that is
    /// kept. With the last blocking alert overridden the prescription is
    /// queued for the pharmacy.
    #[oai(
        path = "/api/prescriptions/:id/override",
        method = "post",
        operation_id = "overridePrescriptionAlerts"
    )]
    async fn override_alerts(
        &self,
        caller: Caller,
        /// The prescription's id.
        id: Path<Uuid>,
        /// The client's promise that two requests with this key are one.
        #[oai(name = "Idempotency-Key")]
        key: Header<String>,
        body: Body<OverrideAlertsRequest>,
    ) -> Result<Json<PrescriptionView>, Problem> {
        let key = idempotency_key_on("pharmacy.override_alerts", id.0, &key.0, &body.0)?;
        let overrides = body.0.into_domain();
        let prescription = write::override_alerts(
            &self.env,
            self.store.as_ref(),
            &self.ports,
            caller.actor(),
            id.0.into(),
            &overrides,
            &key,
        )
        .await?;
        Ok(Json(PrescriptionView::of(&prescription)))
    }

    /// List prescriptions
    ///
    /// Newest first: a patient's own, those that a provider wrote or answers for,
    /// or with `patient_id` those of a patient of the provider's panel. What was
    /// handed over is the colleague's alone.
    #[oai(path = "/api/prescriptions", method = "get", operation_id = "listPrescriptions")]
    async fn list(
        &self,
        caller: Caller,
        /// Only prescriptions of this patient.
        patient_id: Query<Option<Uuid>>,
        /// How many to return, from 1 to 200; 50 without it.
        limit: Query<Option<u32>>,
        /// The `next` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<PrescriptionPage>, Problem> {
        let page = read::prescriptions(
            self.store.as_ref(),
            self.panel.as_ref(),
            caller.actor(),
            patient_id.0.map(Into::into),
            &PageQuery::read(limit, cursor)?,
        )
        .await?;
        Ok(Json(PrescriptionPage {
            items: page.items.iter().map(PrescriptionView::of).collect(),
            next: page.next,
        }))
    }

    /// List pharmacies
    ///
    /// The pharmacies that take prescriptions, by name.
    #[oai(path = "/api/pharmacies", method = "get", operation_id = "listPharmacies")]
    async fn pharmacies(
        &self,
        caller: Caller,
        /// How many to return, from 1 to 200; 50 without it.
        limit: Query<Option<u32>>,
        /// The `next` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<PharmacyPage>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let page = read::pharmacies(self.store.as_ref(), caller.actor(), &page).await?;
        Ok(Json(PharmacyPage {
            items: page.items.iter().map(PharmacyView::of).collect(),
            next: page.next,
        }))
    }
}
