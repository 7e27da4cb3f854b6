//! The stock of a drug at a pharmacy, with its lots.

use kernel::{Ndc, Page, PageRequest, PharmacyId, Uuid};
use pharmacy::inventory::{Lot, Stock};
use ports::{PortError, Result};
use sea_orm::{
    ActiveValue::Set, Condition, QueryOrder as _, QuerySelect as _, QueryTrait as _,
    entity::prelude::*, sea_query::OnConflict,
};

use super::own_pharmacies;
use pg::{PgTx, cursor, db};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "inventory_stock")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub pharmacy_id: PharmacyId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub ndc: String,
    pub reorder_level: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

mod lot {
    use kernel::{InventoryLotId, PharmacyId};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "inventory_lots")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: InventoryLotId,
        pub pharmacy_id: PharmacyId,
        pub ndc: String,
        pub lot_number: String,
        pub expires_on: ChronoDate,
        pub on_hand: i64,
        pub reserved: i64,
        pub received_at: ChronoDateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn opened(row: Model, lots: Vec<lot::Model>) -> Result<Stock> {
    let lot = |lot: lot::Model| Lot {
        id: lot.id,
        number: lot.lot_number,
        expires_on: lot.expires_on,
        on_hand: lot.on_hand,
        reserved: lot.reserved,
        received_at: lot.received_at,
    };
    let ndc = row.ndc.parse();
    Ok(Stock {
        pharmacy: row.pharmacy_id,
        ndc: ndc.map_err(|error| PortError::internal("a stored NDC is invalid", error))?,
        reorder_level: row.reorder_level,
        lots: lots.into_iter().map(lot).collect(),
    })
}

pub async fn lock(tx: &mut PgTx, pharmacy: PharmacyId, ndc: &Ndc) -> Result<Stock> {
    let empty = ActiveModel {
        pharmacy_id: Set(pharmacy),
        ndc: Set(ndc.to_string()),
        reorder_level: Set(0),
    };
    let there = OnConflict::columns([Column::PharmacyId, Column::Ndc]).do_nothing().to_owned();
    tx.change("preparing a stock", Entity::insert(empty).on_conflict(there).into_query()).await?;
    let row = Entity::find_by_id((pharmacy, ndc.to_string()))
        .lock_exclusive()
        .one(tx.read())
        .await
        .map_err(|error| db("locking a stock", error))?
        .ok_or_else(|| PortError::bug("a stock vanished while it was being locked"))?;
    let lots = lot::Entity::find()
        .filter(lot::Column::PharmacyId.eq(pharmacy))
        .filter(lot::Column::Ndc.eq(ndc.to_string()))
        .all(tx.read())
        .await
        .map_err(|error| db("reading a stock's lots", error))?;
    opened(row, lots)
}

pub async fn save(tx: &mut PgTx, stock: &Stock) -> Result<()> {
    let update = Entity::update_many()
        .set(ActiveModel { reorder_level: Set(stock.reorder_level), ..Default::default() })
        .filter(Column::PharmacyId.eq(stock.pharmacy))
        .filter(Column::Ndc.eq(stock.ndc.to_string()));
    tx.change("saving a stock", update.into_query()).await?;
    for lot in &stock.lots {
        let row = lot::ActiveModel {
            id: Set(lot.id),
            pharmacy_id: Set(stock.pharmacy),
            ndc: Set(stock.ndc.to_string()),
            lot_number: Set(lot.number.clone()),
            expires_on: Set(lot.expires_on),
            on_hand: Set(lot.on_hand),
            reserved: Set(lot.reserved),
            received_at: Set(lot.received_at),
        };
        let there = OnConflict::column(lot::Column::Id)
            .update_columns([lot::Column::OnHand, lot::Column::Reserved])
            .to_owned();
        tx.change("saving a lot", lot::Entity::insert(row).on_conflict(there).into_query()).await?;
    }
    Ok(())
}

pub async fn levels(
    tx: &PgTx,
    pharmacy: Option<PharmacyId>,
    page: &PageRequest,
) -> Result<Page<Stock>> {
    let doing = "reading stock levels";
    let such = Condition::all()
        .add(own_pharmacies(tx.actor()))
        .add_option(after(page)?)
        .add_option(pharmacy.map(|pharmacy| Column::PharmacyId.eq(pharmacy)));
    let rows = Entity::find()
        .filter(such)
        .order_by_asc(Column::PharmacyId)
        .order_by_asc(Column::Ndc)
        .limit(u64::from(page.limit()) + 1)
        .all(tx.read())
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
            .all(tx.read())
            .await
            .map_err(|error| db(doing, error))?;
        for row in rows {
            let own = lots
                .extract_if(.., |lot| lot.pharmacy_id == row.pharmacy_id && lot.ndc == row.ndc)
                .collect();
            levels.push(opened(row, own)?);
        }
    }
    Ok(Page::from_overfetch(levels, page, |last| format!("{}/{}", last.pharmacy, last.ndc)))
}

/// What comes after a cursor of pharmacy and NDC.
fn after(page: &PageRequest) -> Result<Option<Condition>> {
    let last = cursor(page, |text| {
        let (pharmacy, ndc) = text.split_once('/')?;
        Some((pharmacy.parse::<Uuid>().ok()?, ndc.to_owned()))
    })?;
    Ok(last.map(|(pharmacy, ndc)| {
        let later = Condition::all().add(Column::PharmacyId.eq(pharmacy)).add(Column::Ndc.gt(ndc));
        Condition::any().add(Column::PharmacyId.gt(pharmacy)).add(later)
    }))
}
