//! Prescriptions, their safety alerts and the pharmacy directory; and what the
//! eRx network calls.

mod pharmacies;
mod views;
mod webhook;

use std::sync::Arc;

use api::{Answer, Body, Caller, PageQuery, Tag, idempotency_key, idempotency_key_on};
use kernel::{PatientId, PrescriptionId};
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

use self::views::{
    ModifyPrescriptionRequest, OverrideAlertsRequest, PharmacyPage, PrescriptionPage,
    PrescriptionView, SendPrescriptionRequest,
};
pub use self::{
    pharmacies::PharmaciesApi,
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
        /// A value that is unique to this request; a repetition carries it again.
        #[oai(name = "Idempotency-Key")]
        key: Header<String>,
        body: Body<SendPrescriptionRequest>,
    ) -> Answer<PrescriptionView> {
        let key = idempotency_key("pharmacy.send_prescription", &key.0, &body.0)?;
        let (env, store, request) = (&self.env, &*self.store, body.0.into());
        let prescription =
            write::prescribe(env, store, &self.ports, caller.actor(), request, &key).await?;
        Ok(Json(prescription.into()))
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
        id: Path<PrescriptionId>,
    ) -> Answer<PrescriptionView> {
        Ok(Json(read::prescription(&*self.store, caller.actor(), id.0).await?.into()))
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
        id: Path<PrescriptionId>,
        body: Body<ModifyPrescriptionRequest>,
    ) -> Answer<PrescriptionView> {
        let (env, store, changes) = (&self.env, &*self.store, body.0.read()?);
        let prescription =
            write::modify(env, store, &self.ports, caller.actor(), id.0, changes).await?;
        Ok(Json(prescription.into()))
    }

    /// Override safety alerts
    ///
    /// The prescriber overrides alerts, each with a reason that is kept. Once no
    /// alert blocks it, the prescription is queued for the pharmacy.
    #[oai(
        path = "/api/prescriptions/:id/override",
        method = "post",
        operation_id = "overridePrescriptionAlerts"
    )]
    async fn override_alerts(
        &self,
        caller: Caller,
        /// The prescription's id.
        id: Path<PrescriptionId>,
        /// A value that is unique to this request; a repetition carries it again.
        #[oai(name = "Idempotency-Key")]
        key: Header<String>,
        body: Body<OverrideAlertsRequest>,
    ) -> Answer<PrescriptionView> {
        let key = idempotency_key_on("pharmacy.override_alerts", id.0, &key.0, &body.0)?;
        let overrides: Vec<_> = body.0.overrides.into_iter().map(Into::into).collect();
        let (env, store, ports) = (&self.env, &*self.store, &self.ports);
        let prescription =
            write::override_alerts(env, store, ports, caller.actor(), id.0, &overrides, &key)
                .await?;
        Ok(Json(prescription.into()))
    }

    /// List prescriptions
    ///
    /// Newest first: a patient's own, those that a provider wrote or answers for,
    /// or with `patient_id` those of a patient of the provider's panel. Those of a
    /// plan that was handed over are listed for the new provider only.
    #[oai(path = "/api/prescriptions", method = "get", operation_id = "listPrescriptions")]
    async fn list(
        &self,
        caller: Caller,
        /// Only prescriptions of this patient.
        patient_id: Query<Option<PatientId>>,
        /// How many to return, from 1 to 200; 50 without it.
        limit: Query<Option<u32>>,
        /// The `next` of the page before.
        cursor: Query<Option<String>>,
    ) -> Answer<PrescriptionPage> {
        let (page, patient) = (PageQuery::read(limit, cursor)?, patient_id.0);
        let (store, panel) = (&*self.store, &*self.panel);
        Ok(Json(read::prescriptions(store, panel, caller.actor(), patient, &page).await?.into()))
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
    ) -> Answer<PharmacyPage> {
        let page = PageQuery::read(limit, cursor)?;
        Ok(Json(read::pharmacies(&*self.store, caller.actor(), &page).await?.into()))
    }
}
