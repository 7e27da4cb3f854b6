use std::sync::Arc;

use api::{Body, Caller, PageQuery, Problem, Tag};
use chrono::{DateTime, Utc};
use kernel::{DispatchId, Uuid};
use pharmacy::{
    dispatch::{
        Dispatch,
        checks::FillChecks,
        due::dispatch_due,
        work::{DispatchOrder, order, queue},
    },
    fulfilment::FulfilmentStore,
};
use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Example,
};
use ports::Env;

pub struct DispatchApi {
    pub env: Env,
    pub store: Arc<dyn FulfilmentStore>,
    pub checks: FillChecks,
}

/// One fill of a prescription on its way out of the pharmacy.
#[derive(Clone, Debug, Object)]
pub struct DispatchView {
    pub id: Uuid,
    pub patient_id: Uuid,
    pub category_id: Uuid,
    pub prescription_id: Uuid,
    /// 1 is the first fill.
    pub fill_number: u32,
    /// The paid invoice that the fill belongs to.
    pub invoice_id: Uuid,
    pub pharmacy_id: Uuid,
    /// The drug's NDC of eleven digits.
    pub ndc: String,
    /// In dispensing units, as in tablets.
    pub quantity: i64,
    pub status: pharmacy::dispatch::DispatchState,
    /// Why, while it is on hold: `no_delivery_address`, `carrier_refused`,
    /// `prescription_ended`, `pharmacy_inactive`, `pharmacy_not_licensed` or `fill_held`.
    pub hold_reason: Option<String>,
    /// The shipment, from the moment the carrier is asked for one.
    pub shipment_id: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl From<Dispatch> for DispatchView {
    fn from(dispatch: Dispatch) -> Self {
        Self {
            id: dispatch.id.uuid(),
            patient_id: dispatch.patient.uuid(),
            category_id: dispatch.category.uuid(),
            prescription_id: dispatch.prescription.uuid(),
            fill_number: dispatch.fill_number,
            invoice_id: dispatch.invoice.uuid(),
            pharmacy_id: dispatch.pharmacy.uuid(),
            ndc: dispatch.ndc.to_string(),
            quantity: dispatch.quantity,
            status: dispatch.state,
            hold_reason: dispatch.hold_reason.map(|reason| reason.to_string()),
            shipment_id: dispatch.shipment.map(|id| id.uuid()),
            created_at: dispatch.created_at,
            updated_at: dispatch.updated_at,
        }
    }
}

/// What was dispatched by this call.
#[derive(Debug, Object)]
pub struct DispatchDueView {
    pub created: Vec<DispatchView>,
}

/// A page of dispatches, the oldest first.
#[derive(Debug, Object)]
pub struct DispatchPage {
    pub items: Vec<DispatchView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// What a pharmacist can make of a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum DispatchStatusChange {
    /// It was taken from the shelf.
    Picked,
    /// What held it up is settled; the carrier is asked again.
    Reserved,
    /// It is not sent; its units and its paid fill are free again.
    Cancelled,
}

/// Moves a dispatch.
#[derive(Debug, Object)]
#[oai(example)]
pub struct UpdateDispatchStatus {
    pub status: DispatchStatusChange,
}

impl Example for UpdateDispatchStatus {
    fn example() -> Self {
        Self { status: DispatchStatusChange::Picked }
    }
}

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
    async fn auto(&self, caller: Caller) -> Result<Json<DispatchDueView>, Problem> {
        let created =
            dispatch_due(&self.env, self.store.as_ref(), &self.checks, caller.actor()).await?;
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
        status: Query<Option<pharmacy::dispatch::DispatchState>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Result<Json<DispatchPage>, Problem> {
        let page = PageQuery::read(limit, cursor)?;
        let state = status.0;
        let found = queue(self.store.as_ref(), caller.actor(), state, &page).await?;
        let next = found.next;
        Ok(Json(DispatchPage { items: found.items.into_iter().map(Into::into).collect(), next }))
    }

    /// Update a dispatch's status
    ///
    /// Moving it to where it is already changes nothing. Once the carrier may
    /// know of it, it cannot be cancelled.
    #[oai(path = "/api/dispatch/:id/status", method = "put", operation_id = "updateDispatchStatus")]
    async fn update(
        &self,
        caller: Caller,
        id: Path<Uuid>,
        body: Body<UpdateDispatchStatus>,
    ) -> Result<Json<DispatchView>, Problem> {
        let what = match body.0.status {
            DispatchStatusChange::Picked => DispatchOrder::Pick,
            DispatchStatusChange::Reserved => DispatchOrder::Resume,
            DispatchStatusChange::Cancelled => DispatchOrder::Cancel,
        };
        let (store, id) = (self.store.as_ref(), DispatchId(id.0));
        let dispatch = order(&self.env, store, caller.actor(), id, what).await?;
        Ok(Json(dispatch.into()))
    }
}
