//! The store of inventory, dispatches and shipments.

pub mod dispatches;
pub mod holds;
pub mod shipments;
mod stock;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{
    Actor, CategoryId, CoveredTreatment, DispatchId, InvoiceId, Ndc, Page, PageRequest, PatientId,
    Permission, PharmacyId, PrescriptionId, ProviderId, ShipmentId, SubscriptionId,
};
use pharmacy::{
    dispatch::{Dispatch, DispatchState, HoldReason, hold::FillHold},
    fulfilment::{FulfilmentTx, PaidFill, TrackingUpdate},
    inventory::Stock,
    shipment::{Shipment, TrackingStatus},
};
use ports::{Locked, PortError, Repository, Result};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, FromQueryResult, Order, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _,
};

use self::{
    dispatches::Column as DispatchColumn, holds::Column as HoldColumn,
    shipments::Column as ShipmentColumn,
};
use crate::{
    Tx, int,
    prescriptions::rows::{Column as PrescriptionColumn, Entity as Prescriptions},
    staffed_by,
};
use pg::{Row as _, db, expect_changed, locked, page_by_id, reached};

const WORK: Permission = Permission::PharmacyWork;

/// The column that holds the sealed treatments of a subscription.
const SOLD: &str = "sold_treatments.treatments";

/// A paid fill `p` that no dispatch serves.
const OPEN_FILL: &str = "NOT EXISTS (SELECT 1 FROM dispatches d \
     WHERE d.invoice_id = p.invoice_id AND d.state <> 'cancelled' \
     AND p.number >= d.paid_fill AND p.number < d.paid_fill + d.covers)";

/// A paid fill `p` that waits for no decision.
const NOT_HELD: &str = "NOT EXISTS (SELECT 1 FROM fill_holds h \
     WHERE h.invoice_id = p.invoice_id AND h.number = p.number AND h.released_at IS NULL)";

/// Why a box stays in the pharmacy whose label was asked for already.
const BACK: [HoldReason; 2] = [HoldReason::FillHeld, HoldReason::PrescriptionEnded];

#[derive(FromQueryResult)]
struct PaidFillRow {
    invoice_id: InvoiceId,
    subscription_id: SubscriptionId,
    patient_id: PatientId,
    category_id: CategoryId,
    paid_at: DateTime<Utc>,
    number: i32,
    scheduled_for: DateTime<Utc>,
    due_at: DateTime<Utc>,
}

impl From<PaidFillRow> for PaidFill {
    fn from(row: PaidFillRow) -> Self {
        Self {
            invoice: row.invoice_id,
            subscription: row.subscription_id,
            patient: row.patient_id,
            category: row.category_id,
            paid_at: row.paid_at,
            number: row.number.unsigned_abs(),
            scheduled_for: row.scheduled_for,
            due_at: row.due_at,
        }
    }
}

#[derive(FromQueryResult)]
struct Sold {
    treatments: Vec<u8>,
}

#[derive(FromQueryResult)]
struct Waiting {
    patient_id: PatientId,
    category_id: CategoryId,
}

#[derive(FromQueryResult)]
struct Supplied {
    prescription_id: PrescriptionId,
    at: DateTime<Utc>,
}

#[derive(FromQueryResult)]
struct Said {
    said_at: DateTime<Utc>,
    status: TrackingStatus,
}

/// A pharmacist reaches what belongs to the pharmacies in which they work.
fn own_pharmacies(actor: &Actor) -> Condition {
    Condition::all().add_option(actor.as_pharmacist().map(staffed_by))
}

#[async_trait]
impl FulfilmentTx for Tx {
    async fn lock_fills(&mut self, patient: PatientId) -> Result<()> {
        pg::PgTx::lock(self, "waiting for a patient's fills", format!("fills/{patient}")).await
    }

    async fn add_paid_fill(&mut self, fill: &PaidFill) -> Result<()> {
        self.execute(
            "adding a paid fill",
            "INSERT INTO paid_fills (invoice_id, subscription_id, patient_id, category_id, \
             paid_at, number, scheduled_for, due_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (invoice_id, number) DO NOTHING",
            [
                fill.invoice.into(),
                fill.subscription.into(),
                fill.patient.into(),
                fill.category.into(),
                fill.paid_at.into(),
                int(fill.number).into(),
                fill.scheduled_for.into(),
                fill.due_at.into(),
            ],
        )
        .await?;
        Ok(())
    }

    async fn keep_sold(
        &mut self,
        subscription: SubscriptionId,
        patient: PatientId,
        treatments: &[CoveredTreatment],
    ) -> Result<()> {
        if treatments.is_empty() {
            return Ok(());
        }
        let plain = serde_json::to_vec(treatments)
            .map_err(|error| PortError::internal("writing what was sold", error))?;
        let sealed = self.seal(SOLD, subscription, &plain)?;
        self.execute(
            "keeping what was sold",
            "INSERT INTO sold_treatments (subscription_id, patient_id, treatments) \
             VALUES ($1, $2, $3) ON CONFLICT (subscription_id) DO NOTHING",
            [subscription.into(), patient.into(), sealed.into()],
        )
        .await?;
        Ok(())
    }

    async fn sold(&mut self, subscription: SubscriptionId) -> Result<Vec<CoveredTreatment>> {
        let doing = "reading what was sold";
        let sql = "SELECT treatments FROM sold_treatments WHERE subscription_id = $1";
        let found: Vec<Sold> = self.rows(doing, sql, [subscription.into()]).await?;
        let Some(found) = found.into_iter().next() else { return Ok(Vec::new()) };
        serde_json::from_slice(&self.unseal(SOLD, subscription, found.treatments)?)
            .map_err(|error| PortError::internal(doing, error))
    }

    async fn postpone_fill(&mut self, fill: &PaidFill, due_at: DateTime<Utc>) -> Result<()> {
        let sql = "UPDATE paid_fills SET due_at = $3 WHERE invoice_id = $1 AND number = $2";
        let values = [fill.invoice.into(), int(fill.number).into(), due_at.into()];
        let changed = self.execute("putting off a paid fill", sql, values).await?;
        expect_changed(changed.rows_affected(), "paid_fills")
    }

    async fn open_fills(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Vec<PaidFill>> {
        if !self.actor().may(WORK) {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT p.* FROM paid_fills p WHERE p.patient_id = $1 AND p.category_id = $2 \
             AND {OPEN_FILL} ORDER BY p.scheduled_for, p.paid_at, p.invoice_id, p.number"
        );
        let values = [patient.into(), category.into()];
        let found: Vec<PaidFillRow> = self.rows("reading open fills", &sql, values).await?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    async fn fill_holds(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Vec<FillHold>> {
        let found = reached::<holds::Model>(self)
            .filter(HoldColumn::PatientId.eq(patient))
            .filter(HoldColumn::CategoryId.eq(category))
            .order_by_asc(HoldColumn::Id);
        holds::Model::load(self, found).await
    }

    async fn held_fills(&mut self, request: &PageRequest) -> Result<Page<FillHold>> {
        let held = reached::<holds::Model>(self).filter(HoldColumn::ReleasedAt.is_null());
        page_by_id::<holds::Model>(self, held, Order::Asc, request).await
    }

    async fn held_for(
        &mut self,
        patient: PatientId,
        provider: ProviderId,
    ) -> Result<Vec<Locked<FillHold>>> {
        let held = reached::<holds::Model>(self)
            .filter(HoldColumn::PatientId.eq(patient))
            .filter(HoldColumn::ProviderId.eq(provider))
            .filter(HoldColumn::ReleasedAt.is_null())
            .order_by_asc(HoldColumn::Id);
        locked::<holds::Model>(self, held, false).await
    }

    async fn held_back(&mut self, patient: PatientId) -> Result<Vec<Dispatch>> {
        let back = dispatches::Entity::find()
            .filter(holds::workable(self.actor()))
            .filter(DispatchColumn::PatientId.eq(patient))
            .filter(DispatchColumn::State.eq(DispatchState::OnHold))
            .filter(DispatchColumn::HoldReason.is_in(BACK));
        dispatches::Model::load(self, back).await
    }

    async fn patients_with_open_fills(
        &mut self,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<(PatientId, CategoryId)>> {
        if !self.actor().may(WORK) {
            return Ok(Vec::new());
        }
        // Without an active prescription there is nothing to decide, and those
        // who wait for one must not fill the list: they are looked at when it
        // comes or their treatment ends. A pharmacist sees the prescriptions of
        // their own pharmacies, and so asks for the fills of those.
        let sql = format!(
            "SELECT p.patient_id, p.category_id FROM paid_fills p WHERE p.due_at <= $2 \
             AND {OPEN_FILL} AND {NOT_HELD} \
             AND EXISTS (SELECT 1 FROM prescriptions r WHERE r.patient_id = p.patient_id \
             AND r.category_id = p.category_id AND r.state = 'active') \
             GROUP BY p.patient_id, p.category_id ORDER BY min(p.due_at) LIMIT $1"
        );
        let values = [i64::from(limit).into(), now.into()];
        let found: Vec<Waiting> = self.rows("looking for open fills", &sql, values).await?;
        Ok(found.into_iter().map(|row| (row.patient_id, row.category_id)).collect())
    }

    async fn active_prescriptions(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Vec<PrescriptionId>> {
        if !self.actor().may(WORK) {
            return Ok(Vec::new());
        }
        Prescriptions::find()
            .select_only()
            .column(PrescriptionColumn::Id)
            .filter(PrescriptionColumn::PatientId.eq(patient))
            .filter(PrescriptionColumn::CategoryId.eq(category))
            .filter(PrescriptionColumn::State.eq("active"))
            .order_by_asc(PrescriptionColumn::CreatedAt)
            .order_by_asc(PrescriptionColumn::Id)
            .into_tuple()
            .all(self.read())
            .await
            .map_err(|error| db("reading active prescriptions", error))
    }

    async fn last_supplies(
        &mut self,
        patient: PatientId,
        now: DateTime<Utc>,
    ) -> Result<Vec<(PrescriptionId, DateTime<Utc>)>> {
        if !self.actor().may(WORK) {
            return Ok(Vec::new());
        }
        let sql = "SELECT prescription_id, max(at) AS at FROM ( \
                 SELECT d.prescription_id, CASE WHEN d.state IN ('shipped', 'delivered') \
                     THEN COALESCE(f.recorded_at, d.updated_at) ELSE $2 END AS at \
                 FROM dispatches d LEFT JOIN prescription_fills f ON f.dispatch_id = d.id \
                 WHERE d.patient_id = $1 AND d.state NOT IN ('cancelled', 'returned') \
                 AND d.hold_reason IS DISTINCT FROM 'prescription_ended' \
                 AND d.hold_reason IS DISTINCT FROM 'fill_held' \
             ) supplied WHERE at > $2 - interval '100 days' \
             GROUP BY prescription_id ORDER BY prescription_id";
        let values = [patient.into(), now.into()];
        let found: Vec<Supplied> =
            self.rows("reading what went out to a patient", sql, values).await?;
        Ok(found.into_iter().map(|row| (row.prescription_id, row.at)).collect())
    }

    async fn fill_numbers(&mut self, prescription: PrescriptionId) -> Result<Vec<u32>> {
        let numbers: Vec<i32> = reached::<dispatches::Model>(self)
            .select_only()
            .column(DispatchColumn::FillNumber)
            .filter(DispatchColumn::PrescriptionId.eq(prescription))
            .filter(DispatchColumn::State.ne(DispatchState::Cancelled))
            .into_tuple()
            .all(self.read())
            .await
            .map_err(|error| db("reading a prescription's fills", error))?;
        Ok(numbers.into_iter().map(i32::unsigned_abs).collect())
    }

    async fn lock_stock(&mut self, pharmacy: PharmacyId, ndc: &Ndc) -> Result<Stock> {
        stock::lock(self, pharmacy, ndc).await
    }

    async fn save_stock(&mut self, stock: &Stock) -> Result<()> {
        stock::save(self, stock).await
    }

    async fn stock_levels(
        &mut self,
        pharmacy: Option<PharmacyId>,
        request: &PageRequest,
    ) -> Result<Page<Stock>> {
        if !self.actor().may(WORK) {
            return Ok(Page { items: Vec::new(), next: None });
        }
        stock::levels(self, pharmacy, request).await
    }

    async fn dispatches(&mut self, ids: &[DispatchId]) -> Result<Vec<Dispatch>> {
        let found = reached::<dispatches::Model>(self)
            .filter(DispatchColumn::Id.is_in(ids.iter().copied()))
            .order_by_asc(DispatchColumn::Id);
        dispatches::Model::load(self, found).await
    }

    async fn dispatch_queue(
        &mut self,
        state: Option<DispatchState>,
        request: &PageRequest,
    ) -> Result<Page<Dispatch>> {
        let states = state.map_or_else(|| DispatchState::OPEN.to_vec(), |state| vec![state]);
        let queue = reached::<dispatches::Model>(self).filter(DispatchColumn::State.is_in(states));
        page_by_id::<dispatches::Model>(self, queue, Order::Asc, request).await
    }

    async fn awaiting_stock(&mut self, pharmacy: PharmacyId, ndc: &Ndc) -> Result<Vec<Dispatch>> {
        let waiting = reached::<dispatches::Model>(self)
            .filter(DispatchColumn::PharmacyId.eq(pharmacy))
            .filter(DispatchColumn::Ndc.eq(ndc.to_string()))
            .filter(DispatchColumn::State.eq(DispatchState::AwaitingStock))
            .order_by_asc(DispatchColumn::CreatedAt)
            .order_by_asc(DispatchColumn::Id);
        dispatches::Model::load(self, waiting).await
    }

    async fn open_dispatches(&mut self, prescription: PrescriptionId) -> Result<Vec<Dispatch>> {
        let open = reached::<dispatches::Model>(self)
            .filter(DispatchColumn::PrescriptionId.eq(prescription))
            .filter(DispatchColumn::State.is_in(DispatchState::OPEN));
        dispatches::Model::load(self, open).await
    }

    async fn astray(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Vec<(ShipmentId, TrackingStatus)>> {
        let of_category = reached::<dispatches::Model>(self)
            .select_only()
            .column(DispatchColumn::Id)
            .filter(DispatchColumn::PatientId.eq(patient))
            .filter(DispatchColumn::CategoryId.eq(category))
            .filter(DispatchColumn::State.is_in(DispatchState::LEFT));
        reached::<shipments::Model>(self)
            .select_only()
            .columns([ShipmentColumn::Id, ShipmentColumn::Status])
            .filter(ShipmentColumn::PatientId.eq(patient))
            .filter(ShipmentColumn::Status.is_in(TrackingStatus::ASTRAY))
            // A shipment that the carrier refused to make has no label and never left.
            .filter(ShipmentColumn::LabelId.is_not_null())
            .filter(ShipmentColumn::DispatchId.in_subquery(of_category.into_query()))
            .order_by_asc(ShipmentColumn::Id)
            .into_tuple()
            .all(self.read())
            .await
            .map_err(|error| db("reading a patient's lost parcels", error))
    }

    async fn shipment_of_tracker(
        &mut self,
        tracker_id: &str,
        carrier_shipment_id: Option<&str>,
    ) -> Result<Option<Locked<Shipment>>> {
        let either = Condition::any()
            .add(ShipmentColumn::TrackerId.eq(tracker_id))
            .add_option(carrier_shipment_id.map(|id| ShipmentColumn::CarrierShipmentId.eq(id)));
        let found = reached::<shipments::Model>(self).filter(either).limit(1);
        Ok(locked::<shipments::Model>(self, found, false).await?.pop())
    }

    async fn shipment_by_tracking_number(&mut self, number: &str) -> Result<Option<Shipment>> {
        let index = shipments::index(self, number)?;
        let newest = reached::<shipments::Model>(self)
            .filter(ShipmentColumn::TrackingNumber.is_in([index.as_str(), number]))
            .order_by_desc(ShipmentColumn::ShippedAt)
            .order_by_desc(ShipmentColumn::Id)
            .limit(1);
        Ok(shipments::Model::load(self, newest).await?.pop())
    }

    async fn shipments_of(
        &mut self,
        patient: PatientId,
        request: &PageRequest,
    ) -> Result<Page<Shipment>> {
        let sent = reached::<shipments::Model>(self)
            .filter(ShipmentColumn::PatientId.eq(patient))
            .filter(ShipmentColumn::TrackingNumber.is_not_null());
        page_by_id::<shipments::Model>(self, sent, Order::Desc, request).await
    }

    async fn add_tracking(
        &mut self,
        shipment: ShipmentId,
        updates: &[TrackingUpdate],
    ) -> Result<()> {
        for update in updates {
            self.execute(
                "adding to a shipment's history",
                "INSERT INTO shipment_tracking (shipment_id, said_at, status) \
                 VALUES ($1, $2, $3) ON CONFLICT (shipment_id, said_at, status) DO NOTHING",
                [shipment.into(), update.at.into(), update.status.into()],
            )
            .await?;
        }
        Ok(())
    }

    async fn tracking_history(&mut self, shipment: ShipmentId) -> Result<Vec<TrackingUpdate>> {
        // The history has no patient of its own; it is read by way of the
        // shipment, which is scoped.
        if Repository::<Shipment>::find(self, shipment).await?.is_none() {
            return Ok(Vec::new());
        }
        let sql = "SELECT said_at, status FROM shipment_tracking WHERE shipment_id = $1 \
                   ORDER BY said_at";
        let found: Vec<Said> =
            self.rows("reading a shipment's history", sql, [shipment.into()]).await?;
        Ok(found
            .into_iter()
            .map(|row| TrackingUpdate { status: row.status, at: row.said_at })
            .collect())
    }

    async fn first_carrier_event(&mut self, event_id: &str) -> Result<bool> {
        let sql = "INSERT INTO carrier_events (event_id, received_at) VALUES ($1, $2) \
                   ON CONFLICT (event_id) DO NOTHING";
        let values = [event_id.into(), self.now().into()];
        let added = self.execute("recording a carrier's event", sql, values).await?;
        Ok(added.rows_affected() == 1)
    }
}
