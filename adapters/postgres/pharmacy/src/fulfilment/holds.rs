//! Held fills.

use kernel::{CategoryId, FillHoldId, Page, PageRequest, PatientId, ProviderId, Uuid};
use pharmacy::dispatch::{
    Dispatch, DispatchState, HoldReason,
    hold::{FillHold, Ground, Release},
};
use ports::{PortError, Result};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait as _},
};
use serde::{Deserialize, Serialize};

use super::{
    WORK,
    entities::{dispatch, fill_hold},
    mapping::small,
};
use crate::Tx;
use pg::{db, expect_changed, id_cursor};

/// Where what a fill is held for, and the decision, are sealed.
const GROUNDS: &str = "fill_holds.grounds";
const DECISION: &str = "fill_holds.decision";

/// Why a box stays in the pharmacy whose label was asked for already.
const BACK: [HoldReason; 2] = [HoldReason::FillHeld, HoldReason::PrescriptionEnded];

/// A provider's own words, and what was accepted with them.
#[derive(Serialize, Deserialize)]
struct Decision {
    reason: String,
    accepted: Vec<String>,
}

/// The staff that works held fills; nobody else sees any. A pharmacist sees
/// those of the own pharmacies, a provider those of the patients whom they treat.
fn reach(tx: &Tx) -> Condition {
    let all = Condition::all();
    match (tx.actor().as_pharmacist(), tx.actor().as_provider()) {
        (Some(account), _) => all.add(Expr::cust_with_values(
            "prescription_id IN (SELECT p.id FROM prescriptions p JOIN pharmacy_staff s \
             ON s.pharmacy_id = p.pharmacy_id WHERE s.account_id = $1)",
            [account.uuid()],
        )),
        (None, Some(provider)) => {
            all.add(Expr::cust_with_values("salus_care_treats($1, patient_id)", [provider.uuid()]))
        }
        (None, None) if tx.actor().may(WORK) => all,
        (None, None) => all.add(Expr::value(false)),
    }
}

pub async fn add(tx: &mut Tx, hold: &FillHold) -> Result<()> {
    fill_hold::Entity::insert(row_of(tx, hold, 1)?)
        .exec_without_returning(tx.write())
        .await
        .map_err(|error| db("adding a held fill", error))?;
    Ok(())
}

pub async fn one(tx: &mut Tx, id: FillHoldId) -> Result<Option<FillHold>> {
    let row = fill_hold::Entity::find_by_id(id.uuid())
        .filter(reach(tx))
        .one(tx.read())
        .await
        .map_err(|error| db("loading a held fill", error))?;
    row.map(|row| hold_of(tx, row)).transpose()
}

pub async fn save(tx: &mut Tx, hold: &FillHold) -> Result<()> {
    let updated = fill_hold::Entity::update_many()
        .set(row_of(tx, hold, hold.version + 1)?)
        .filter(fill_hold::Column::Id.eq(hold.id.uuid()))
        .filter(fill_hold::Column::Version.eq(hold.version))
        .exec(tx.write())
        .await
        .map_err(|error| db("saving a held fill", error))?;
    expect_changed(updated.rows_affected, "fill_holds.version")
}

pub async fn of(tx: &mut Tx, patient: PatientId, category: CategoryId) -> Result<Vec<FillHold>> {
    let rows = fill_hold::Entity::find()
        .filter(reach(tx))
        .filter(fill_hold::Column::PatientId.eq(patient.uuid()))
        .filter(fill_hold::Column::CategoryId.eq(category.uuid()))
        .order_by_asc(fill_hold::Column::Id)
        .all(tx.read())
        .await
        .map_err(|error| db("reading a patient's held fills", error))?;
    rows.into_iter().map(|row| hold_of(tx, row)).collect()
}

/// Makes the fills that are held for one provider's decision another's.
pub async fn hand_over(
    tx: &mut Tx,
    patient: PatientId,
    (from, to): (ProviderId, ProviderId),
) -> Result<u64> {
    let moved = fill_hold::Entity::update_many()
        .col_expr(fill_hold::Column::ProviderId, Expr::value(to.uuid()))
        .col_expr(fill_hold::Column::Version, Expr::col(fill_hold::Column::Version).add(1))
        .filter(fill_hold::Column::PatientId.eq(patient.uuid()))
        .filter(fill_hold::Column::ProviderId.eq(from.uuid()))
        .filter(fill_hold::Column::ReleasedAt.is_null())
        .exec(tx.write())
        .await
        .map_err(|error| db("handing held fills over", error))?;
    Ok(moved.rows_affected)
}

pub async fn held(tx: &mut Tx, page: &PageRequest) -> Result<Page<FillHold>> {
    let mut query =
        fill_hold::Entity::find().filter(reach(tx)).filter(fill_hold::Column::ReleasedAt.is_null());
    if let Some(after) = id_cursor(page)? {
        query = query.filter(fill_hold::Column::Id.gt(after));
    }
    let rows = query
        .order_by_asc(fill_hold::Column::Id)
        .limit(u64::from(page.limit()) + 1)
        .all(tx.read())
        .await
        .map_err(|error| db("reading the held fills", error))?;
    let found = rows.into_iter().map(|row| hold_of(tx, row)).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_overfetch(found, page, |last| last.id.to_string()))
}

pub async fn held_back(tx: &mut Tx, patient: PatientId) -> Result<Vec<Dispatch>> {
    let rows = dispatch::Entity::find()
        .filter(reach(tx))
        .filter(dispatch::Column::PatientId.eq(patient.uuid()))
        .filter(dispatch::Column::State.eq(DispatchState::OnHold.to_string()))
        .filter(dispatch::Column::HoldReason.is_in(BACK.map(|reason| reason.to_string())))
        .all(tx.read())
        .await
        .map_err(|error| db("reading what was held back at its label", error))?;
    tx.with_allocations(rows).await
}

fn row_of(tx: &Tx, hold: &FillHold, version: i64) -> Result<fill_hold::ActiveModel> {
    let sealed = |column, value: serde_json::Result<Vec<u8>>| {
        let bytes = value.map_err(|error| PortError::internal("a held fill", error))?;
        tx.seal(column, hold.id, &bytes)
    };
    let decision = hold.released.as_ref().map(|release| Decision {
        reason: release.reason.clone(),
        accepted: release.accepted.clone(),
    });
    Ok(fill_hold::ActiveModel {
        id: Set(hold.id.uuid()),
        invoice_id: Set(hold.invoice.uuid()),
        number: Set(small(hold.number, "number of a paid fill")?),
        patient_id: Set(hold.patient.uuid()),
        category_id: Set(hold.category.uuid()),
        prescription_id: Set(hold.prescription.map(Uuid::from)),
        provider_id: Set(hold.provider.map(Uuid::from)),
        grounds: Set(sealed(GROUNDS, serde_json::to_vec(&hold.grounds))?),
        held_at: Set(hold.held_at),
        released_at: Set(hold.released.as_ref().map(|release| release.at)),
        released_by: Set(hold.released.as_ref().map(|release| release.by.uuid())),
        decision: Set(decision
            .map(|decision| sealed(DECISION, serde_json::to_vec(&decision)))
            .transpose()?),
        version: Set(version),
    })
}

fn hold_of(tx: &Tx, row: fill_hold::Model) -> Result<FillHold> {
    let corrupt = |error| PortError::internal("a stored held fill is invalid", error);
    let id = FillHoldId(row.id);
    let grounds = tx.unseal(GROUNDS, id, row.grounds)?;
    let grounds: Vec<Ground> = serde_json::from_slice(&grounds).map_err(corrupt)?;
    let released = match (row.released_at, row.released_by, row.decision) {
        (Some(at), Some(by), Some(decision)) => {
            let decision = tx.unseal(DECISION, id, decision)?;
            let Decision { reason, accepted } =
                serde_json::from_slice(&decision).map_err(corrupt)?;
            Some(Release { at, by: by.into(), reason, accepted })
        }
        _ => None,
    };
    Ok(FillHold {
        id,
        invoice: row.invoice_id.into(),
        number: row.number.unsigned_abs(),
        patient: row.patient_id.into(),
        category: row.category_id.into(),
        prescription: row.prescription_id.map(Into::into),
        provider: row.provider_id.map(Into::into),
        grounds,
        held_at: row.held_at,
        released,
        version: row.version,
    })
}
