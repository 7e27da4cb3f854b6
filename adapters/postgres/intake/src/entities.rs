//! The rows of intake, and what is within the sealed ones.

use std::collections::{BTreeMap, BTreeSet};

use intake::{Answers, Consent, Facts, Score};
use serde::{Deserialize, Serialize};

/// The sealed content of a response.
#[derive(Serialize, Deserialize)]
pub struct ResponseContent {
    pub answers: Answers,
    pub scores: BTreeMap<String, Score>,
    pub flags: BTreeSet<String>,
    pub consents: BTreeSet<Consent>,
    pub facts: Facts,
}

pub mod form {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "intake_forms")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub category_id: Uuid,
        pub slug: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(has_many = "super::version::Entity")]
        Version,
    }

    impl Related<super::version::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Version.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod version {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "intake_form_versions")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub form_id: Uuid,
        pub number: i32,
        pub status: String,
        pub definition: Json,
        pub created_at: ChronoDateTimeUtc,
        pub published_at: Option<ChronoDateTimeUtc>,
        pub retired_at: Option<ChronoDateTimeUtc>,
        pub based_on: Option<Uuid>,
        pub revision: i64,
        pub changed_at: ChronoDateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::form::Entity",
            from = "Column::FormId",
            to = "super::form::Column::Id"
        )]
        Form,
    }

    impl Related<super::form::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Form.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod draft {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "intake_drafts")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub patient_id: Uuid,
        pub category_id: Uuid,
        pub form_version_id: Uuid,
        pub answers: Vec<u8>,
        pub version: i64,
        pub updated_at: ChronoDateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod response {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "intake_responses")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub patient_id: Uuid,
        pub category_id: Uuid,
        pub form_version_id: Uuid,
        pub content: Vec<u8>,
        pub submitted_at: ChronoDateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod photo {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "intake_photos")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub patient_id: Uuid,
        pub category_id: Uuid,
        pub media_type: String,
        pub size: i32,
        pub width: i32,
        pub height: i32,
        pub digest: Vec<u8>,
        pub created_at: ChronoDateTimeUtc,
        pub response_id: Option<Uuid>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
