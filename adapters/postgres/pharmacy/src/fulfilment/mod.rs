//! The store of inventory, dispatches and shipments.

mod entities;
mod holds;
mod mapping;
mod rows;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::{
    Actor, CategoryId, CoveredTreatment, DispatchId, FillHoldId, Ndc, Page, PageRequest, PatientId,
    Permission, PharmacyId, PrescriptionId, ProviderId, ShipmentId, SubscriptionId, Uuid,
};
use pharmacy::{
    dispatch::{Dispatch, DispatchState, hold::FillHold},
    fulfilment::{FulfilmentTx, PaidFill, TrackingUpdate},
    inventory::Stock,
    shipment::{Shipment, TrackingStatus},
};
use ports::Result;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait as _, Statement,
    sea_query::{Expr, OnConflict},
};

use self::{
    entities::{allocation, carrier_event, dispatch, lot, paid_fill, shipment, stock, tracking},
    rows::after_stock,
};
use crate::Tx;
use pg::{db, expect_changed, id_cursor, reach};

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

#[derive(FromQueryResult)]
struct Waiting {
    patient_id: Uuid,
    category_id: Uuid,
}

#[derive(FromQueryResult)]
struct Supplied {
    prescription_id: Uuid,
    at: DateTime<Utc>,
}

/// Rows with a `pharmacy_id`: a pharmacist reaches those of the pharmacies in
/// which they work.
fn own_pharmacies(actor: &Actor) -> Condition {
    match actor.as_pharmacist() {
        Some(account) => Condition::all().add(Expr::cust_with_values(
            "pharmacy_id IN (SELECT pharmacy_id FROM pharmacy_staff WHERE account_id = $1)",
            [account.uuid()],
        )),
        None => Condition::all(),
    }
}

fn own_dispatches(actor: &Actor) -> Condition {
    reach(actor, dispatch::Column::PatientId, WORK).add(own_pharmacies(actor))
}

/// A shipment belongs to the pharmacy of its dispatch.
fn own_shipments(actor: &Actor) -> Condition {
    let scope = reach(actor, shipment::Column::PatientId, WORK);
    match actor.as_pharmacist() {
        Some(account) => scope.add(Expr::cust_with_values(
            "dispatch_id IN (SELECT d.id FROM dispatches d JOIN pharmacy_staff s \
             ON s.pharmacy_id = d.pharmacy_id WHERE s.account_id = $1)",
            [account.uuid()],
        )),
        None => scope,
    }
}

#[async_trait]
impl FulfilmentTx for Tx {
    async fn lock_fills(&mut self, patient: PatientId) -> Result<()> {
        self.lock("waiting for a patient's fills", format!("fills/{patient}")).await
    }

    async fn add_paid_fill(&mut self, fill: &PaidFill) -> Result<()> {
        paid_fill::Entity::insert(mapping::paid_fill_row(fill)?)
            .on_conflict(
                OnConflict::columns([paid_fill::Column::InvoiceId, paid_fill::Column::Number])
                    .do_nothing()
                    .to_owned(),
            )
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("adding a paid fill", error))?;
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
            .map_err(|error| ports::PortError::internal("writing what was sold", error))?;
        let sealed = self.seal(SOLD, subscription.uuid(), &plain)?;
        self.execute(
            "keeping what was sold",
            "INSERT INTO sold_treatments (subscription_id, patient_id, treatments) \
             VALUES ($1, $2, $3) ON CONFLICT (subscription_id) DO NOTHING",
            [subscription.uuid().into(), patient.uuid().into(), sealed.into()],
        )
        .await?;
        Ok(())
    }

    async fn sold(&mut self, subscription: SubscriptionId) -> Result<Vec<CoveredTreatment>> {
        #[derive(FromQueryResult)]
        struct Sold {
            treatments: Vec<u8>,
        }
        let sql = "SELECT treatments FROM sold_treatments WHERE subscription_id = $1";
        let values = [subscription.uuid().into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let found = Sold::find_by_statement(statement)
            .one(self.read())
            .await
            .map_err(|error| db("reading what was sold", error))?;
        let Some(found) = found else { return Ok(Vec::new()) };
        serde_json::from_slice(&self.unseal(SOLD, subscription.uuid(), found.treatments)?)
            .map_err(|error| ports::PortError::internal("reading what was sold", error))
    }

    async fn postpone_fill(&mut self, fill: &PaidFill, due_at: DateTime<Utc>) -> Result<()> {
        let changed = paid_fill::Entity::update_many()
            .set(paid_fill::ActiveModel { due_at: Set(due_at), ..Default::default() })
            .filter(paid_fill::Column::InvoiceId.eq(fill.invoice.uuid()))
            .filter(paid_fill::Column::Number.eq(mapping::small(fill.number, "paid fill")?))
            .exec(self.write())
            .await
            .map_err(|error| db("putting off a paid fill", error))?;
        expect_changed(changed.rows_affected, "paid_fills")
    }

    async fn open_fills(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Vec<PaidFill>> {
        if !self.actor().may(WORK) {
            return Ok(Vec::new());
        }
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            format!(
                "SELECT p.* FROM paid_fills p WHERE p.patient_id = $1 AND p.category_id = $2 \
                 AND {OPEN_FILL} ORDER BY p.scheduled_for, p.paid_at, p.invoice_id, p.number"
            ),
            [patient.uuid().into(), category.uuid().into()],
        );
        let rows = paid_fill::Entity::find()
            .from_raw_sql(statement)
            .all(self.read())
            .await
            .map_err(|error| db("reading open fills", error))?;
        Ok(rows.into_iter().map(mapping::paid_fill).collect())
    }

    async fn add_fill_hold(&mut self, hold: &FillHold) -> Result<()> {
        holds::add(self, hold).await
    }

    async fn fill_hold(&mut self, id: FillHoldId) -> Result<Option<FillHold>> {
        holds::one(self, id).await
    }

    async fn save_fill_hold(&mut self, hold: &FillHold) -> Result<()> {
        holds::save(self, hold).await
    }

    async fn fill_holds(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Vec<FillHold>> {
        holds::of(self, patient, category).await
    }

    async fn held_fills(&mut self, page: &PageRequest) -> Result<Page<FillHold>> {
        holds::held(self, page).await
    }

    async fn hand_holds_over(
        &mut self,
        patient: PatientId,
        from: ProviderId,
        to: ProviderId,
    ) -> Result<u64> {
        holds::hand_over(self, patient, (from, to)).await
    }

    async fn held_back(&mut self, patient: PatientId) -> Result<Vec<Dispatch>> {
        holds::held_back(self, patient).await
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
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            format!(
                "SELECT p.patient_id, p.category_id FROM paid_fills p WHERE p.due_at <= $2 \
                 AND {OPEN_FILL} AND {NOT_HELD} \
                 AND EXISTS (SELECT 1 FROM prescriptions r WHERE r.patient_id = p.patient_id \
                 AND r.category_id = p.category_id AND r.state = 'active') \
                 GROUP BY p.patient_id, p.category_id ORDER BY min(p.due_at) LIMIT $1"
            ),
            [i64::from(limit).into(), now.into()],
        );
        let rows = Waiting::find_by_statement(statement)
            .all(self.read())
            .await
            .map_err(|error| db("looking for open fills", error))?;
        Ok(rows.into_iter().map(|row| (row.patient_id.into(), row.category_id.into())).collect())
    }

    async fn active_prescriptions(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Vec<PrescriptionId>> {
        if !self.actor().may(WORK) {
            return Ok(Vec::new());
        }
        let doing = "reading active prescriptions";
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT id FROM prescriptions WHERE patient_id = $1 AND category_id = $2 \
             AND state = 'active' ORDER BY created_at, id",
            [patient.uuid().into(), category.uuid().into()],
        );
        let rows = self.read().query_all_raw(statement).await.map_err(|error| db(doing, error))?;
        rows.into_iter()
            .map(|row| row.try_get::<Uuid>("", "id").map(Into::into))
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| db(doing, error))
    }

    async fn last_supplies(
        &mut self,
        patient: PatientId,
        now: DateTime<Utc>,
    ) -> Result<Vec<(PrescriptionId, DateTime<Utc>)>> {
        if !self.actor().may(WORK) {
            return Ok(Vec::new());
        }
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT prescription_id, max(at) AS at FROM ( \
                 SELECT d.prescription_id, CASE WHEN d.state IN ('shipped', 'delivered') \
                     THEN COALESCE(f.recorded_at, d.updated_at) ELSE $2 END AS at \
                 FROM dispatches d LEFT JOIN prescription_fills f ON f.dispatch_id = d.id \
                 WHERE d.patient_id = $1 AND d.state NOT IN ('cancelled', 'returned') \
                 AND d.hold_reason IS DISTINCT FROM 'prescription_ended' \
                 AND d.hold_reason IS DISTINCT FROM 'fill_held' \
             ) supplied WHERE at > $2 - interval '100 days' \
             GROUP BY prescription_id ORDER BY prescription_id",
            [patient.uuid().into(), now.into()],
        );
        let rows = Supplied::find_by_statement(statement)
            .all(self.read())
            .await
            .map_err(|error| db("reading what went out to a patient", error))?;
        Ok(rows.into_iter().map(|row| (row.prescription_id.into(), row.at)).collect())
    }

    async fn fill_numbers(&mut self, prescription: PrescriptionId) -> Result<Vec<u32>> {
        let numbers: Vec<i32> = dispatch::Entity::find()
            .select_only()
            .column(dispatch::Column::FillNumber)
            .filter(own_dispatches(self.actor()))
            .filter(dispatch::Column::PrescriptionId.eq(prescription.uuid()))
            .filter(dispatch::Column::State.ne(DispatchState::Cancelled.to_string()))
            .into_tuple()
            .all(self.read())
            .await
            .map_err(|error| db("reading a prescription's fills", error))?;
        Ok(numbers.into_iter().map(i32::unsigned_abs).collect())
    }

    async fn lock_stock(&mut self, pharmacy: PharmacyId, ndc: &Ndc) -> Result<Stock> {
        let row = stock::ActiveModel {
            pharmacy_id: Set(pharmacy.uuid()),
            ndc: Set(ndc.to_string()),
            reorder_level: Set(0),
        };
        stock::Entity::insert(row)
            .on_conflict(
                OnConflict::columns([stock::Column::PharmacyId, stock::Column::Ndc])
                    .do_nothing()
                    .to_owned(),
            )
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("preparing a stock", error))?;
        let row = stock::Entity::find_by_id((pharmacy.uuid(), ndc.to_string()))
            .lock_exclusive()
            .one(self.read())
            .await
            .map_err(|error| db("locking a stock", error))?
            .ok_or_else(|| ports::PortError::bug("a stock vanished while it was being locked"))?;
        let lots = lot::Entity::find()
            .filter(lot::Column::PharmacyId.eq(pharmacy.uuid()))
            .filter(lot::Column::Ndc.eq(ndc.to_string()))
            .all(self.read())
            .await
            .map_err(|error| db("reading a stock's lots", error))?;
        mapping::stock(row, lots)
    }

    async fn save_stock(&mut self, stock: &Stock) -> Result<()> {
        stock::Entity::update_many()
            .set(stock::ActiveModel {
                reorder_level: Set(stock.reorder_level),
                ..Default::default()
            })
            .filter(stock::Column::PharmacyId.eq(stock.pharmacy.uuid()))
            .filter(stock::Column::Ndc.eq(stock.ndc.to_string()))
            .exec(self.write())
            .await
            .map_err(|error| db("saving a stock", error))?;
        for lot in &stock.lots {
            lot::Entity::insert(mapping::lot_row(stock, lot))
                .on_conflict(
                    OnConflict::column(lot::Column::Id)
                        .update_columns([lot::Column::OnHand, lot::Column::Reserved])
                        .to_owned(),
                )
                .exec_without_returning(self.write())
                .await
                .map_err(|error| db("saving a lot", error))?;
        }
        Ok(())
    }

    async fn stock_levels(
        &mut self,
        pharmacy: Option<PharmacyId>,
        page: &PageRequest,
    ) -> Result<Page<Stock>> {
        if !self.actor().may(WORK) {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let doing = "reading stock levels";
        let mut query =
            stock::Entity::find().filter(after_stock(page)?).filter(own_pharmacies(self.actor()));
        if let Some(pharmacy) = pharmacy {
            query = query.filter(stock::Column::PharmacyId.eq(pharmacy.uuid()));
        }
        let rows = query
            .order_by_asc(stock::Column::PharmacyId)
            .order_by_asc(stock::Column::Ndc)
            .limit(u64::from(page.limit()) + 1)
            .all(self.read())
            .await
            .map_err(|error| db(doing, error))?;
        let mut levels = Vec::with_capacity(rows.len());
        if !rows.is_empty() {
            let drugs = rows.iter().fold(Condition::any(), |any, row| {
                any.add(
                    Condition::all()
                        .add(lot::Column::PharmacyId.eq(row.pharmacy_id))
                        .add(lot::Column::Ndc.eq(row.ndc.clone())),
                )
            });
            let mut lots = lot::Entity::find()
                .filter(drugs)
                .order_by_asc(lot::Column::ExpiresOn)
                .all(self.read())
                .await
                .map_err(|error| db(doing, error))?;
            for row in rows {
                let own = lots
                    .extract_if(.., |lot| lot.pharmacy_id == row.pharmacy_id && lot.ndc == row.ndc)
                    .collect();
                levels.push(mapping::stock(row, own)?);
            }
        }
        Ok(Page::from_overfetch(levels, page, |last| format!("{}/{}", last.pharmacy, last.ndc)))
    }

    async fn add_dispatch(&mut self, value: &Dispatch) -> Result<()> {
        dispatch::Entity::insert(mapping::dispatch_row(value, 1)?)
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("adding a dispatch", error))?;
        self.add_allocations(value).await
    }

    async fn dispatch(&mut self, id: DispatchId) -> Result<Option<Dispatch>> {
        let row = dispatch::Entity::find_by_id(id.uuid())
            .filter(own_dispatches(self.actor()))
            .one(self.read())
            .await
            .map_err(|error| db("loading a dispatch", error))?;
        Ok(self.with_allocations(row.into_iter().collect()).await?.pop())
    }

    async fn dispatches(&mut self, ids: &[DispatchId]) -> Result<Vec<Dispatch>> {
        let rows = dispatch::Entity::find()
            .filter(own_dispatches(self.actor()))
            .filter(dispatch::Column::Id.is_in(ids.iter().map(|id| id.uuid())))
            .order_by_asc(dispatch::Column::Id)
            .all(self.read())
            .await
            .map_err(|error| db("loading dispatches", error))?;
        self.with_allocations(rows).await
    }

    async fn save_dispatch(&mut self, value: &Dispatch) -> Result<()> {
        let updated = dispatch::Entity::update_many()
            .set(mapping::dispatch_row(value, value.version + 1)?)
            .filter(dispatch::Column::Id.eq(value.id.uuid()))
            .filter(dispatch::Column::Version.eq(value.version))
            .exec(self.write())
            .await
            .map_err(|error| db("saving a dispatch", error))?;
        expect_changed(updated.rows_affected, "dispatches.version")?;
        allocation::Entity::delete_many()
            .filter(allocation::Column::DispatchId.eq(value.id.uuid()))
            .exec(self.write())
            .await
            .map_err(|error| db("replacing a dispatch's allocations", error))?;
        self.add_allocations(value).await
    }

    async fn dispatch_queue(
        &mut self,
        state: Option<DispatchState>,
        page: &PageRequest,
    ) -> Result<Page<Dispatch>> {
        let states: Vec<String> = match state {
            Some(state) => vec![state.to_string()],
            None => DispatchState::OPEN.iter().map(ToString::to_string).collect(),
        };
        let mut query = dispatch::Entity::find()
            .filter(own_dispatches(self.actor()))
            .filter(dispatch::Column::State.is_in(states));
        if let Some(after) = id_cursor(page)? {
            query = query.filter(dispatch::Column::Id.gt(after));
        }
        let rows = query
            .order_by_asc(dispatch::Column::Id)
            .limit(u64::from(page.limit()) + 1)
            .all(self.read())
            .await
            .map_err(|error| db("reading the dispatch queue", error))?;
        let found = self.with_allocations(rows).await?;
        Ok(Page::from_overfetch(found, page, |last| last.id.to_string()))
    }

    async fn awaiting_stock(&mut self, pharmacy: PharmacyId, ndc: &Ndc) -> Result<Vec<Dispatch>> {
        let rows = dispatch::Entity::find()
            .filter(own_dispatches(self.actor()))
            .filter(dispatch::Column::PharmacyId.eq(pharmacy.uuid()))
            .filter(dispatch::Column::Ndc.eq(ndc.to_string()))
            .filter(dispatch::Column::State.eq(DispatchState::AwaitingStock.to_string()))
            .order_by_asc(dispatch::Column::CreatedAt)
            .order_by_asc(dispatch::Column::Id)
            .all(self.read())
            .await
            .map_err(|error| db("reading who waits for stock", error))?;
        self.with_allocations(rows).await
    }

    async fn open_dispatches(&mut self, prescription: PrescriptionId) -> Result<Vec<Dispatch>> {
        let open: Vec<String> = DispatchState::OPEN.iter().map(ToString::to_string).collect();
        let rows = dispatch::Entity::find()
            .filter(own_dispatches(self.actor()))
            .filter(dispatch::Column::PrescriptionId.eq(prescription.uuid()))
            .filter(dispatch::Column::State.is_in(open))
            .all(self.read())
            .await
            .map_err(|error| db("reading a prescription's dispatches", error))?;
        self.with_allocations(rows).await
    }

    async fn add_shipment(&mut self, value: &Shipment) -> Result<()> {
        let row = mapping::shipment_row(self, value, 1)?;
        shipment::Entity::insert(row)
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("adding a shipment", error))?;
        Ok(())
    }

    async fn shipment(&mut self, id: ShipmentId) -> Result<Option<Shipment>> {
        let row = shipment::Entity::find_by_id(id.uuid())
            .filter(own_shipments(self.actor()))
            .one(self.read())
            .await
            .map_err(|error| db("loading a shipment", error))?;
        row.map(|row| mapping::shipment(self, row)).transpose()
    }

    async fn astray(
        &mut self,
        patient: PatientId,
        category: CategoryId,
    ) -> Result<Vec<(ShipmentId, TrackingStatus)>> {
        let of_category = dispatch::Entity::find()
            .select_only()
            .column(dispatch::Column::Id)
            .filter(own_dispatches(self.actor()))
            .filter(dispatch::Column::PatientId.eq(patient.uuid()))
            .filter(dispatch::Column::CategoryId.eq(category.uuid()))
            .filter(dispatch::Column::State.is_in(DispatchState::LEFT.map(<&str>::from)));
        let found: Vec<(Uuid, String)> = shipment::Entity::find()
            .select_only()
            .columns([shipment::Column::Id, shipment::Column::Status])
            .filter(own_shipments(self.actor()))
            .filter(shipment::Column::PatientId.eq(patient.uuid()))
            .filter(shipment::Column::Status.is_in(TrackingStatus::ASTRAY.map(<&str>::from)))
            // A shipment that the carrier refused to make has no label and never left.
            .filter(shipment::Column::LabelId.is_not_null())
            .filter(shipment::Column::DispatchId.in_subquery(of_category.into_query()))
            .order_by_asc(shipment::Column::Id)
            .into_tuple()
            .all(self.read())
            .await
            .map_err(|error| db("reading a patient's lost parcels", error))?;
        found
            .into_iter()
            .map(|(id, status)| {
                let status = status.parse();
                Ok((id.into(), status.map_err(|error| mapping::corrupt("tracking status", error))?))
            })
            .collect()
    }

    async fn shipment_of_tracker(
        &mut self,
        tracker_id: &str,
        carrier_shipment_id: Option<&str>,
    ) -> Result<Option<Shipment>> {
        let mut either = Condition::any().add(shipment::Column::TrackerId.eq(tracker_id));
        if let Some(id) = carrier_shipment_id {
            either = either.add(shipment::Column::CarrierShipmentId.eq(id));
        }
        let row = shipment::Entity::find()
            .filter(own_shipments(self.actor()))
            .filter(either)
            .one(self.read())
            .await
            .map_err(|error| db("looking for a tracker's shipment", error))?;
        row.map(|row| mapping::shipment(self, row)).transpose()
    }

    async fn shipment_by_tracking_number(&mut self, number: &str) -> Result<Option<Shipment>> {
        let index = mapping::tracking_index(self, number)?;
        let row = shipment::Entity::find()
            .filter(own_shipments(self.actor()))
            .filter(shipment::Column::TrackingNumber.is_in([index.as_str(), number]))
            .order_by_desc(shipment::Column::ShippedAt)
            .order_by_desc(shipment::Column::Id)
            .limit(1)
            .one(self.read())
            .await
            .map_err(|error| db("looking for a tracking number", error))?;
        row.map(|row| mapping::shipment(self, row)).transpose()
    }

    async fn shipments_of(
        &mut self,
        patient: PatientId,
        page: &PageRequest,
    ) -> Result<Page<Shipment>> {
        let mut query = shipment::Entity::find()
            .filter(own_shipments(self.actor()))
            .filter(shipment::Column::PatientId.eq(patient.uuid()))
            .filter(shipment::Column::TrackingNumber.is_not_null());
        if let Some(after) = id_cursor(page)? {
            query = query.filter(shipment::Column::Id.lt(after));
        }
        let rows = query
            .order_by_desc(shipment::Column::Id)
            .limit(u64::from(page.limit()) + 1)
            .all(self.read())
            .await
            .map_err(|error| db("reading a patient's shipments", error))?;
        let found =
            rows.into_iter().map(|row| mapping::shipment(self, row)).collect::<Result<Vec<_>>>()?;
        Ok(Page::from_overfetch(found, page, |last| last.id.to_string()))
    }

    async fn save_shipment(&mut self, value: &Shipment) -> Result<()> {
        let row = mapping::shipment_row(self, value, value.version + 1)?;
        let updated = shipment::Entity::update_many()
            .set(row)
            .filter(shipment::Column::Id.eq(value.id.uuid()))
            .filter(shipment::Column::Version.eq(value.version))
            .exec(self.write())
            .await
            .map_err(|error| db("saving a shipment", error))?;
        expect_changed(updated.rows_affected, "shipments.version")
    }

    async fn add_tracking(
        &mut self,
        shipment: ShipmentId,
        updates: &[TrackingUpdate],
    ) -> Result<()> {
        for update in updates {
            let row = tracking::ActiveModel {
                shipment_id: Set(shipment.uuid()),
                said_at: Set(update.at),
                status: Set(update.status.to_string()),
            };
            let known =
                [tracking::Column::ShipmentId, tracking::Column::SaidAt, tracking::Column::Status];
            tracking::Entity::insert(row)
                .on_conflict(OnConflict::columns(known).do_nothing().to_owned())
                .exec_without_returning(self.write())
                .await
                .map_err(|error| db("adding to a shipment's history", error))?;
        }
        Ok(())
    }

    async fn tracking_history(&mut self, shipment: ShipmentId) -> Result<Vec<TrackingUpdate>> {
        // The history has no patient of its own; it is read by way of the
        // shipment, which is scoped.
        if FulfilmentTx::shipment(self, shipment).await?.is_none() {
            return Ok(Vec::new());
        }
        let rows = tracking::Entity::find()
            .filter(tracking::Column::ShipmentId.eq(shipment.uuid()))
            .order_by_asc(tracking::Column::SaidAt)
            .all(self.read())
            .await
            .map_err(|error| db("reading a shipment's history", error))?;
        rows.into_iter().map(mapping::tracking).collect()
    }

    async fn first_carrier_event(&mut self, event_id: &str) -> Result<bool> {
        let row = carrier_event::ActiveModel {
            event_id: Set(event_id.to_owned()),
            received_at: Set(self.now()),
        };
        let inserted = carrier_event::Entity::insert(row)
            .on_conflict(OnConflict::column(carrier_event::Column::EventId).do_nothing().to_owned())
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("recording a carrier's event", error))?;
        Ok(inserted == 1)
    }
}
