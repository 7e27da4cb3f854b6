use std::sync::Arc;

use api::{Answer, Body, Caller, Mirror, PageQuery, Tag};
use chrono::{DateTime, Utc};
use kernel::{
    CategoryId, DispatchId, InvoiceId, Page, PatientId, PharmacyId, PrescriptionId, ShipmentId,
};
use pharmacy::{
    dispatch::{
        Dispatch, DispatchState,
        checks::FillChecks,
        due::dispatch_due,
        work::{DispatchOrder, order, queue},
    },
    fulfilment::FulfilmentStore,
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use ports::Env;

pub struct DispatchApi {
    pub env: Env,
    pub store: Arc<dyn FulfilmentStore>,
    pub checks: FillChecks,
}

/// One fill of a prescription on its way out of the pharmacy.
#[derive(Clone, Debug, Object, Mirror)]
#[mirror(from = Dispatch)]
pub struct DispatchView {
    pub id: DispatchId,
    pub patient_id: PatientId,
    pub category_id: CategoryId,
    pub prescription_id: PrescriptionId,
    /// 1 is the first fill.
    pub fill_number: u32,
    /// The paid invoice that the fill belongs to.
    pub invoice_id: InvoiceId,
    pub pharmacy_id: PharmacyId,
    /// The drug's NDC of eleven digits.
    pub ndc: String,
    /// In dispensing units, as in tablets.
    pub quantity: i64,
    #[mirror(state)]
    pub status: DispatchState,
    /// Why, while it is on hold: `no_delivery_address`, `carrier_refused`,
    /// `prescription_ended`, `pharmacy_inactive`, `pharmacy_not_licensed` or `fill_held`.
    pub hold_reason: Option<String>,
    /// The shipment, from the moment the carrier is asked for one.
    pub shipment_id: Option<ShipmentId>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What was dispatched by this call.
#[derive(Debug, Object)]
pub struct DispatchDueView {
    pub created: Vec<DispatchView>,
}

/// A page of dispatches, the oldest first.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Page<Dispatch>)]
pub struct DispatchPage {
    pub items: Vec<DispatchView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// Moves a dispatch.
#[derive(Debug, Object)]
#[oai(example)]
pub struct UpdateDispatchStatus {
    pub status: DispatchOrder,
}

api::example!(UpdateDispatchStatus { status: DispatchOrder::Pick });

#[OpenApi(tag = "Tag::Pharmacy")]
impl DispatchApi {
    /// Dispatch what is due
    ///
    /// Dispatches every paid fill that meets an active prescription with a
    /// fill left, unless something speaks against sending it: then the fill is
    /// held (`listHeldFills`). This happens by itself when the facts arrive; a call finds
    /// what was missed. Calling again changes nothing, because a fill and an
    /// invoice have one dispatch each.
    #[oai(path = "/api/dispatch/auto", method = "post", operation_id = "dispatchDue")]
    async fn auto(&self, caller: Caller) -> Answer<DispatchDueView> {
        let (env, store) = (&self.env, &*self.store);
        let created = dispatch_due(env, store, &self.checks, caller.actor()).await?;
        Ok(Json(DispatchDueView { created: created.into_iter().map(Into::into).collect() }))
    }

    /// Get the dispatch queue
    ///
    /// The dispatches of one status or, without one, all that are still to be
    /// worked, the oldest first.
    #[oai(path = "/api/dispatch/queue", method = "get", operation_id = "getDispatchQueue")]
    async fn queue(
        &self,
        caller: Caller,
        /// Only dispatches of this status.
        status: Query<Option<DispatchState>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<DispatchPage> {
        let page = PageQuery::read(limit, cursor)?;
        Ok(Json(queue(&*self.store, caller.actor(), status.0, &page).await?.into()))
    }

    /// Update a dispatch's status
    ///
    /// Moving it to where it is already changes nothing. Once the carrier may
    /// know of it, it cannot be cancelled.
    #[oai(path = "/api/dispatch/:id/status", method = "put", operation_id = "updateDispatchStatus")]
    async fn update(
        &self,
        caller: Caller,
        id: Path<DispatchId>,
        body: Body<UpdateDispatchStatus>,
    ) -> Answer<DispatchView> {
        let (store, what) = (&*self.store, body.0.status);
        Ok(Json(order(&self.env, store, caller.actor(), id.0, what).await?.into()))
    }
}
