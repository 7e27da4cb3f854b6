//! The one ordered history of the schema. Each step is a pair of SQL files, up
//! and down. Until the first release there is one step for each context, in the
//! final state of its tables, and what has landed may be rewritten; a database
//! from before is then made anew. Later steps are numbered by time, and one that
//! has been released never changes.

use sea_orm_migration::{prelude::*, sea_orm::DbErr};

struct Step {
    name: &'static str,
    up: &'static str,
    down: &'static str,
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(self.up).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(self.down).await.map(drop)
    }
}

macro_rules! history {
    ($($name:literal),+ $(,)?) => {
        fn history() -> Vec<Step> {
            vec![$(Step {
                name: $name,
                up: include_str!(concat!("../sql/", $name, ".up.sql")),
                down: include_str!(concat!("../sql/", $name, ".down.sql")),
            }),+]
        }
    };
}

// In the order in which they are applied; one line a step.
history![
    "001_platform",
    "010_identity",
    "020_catalog",
    "030_intake",
    "040_care",
    "050_pharmacy",
    "060_subscriptions",
    "070_billing",
    "080_communication",
    "090_records",
    "095_compliance",
    "097_analytics",
];

pub struct Migrator;

impl Migrator {
    /// The whole history, for those who keep what it made.
    pub fn text() -> String {
        history().iter().map(|step| format!("{}\n{}\n", step.name, step.up)).collect()
    }
}

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        history().into_iter().map(|step| Box::new(step) as Box<dyn MigrationTrait>).collect()
    }
}
