//! Cursors, and a dispatch's allocations.

use std::collections::HashMap;

use kernel::{PageRequest, Uuid};
use pharmacy::dispatch::Dispatch;
use ports::Result;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder};

use super::{
    entities::{allocation, dispatch, stock},
    mapping,
};
use crate::Tx;
use pg::{cursor, db};

/// What comes after a cursor of pharmacy and NDC.
pub fn after_stock(page: &PageRequest) -> Result<Condition> {
    let last = cursor(page, |text| {
        let (pharmacy, ndc) = text.split_once('/')?;
        Some((pharmacy.parse::<Uuid>().ok()?, ndc.to_owned()))
    })?;
    Ok(match last {
        None => Condition::all(),
        Some((pharmacy, ndc)) => Condition::any().add(stock::Column::PharmacyId.gt(pharmacy)).add(
            Condition::all()
                .add(stock::Column::PharmacyId.eq(pharmacy))
                .add(stock::Column::Ndc.gt(ndc)),
        ),
    })
}

impl Tx {
    /// Reads the allocations of these dispatches with one query.
    pub(super) async fn with_allocations(
        &mut self,
        rows: Vec<dispatch::Model>,
    ) -> Result<Vec<Dispatch>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let found = allocation::Entity::find()
            .filter(allocation::Column::DispatchId.is_in(rows.iter().map(|row| row.id)))
            .order_by_asc(allocation::Column::LotId)
            .all(self.read())
            .await
            .map_err(|error| db("reading allocations", error))?;
        let mut by_dispatch: HashMap<Uuid, Vec<allocation::Model>> = HashMap::new();
        for row in found {
            by_dispatch.entry(row.dispatch_id).or_default().push(row);
        }
        rows.into_iter()
            .map(|row| {
                let allocations = by_dispatch.remove(&row.id).unwrap_or_default();
                mapping::dispatch(row, allocations)
            })
            .collect()
    }

    pub(super) async fn add_allocations(&mut self, value: &Dispatch) -> Result<()> {
        if value.allocations.is_empty() {
            return Ok(());
        }
        allocation::Entity::insert_many(mapping::allocation_rows(value))
            .exec_without_returning(self.write())
            .await
            .map_err(|error| db("adding allocations", error))?;
        Ok(())
    }
}
