//! Dispatches, each with the units that it holds.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{
    Actor, CategoryId, DispatchId, InventoryLotId, InvoiceId, PatientId, PharmacyId,
    PrescriptionId, ShipmentId, Uuid,
};
use pharmacy::{
    dispatch::{Dispatch, DispatchState, HoldReason},
    inventory::Allocation,
};
use ports::Result;
use sea_orm::{
    Condition, FromQueryResult, QuerySelect as _, Select, entity::prelude::*, sea_query::Expr,
};

use super::{WORK, own_pharmacies};
use crate::int;
use pg::{PgTx, Row, Unreadable, db, opened_with, reach};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dispatches")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: DispatchId,
    pub patient_id: PatientId,
    pub category_id: CategoryId,
    pub prescription_id: PrescriptionId,
    pub fill_number: i32,
    pub invoice_id: InvoiceId,
    pub paid_fill: i32,
    pub covers: i32,
    pub pharmacy_id: PharmacyId,
    pub ndc: String,
    pub quantity: i64,
    pub state: DispatchState,
    pub hold_reason: Option<HoldReason>,
    pub shipment_id: Option<ShipmentId>,
    pub created_at: ChronoDateTimeUtc,
    pub updated_at: ChronoDateTimeUtc,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The units of each lot, as pairs.
const ALLOCATIONS: &str = "(SELECT coalesce(json_agg(json_build_array(a.lot_id, a.quantity) \
     ORDER BY a.lot_id), '[]') FROM dispatch_allocations a WHERE a.dispatch_id = dispatches.id)";

#[derive(FromQueryResult)]
struct Whole {
    #[sea_orm(nested)]
    row: Model,
    allocations: Json,
}

#[async_trait]
impl Row for Model {
    type Aggregate = Dispatch;

    const HAS_PARTS: bool = true;

    fn open(self) -> Result<Dispatch, Unreadable> {
        Ok(Dispatch {
            id: self.id,
            patient: self.patient_id,
            category: self.category_id,
            prescription: self.prescription_id,
            fill_number: self.fill_number.try_into()?,
            invoice: self.invoice_id,
            paid_fill: self.paid_fill.try_into()?,
            covers: self.covers.try_into()?,
            pharmacy: self.pharmacy_id,
            ndc: self.ndc.parse()?,
            quantity: self.quantity,
            state: self.state,
            hold_reason: self.hold_reason,
            allocations: Vec::new(),
            shipment: self.shipment_id,
            created_at: self.created_at,
            updated_at: self.updated_at,
            version: self.version,
        })
    }

    fn close(dispatch: &Dispatch) -> Self {
        Self {
            id: dispatch.id,
            patient_id: dispatch.patient,
            category_id: dispatch.category,
            prescription_id: dispatch.prescription,
            fill_number: int(dispatch.fill_number),
            invoice_id: dispatch.invoice,
            paid_fill: int(dispatch.paid_fill),
            covers: int(dispatch.covers),
            pharmacy_id: dispatch.pharmacy,
            ndc: dispatch.ndc.to_string(),
            quantity: dispatch.quantity,
            state: dispatch.state,
            hold_reason: dispatch.hold_reason,
            shipment_id: dispatch.shipment,
            created_at: dispatch.created_at,
            updated_at: dispatch.updated_at,
            version: dispatch.version,
        }
    }

    fn reach(actor: &Actor) -> Condition {
        reach(actor, Column::PatientId, WORK).add(own_pharmacies(actor))
    }

    async fn load(tx: &PgTx, select: Select<Entity>) -> Result<Vec<Dispatch>> {
        let found = select
            .expr_as(Expr::cust(ALLOCATIONS), "allocations")
            .into_model::<Whole>()
            .all(tx.read())
            .await
            .map_err(|error| db("reading dispatches", error))?;
        let whole = |Whole { row, allocations }| {
            opened_with(tx, row, |dispatch: &mut Dispatch| {
                let held: Vec<(InventoryLotId, i64)> = serde_json::from_value(allocations)?;
                dispatch.allocations =
                    held.into_iter().map(|(lot, quantity)| Allocation { lot, quantity }).collect();
                Ok(())
            })
        };
        found.into_iter().map(whole).collect()
    }

    async fn save_parts(tx: &mut PgTx, dispatch: &Dispatch) -> Result<()> {
        let lots: Vec<Uuid> = dispatch.allocations.iter().map(|held| held.lot.uuid()).collect();
        let quantities: Vec<i64> = dispatch.allocations.iter().map(|held| held.quantity).collect();
        tx.execute(
            "saving what a dispatch holds",
            "WITH gone AS (DELETE FROM dispatch_allocations \
             WHERE dispatch_id = $1 AND lot_id <> ALL ($2::uuid[])) \
             INSERT INTO dispatch_allocations (dispatch_id, lot_id, quantity) \
             SELECT $1, lot, quantity FROM unnest($2::uuid[], $3::bigint[]) AS held (lot, quantity) \
             ON CONFLICT (dispatch_id, lot_id) DO UPDATE SET quantity = excluded.quantity",
            [dispatch.id.into(), lots.into(), quantities.into()],
        )
        .await?;
        Ok(())
    }

    fn parts(dispatch: &Dispatch) -> BTreeMap<String, Json> {
        let held = dispatch.allocations.iter();
        held.map(|held| (format!("allocations.{}", held.lot), held.quantity.into())).collect()
    }
}
