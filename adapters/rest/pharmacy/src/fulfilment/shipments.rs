use std::sync::Arc;

use api::{Caller, PageQuery, Problem, Tag};
use chrono::{DateTime, Utc};
use kernel::{PatientId, ShipmentId, Uuid};
use pharmacy::{
    fulfilment::{FulfilmentStore, TrackingUpdate},
    shipment::{
        Shipment,
        read::{TrackedShipment, by_tracking_number, confirm, history},
    },
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use ports::Env;

pub struct ShipmentsApi {
    pub env: Env,
    pub store: Arc<dyn FulfilmentStore>,
}

/// A box on its way to a patient.
#[derive(Clone, Debug, Object)]
pub struct ShipmentView {
    pub id: Uuid,
    pub dispatch_id: Uuid,
    pub prescription_id: Uuid,
    pub patient_id: Uuid,
    /// As in `USPS`.
    pub carrier: Option<String>,
    pub service: Option<String>,
    pub tracking_number: Option<String>,
    pub status: pharmacy::shipment::TrackingStatus,
    /// The carrier's own time of the status.
    pub status_at: Option<DateTime<Utc>>,
    pub shipped_at: Option<DateTime<Utc>>,
    /// When its arrival was confirmed.
    pub confirmed_at: Option<DateTime<Utc>>,
}

impl From<Shipment> for ShipmentView {
    fn from(shipment: Shipment) -> Self {
        let (carrier, service, tracking_number) = match shipment.label {
            Some(label) => (Some(label.carrier), Some(label.service), Some(label.tracking_number)),
            None => (None, None, None),
        };
        Self {
            id: shipment.id.uuid(),
            dispatch_id: shipment.dispatch.uuid(),
            prescription_id: shipment.prescription.uuid(),
            patient_id: shipment.patient.uuid(),
            carrier,
            service,
            tracking_number,
            status: shipment.status,
            status_at: shipment.status_at,
            shipped_at: shipment.shipped_at,
            confirmed_at: shipment.confirmed_at,
        }
    }
}

/// One statement of the carrier.
#[derive(Clone, Debug, Object)]
pub struct TrackingUpdateView {
    pub status: pharmacy::shipment::TrackingStatus,
    pub at: DateTime<Utc>,
}

impl From<TrackingUpdate> for TrackingUpdateView {
    fn from(update: TrackingUpdate) -> Self {
        Self { status: update.status, at: update.at }
    }
}

/// A shipment with everything that the carrier said of it.
#[derive(Clone, Debug, Object)]
pub struct ShipmentDetailView {
    pub shipment: ShipmentView,
    /// In the carrier's own order of time.
    pub history: Vec<TrackingUpdateView>,
}

/// A page of shipments, the newest first.
#[derive(Debug, Object)]
pub struct ShipmentPage {
    pub items: Vec<ShipmentView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

#[OpenApi(tag = "Tag::Pharmacy")]
impl ShipmentsApi {
    /// Get shipment status
    ///
    /// The newest shipment with this tracking number that the caller may see:
    /// a patient their own, a pharmacist those of their own pharmacies. Carriers give numbers
    /// out again after some months.
    #[oai(path = "/api/shipments/:tracking_number", method = "get", operation_id = "getShipment")]
    async fn status(
        &self,
        caller: Caller,
        #[oai(validator(min_length = 4, max_length = 64))] tracking_number: Path<String>,
    ) -> Result<Json<ShipmentDetailView>, Problem> {
        let TrackedShipment { shipment, history } =
            by_tracking_number(self.store.as_ref(), caller.actor(), &tracking_number.0).await?;
        let history = history.into_iter().map(Into::into).collect();
        Ok(Json(ShipmentDetailView { shipment: shipment.into(), history }))
    }

    /// Get shipment history
    ///
    /// A patient's shipments, the newest first.
    #[oai(
        path = "/api/shipments/history/:user_id",
        method = "get",
        operation_id = "getShipmentHistory"
    )]
    async fn history(
        &self,
        caller: Caller,
        user_id: Path<Uuid>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<Json<ShipmentPage>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let (store, patient) = (self.store.as_ref(), PatientId(user_id.0));
        let found = history(store, caller.actor(), patient, &page).await?.map(Into::into);
        Ok(Json(ShipmentPage { items: found.items, next: found.next }))
    }

    /// Confirm delivery
    ///
    /// The recipient, or the pharmacy's staff for them, says that the box
    /// arrived. The first time stands.
    #[oai(path = "/api/shipments/:id/confirm", method = "post", operation_id = "confirmShipment")]
    async fn confirm(&self, caller: Caller, id: Path<Uuid>) -> Result<Json<ShipmentView>, Problem> {
        let (store, id) = (self.store.as_ref(), ShipmentId(id.0));
        let shipment = confirm(&self.env, store, caller.actor(), id).await?;
        Ok(Json(shipment.into()))
    }
}
