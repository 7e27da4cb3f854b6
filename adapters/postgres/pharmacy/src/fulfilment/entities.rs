//! The rows of fulfilment.

pub mod stock {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "inventory_stock")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub pharmacy_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub ndc: String,
        pub reorder_level: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod lot {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "inventory_lots")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub pharmacy_id: Uuid,
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

pub mod paid_fill {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "paid_fills")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub invoice_id: Uuid,
        pub subscription_id: Uuid,
        pub patient_id: Uuid,
        pub category_id: Uuid,
        pub paid_at: ChronoDateTimeUtc,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i32,
        pub scheduled_for: ChronoDateTimeUtc,
        pub due_at: ChronoDateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod fill_hold {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "fill_holds")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub invoice_id: Uuid,
        pub number: i32,
        pub patient_id: Uuid,
        pub category_id: Uuid,
        pub prescription_id: Option<Uuid>,
        pub provider_id: Option<Uuid>,
        pub grounds: Vec<u8>,
        pub held_at: ChronoDateTimeUtc,
        pub released_at: Option<ChronoDateTimeUtc>,
        pub released_by: Option<Uuid>,
        pub decision: Option<Vec<u8>>,
        pub version: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod dispatch {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "dispatches")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub patient_id: Uuid,
        pub category_id: Uuid,
        pub prescription_id: Uuid,
        pub fill_number: i32,
        pub invoice_id: Uuid,
        pub paid_fill: i32,
        pub covers: i32,
        pub pharmacy_id: Uuid,
        pub ndc: String,
        pub quantity: i64,
        pub state: String,
        pub hold_reason: Option<String>,
        pub shipment_id: Option<Uuid>,
        pub created_at: ChronoDateTimeUtc,
        pub updated_at: ChronoDateTimeUtc,
        pub version: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod allocation {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "dispatch_allocations")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub dispatch_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub lot_id: Uuid,
        pub quantity: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod shipment {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "shipments")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub dispatch_id: Uuid,
        pub prescription_id: Uuid,
        pub patient_id: Uuid,
        pub recipient: Vec<u8>,
        pub carrier_shipment_id: Option<String>,
        pub carrier: Option<String>,
        pub service: Option<String>,
        pub tracking_number: Option<String>,
        pub tracker_id: Option<String>,
        pub label_id: Option<String>,
        pub label_url: Option<String>,
        pub sealed_label: Option<Vec<u8>>,
        pub cost_minor: Option<i64>,
        pub cost_currency: Option<String>,
        pub status: String,
        pub status_at: Option<ChronoDateTimeUtc>,
        pub confirmed_at: Option<ChronoDateTimeUtc>,
        pub created_at: ChronoDateTimeUtc,
        pub shipped_at: Option<ChronoDateTimeUtc>,
        pub version: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod tracking {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "shipment_tracking")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shipment_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub said_at: ChronoDateTimeUtc,
        #[sea_orm(primary_key, auto_increment = false)]
        pub status: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod carrier_event {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "carrier_events")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub event_id: String,
        pub received_at: ChronoDateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
