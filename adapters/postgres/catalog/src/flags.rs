//! Feature flags.

use std::collections::BTreeSet;

use catalog::{Cohort, FeatureFlag};
use kernel::{CategoryId, FeatureFlagId, PlanId, Role, UsState};
use ports::Result;
use sea_orm::{QueryOrder as _, entity::prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::json;

use pg::{PgTx, Row, Unreadable, reached};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "catalog_feature_flags")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: FeatureFlagId,
    pub key: String,
    pub description: String,
    pub enabled: bool,
    pub percentage: i16,
    pub cohorts: Json,
    pub account_ids: Json,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Serialize, Deserialize)]
struct CohortRow {
    states: BTreeSet<UsState>,
    plans: BTreeSet<PlanId>,
    categories: BTreeSet<CategoryId>,
    roles: BTreeSet<Role>,
}

impl Row for Model {
    type Aggregate = FeatureFlag;

    fn open(self) -> Result<FeatureFlag, Unreadable> {
        let cohorts: Vec<CohortRow> = serde_json::from_value(self.cohorts)?;
        let cohorts = cohorts.into_iter().map(|row| {
            let CohortRow { states, plans, categories, roles } = row;
            Cohort { states, plans, categories, roles }
        });
        Ok(FeatureFlag {
            id: self.id,
            key: self.key.parse()?,
            description: self.description,
            enabled: self.enabled,
            percentage: self.percentage.try_into()?,
            cohorts: cohorts.collect(),
            accounts: serde_json::from_value(self.account_ids)?,
            version: self.version,
        })
    }

    fn close(flag: &FeatureFlag) -> Self {
        let cohorts = flag.cohorts.iter().cloned().map(|cohort| {
            let Cohort { states, plans, categories, roles } = cohort;
            CohortRow { states, plans, categories, roles }
        });
        Self {
            id: flag.id,
            key: flag.key.to_string(),
            description: flag.description.clone(),
            enabled: flag.enabled,
            percentage: flag.percentage.into(),
            cohorts: json!(cohorts.collect::<Vec<_>>()),
            account_ids: json!(flag.accounts),
            version: flag.version,
        }
    }
}

pub async fn all(tx: &PgTx) -> Result<Vec<FeatureFlag>> {
    Model::load(tx, reached::<Model>(tx).order_by_asc(Column::Key)).await
}
