use std::sync::Arc;

use api::{Answer, Body, Caller, Mirror, PageQuery, Result, Tag, Text, idempotency_key};
use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    InventoryLotId, PharmacyId, Uuid,
    text::{LotNumber, PackageCode},
};
use pharmacy::{
    fulfilment::FulfilmentStore,
    inventory::{
        Lot, Receipt, Stock,
        receive::{receive_lot, stock_levels},
    },
};
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Query},
    payload::Json,
};
use ports::Env;

pub struct InventoryApi {
    pub env: Env,
    pub store: Arc<dyn FulfilmentStore>,
}

/// A lot of a drug.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Lot)]
pub struct InventoryLotView {
    pub id: InventoryLotId,
    /// The manufacturer's lot number.
    #[mirror(number)]
    pub lot_number: String,
    /// The last day on which it may be used.
    pub expires_on: NaiveDate,
    /// Units on the shelf, those reserved among them.
    pub on_hand: i64,
    /// Units that dispatches hold.
    pub reserved: i64,
    pub received_at: DateTime<Utc>,
}

/// The stock of one drug at one pharmacy. Amounts are in dispensing units, as
/// in tablets.
#[derive(Debug, Object)]
pub struct InventoryView {
    pub pharmacy_id: PharmacyId,
    /// The drug's NDC of eleven digits.
    pub ndc: String,
    pub on_hand: i64,
    pub reserved: i64,
    /// Units that can still be reserved: neither reserved nor too close to
    /// their expiry.
    pub available: i64,
    pub reorder_level: i64,
    /// Whether fewer units are available than the reorder level.
    pub low: bool,
    /// The lot that expires first stands first.
    pub lots: Vec<InventoryLotView>,
}

impl InventoryView {
    fn of(mut stock: Stock, today: NaiveDate) -> Self {
        stock.lots.sort_by_key(|lot| (lot.expires_on, lot.received_at));
        Self {
            pharmacy_id: stock.pharmacy,
            ndc: stock.ndc.to_string(),
            on_hand: stock.on_hand(),
            reserved: stock.reserved(),
            available: stock.available(today),
            reorder_level: stock.reorder_level,
            low: stock.is_low(today),
            lots: stock.lots.into_iter().map(Into::into).collect(),
        }
    }
}

/// A page of stock, by pharmacy and NDC.
#[derive(Debug, Object)]
pub struct InventoryPage {
    pub items: Vec<InventoryView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// A delivery of a drug to a pharmacy.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ReceiveLot {
    /// A pharmacy of the directory.
    pub pharmacy_id: PharmacyId,
    /// The drug's NDC: eleven digits, or as printed with hyphens.
    pub ndc: Text<PackageCode>,
    /// The manufacturer's lot number, of at most 40 characters.
    pub lot_number: Text<LotNumber>,
    /// The last day on which the lot may be used.
    pub expires_on: NaiveDate,
    /// In dispensing units, as in tablets; 1 to 1,000,000.
    pub quantity: i64,
    /// The new level below which the stock is low, where it changes.
    pub reorder_level: Option<i64>,
}

api::example!(ReceiveLot {
    pharmacy_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001).into(),
    ndc: "00093736501".into(),
    lot_number: "A4471".into(),
    expires_on: NaiveDate::from_ymd_opt(2028, 6, 30).unwrap_or_default(),
    quantity: 900,
    reorder_level: Some(300),
});

impl ReceiveLot {
    fn parse(self) -> Result<Receipt> {
        Ok(Receipt {
            pharmacy: self.pharmacy_id,
            ndc: self.ndc.ndc("ndc")?,
            lot_number: self.lot_number.into(),
            expires_on: self.expires_on,
            quantity: self.quantity,
            reorder_level: self.reorder_level,
        })
    }
}

#[OpenApi(tag = "Tag::Pharmacy")]
impl InventoryApi {
    /// Get inventory levels
    ///
    /// What each of the caller's own pharmacies, or one of them, has of each drug,
    /// with its lots.
    #[oai(path = "/api/pharmacy/inventory", method = "get", operation_id = "getInventory")]
    async fn levels(
        &self,
        caller: Caller,
        /// Only this pharmacy.
        pharmacy_id: Query<Option<PharmacyId>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<InventoryPage> {
        let page = PageQuery::read(limit, cursor)?;
        let found = stock_levels(&*self.store, caller.actor(), pharmacy_id.0, &page).await?;
        let today = self.env.now().date_naive();
        let page = found.map(|stock| InventoryView::of(stock, today));
        Ok(Json(InventoryPage { items: page.items, next: page.next }))
    }

    /// Receive a lot
    ///
    /// Takes a delivery in and answers with the drug's whole stock. Dispatches
    /// that waited for it go out, the oldest first. Repeated with the same
    /// `Idempotency-Key`, it is taken in once.
    #[oai(path = "/api/pharmacy/inventory", method = "post", operation_id = "receiveInventory")]
    async fn receive(
        &self,
        caller: Caller,
        /// A value that is unique to this delivery; a repetition carries it again.
        #[oai(name = "Idempotency-Key")]
        key: Header<String>,
        body: Body<ReceiveLot>,
    ) -> Answer<InventoryView> {
        let key = idempotency_key("pharmacy.receive_lot", &key.0, &body.0)?;
        let (store, receipt) = (&*self.store, body.0.parse()?);
        let stock = receive_lot(&self.env, store, caller.actor(), Some(&key), receipt).await?;
        Ok(Json(InventoryView::of(stock, self.env.now().date_naive())))
    }
}
