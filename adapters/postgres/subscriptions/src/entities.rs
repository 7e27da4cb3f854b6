//! The rows of subscriptions.

pub mod subscription {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "subscriptions")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub patient_id: Uuid,
        pub category_id: Uuid,
        pub assessment_id: Uuid,
        pub plan_id: Uuid,
        pub price_id: Uuid,
        pub price_version: i32,
        pub plan_name: String,
        pub amount_minor: i64,
        pub currency: String,
        pub interval_months: i32,
        pub tier: String,
        pub features: Json,
        pub covers: Option<Vec<u8>>,
        pub zone: String,
        pub anchor_day: ChronoDate,
        pub consent_terms_version: String,
        pub consent_amount_minor: i64,
        pub consent_currency: String,
        pub consent_interval_months: i32,
        pub consent_accepted_at: ChronoDateTimeUtc,
        pub consent_ip: Option<String>,
        pub consent_user_agent: Option<String>,
        pub state: String,
        pub state_since: ChronoDateTimeUtc,
        pub failed_invoice_id: Option<Uuid>,
        pub period_index: i32,
        pub period_start: ChronoDateTimeUtc,
        pub period_end: ChronoDateTimeUtc,
        pub cancel_at_period_end: bool,
        pub created_at: ChronoDateTimeUtc,
        pub version: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod period {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "subscription_periods")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub subscription_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub period_index: i32,
        pub patient_id: Uuid,
        pub starts_at: ChronoDateTimeUtc,
        pub ends_at: ChronoDateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod change {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "subscription_changes")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub seq: i64,
        pub subscription_id: Uuid,
        pub patient_id: Uuid,
        pub changed_at: ChronoDateTimeUtc,
        pub from_state: Option<String>,
        pub to_state: String,
        pub reason: String,
        pub period_index: i32,
        pub actor_kind: String,
        pub actor_id: Option<Uuid>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod paid_invoice {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "subscription_paid_invoices")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub invoice_id: Uuid,
        pub subscription_id: Uuid,
        pub noted_at: ChronoDateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
