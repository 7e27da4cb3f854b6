use std::sync::Arc;

use api::{Answer, Caller, Mirror, PageQuery, Tag};
use chrono::{DateTime, Utc};
use kernel::{DispatchId, Page, PatientId, PrescriptionId, ShipmentId};
use pharmacy::{
    fulfilment::{FulfilmentStore, TrackingUpdate},
    shipment::{
        Shipment, TrackingStatus,
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
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = Shipment)]
pub struct ShipmentView {
    pub id: ShipmentId,
    pub dispatch_id: DispatchId,
    pub prescription_id: PrescriptionId,
    pub patient_id: PatientId,
    /// As in `USPS`.
    #[mirror(|shipment| shipment.label.as_ref().map(|label| label.carrier.clone()))]
    pub carrier: Option<String>,
    #[mirror(|shipment| shipment.label.as_ref().map(|label| label.service.clone()))]
    pub service: Option<String>,
    #[mirror(|shipment| shipment.label.as_ref().map(|label| label.tracking_number.clone()))]
    pub tracking_number: Option<String>,
    pub status: TrackingStatus,
    /// The carrier's own time of the status.
    pub status_at: Option<DateTime<Utc>>,
    pub shipped_at: Option<DateTime<Utc>>,
    /// When its arrival was confirmed.
    pub confirmed_at: Option<DateTime<Utc>>,
}

/// One statement of the carrier.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = TrackingUpdate)]
pub struct TrackingUpdateView {
    pub status: TrackingStatus,
    pub at: DateTime<Utc>,
}

/// A shipment with everything that the carrier said of it.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = TrackedShipment)]
pub struct ShipmentDetailView {
    pub shipment: ShipmentView,
    /// In the carrier's own order of time.
    pub history: Vec<TrackingUpdateView>,
}

/// A page of shipments, the newest first.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Page<Shipment>)]
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
    ) -> Answer<ShipmentDetailView> {
        Ok(Json(by_tracking_number(&*self.store, caller.actor(), &tracking_number.0).await?.into()))
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
        user_id: Path<PatientId>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<ShipmentPage> {
        let page = PageQuery::read(limit, cursor)?;
        Ok(Json(history(&*self.store, caller.actor(), user_id.0, &page).await?.into()))
    }

    /// Confirm delivery
    ///
    /// The recipient, or the pharmacy's staff for them, says that the box
    /// arrived. The time of the first call is kept.
    #[oai(path = "/api/shipments/:id/confirm", method = "post", operation_id = "confirmShipment")]
    async fn confirm(&self, caller: Caller, id: Path<ShipmentId>) -> Answer<ShipmentView> {
        Ok(Json(confirm(&self.env, &*self.store, caller.actor(), id.0).await?.into()))
    }
}
