//! The rows of feature flags and of what entries of the catalog said.

use std::collections::BTreeSet;

use catalog::{Cohort, EntryKind, FeatureFlag, Revision};
use kernel::{CategoryId, PlanId, Role, UsState, Uuid};
use ports::{PortError, Result};
use sea_orm::{ActiveModelTrait as _, DbBackend, FromQueryResult, IntoActiveModel as _, Statement};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::core::{PgTx, db};

pub mod flag {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "catalog_feature_flags")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
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
}

#[derive(Serialize, Deserialize)]
struct CohortRow {
    states: BTreeSet<UsState>,
    plans: BTreeSet<PlanId>,
    categories: BTreeSet<CategoryId>,
    roles: BTreeSet<Role>,
}

fn corrupt(error: impl std::error::Error + Send + Sync + 'static) -> PortError {
    PortError::internal("a stored feature flag cannot be read", error)
}

pub fn to_flag(row: flag::Model) -> Result<FeatureFlag> {
    let cohorts: Vec<CohortRow> = serde_json::from_value(row.cohorts).map_err(corrupt)?;
    let cohorts = cohorts.into_iter().map(|row| Cohort {
        states: row.states,
        plans: row.plans,
        categories: row.categories,
        roles: row.roles,
    });
    Ok(FeatureFlag {
        id: row.id.into(),
        key: row.key.parse().map_err(corrupt)?,
        description: row.description,
        enabled: row.enabled,
        percentage: u8::try_from(row.percentage).map_err(corrupt)?,
        cohorts: cohorts.collect(),
        accounts: serde_json::from_value(row.account_ids).map_err(corrupt)?,
        version: row.version,
    })
}

pub fn from_flag(flag: &FeatureFlag) -> flag::ActiveModel {
    let cohorts = flag.cohorts.iter().map(|cohort| CohortRow {
        states: cohort.states.clone(),
        plans: cohort.plans.clone(),
        categories: cohort.categories.clone(),
        roles: cohort.roles.clone(),
    });
    flag::Model {
        id: flag.id.uuid(),
        key: flag.key.to_string(),
        description: flag.description.clone(),
        enabled: flag.enabled,
        percentage: flag.percentage.into(),
        cohorts: serde_json::json!(cohorts.collect::<Vec<_>>()),
        account_ids: serde_json::json!(flag.accounts),
        version: flag.version,
    }
    .into_active_model()
    .reset_all()
}

#[derive(Debug, FromQueryResult)]
struct RevisionRow {
    fields: Value,
}

impl PgTx {
    pub(super) async fn put_revision(&mut self, revision: &Revision) -> Result<()> {
        let now = self.now();
        self.execute(
            "keeping a revision of the catalog",
            "INSERT INTO catalog_revisions (kind, entry_id, version, fields, recorded_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            [
                revision.kind.to_string().into(),
                revision.entry.into(),
                revision.version.into(),
                revision.as_json().into(),
                now.into(),
            ],
        )
        .await?;
        Ok(())
    }

    pub(super) async fn find_revision(
        &self,
        kind: EntryKind,
        entry: Uuid,
        version: i64,
    ) -> Result<Option<Revision>> {
        let doing = "reading a revision of the catalog";
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT fields FROM catalog_revisions \
             WHERE kind = $1 AND entry_id = $2 AND version = $3",
            [kind.to_string().into(), entry.into(), version.into()],
        );
        let found = RevisionRow::find_by_statement(statement)
            .one(self.read())
            .await
            .map_err(|error| db(doing, error))?;
        let Some(row) = found else { return Ok(None) };
        let fields = serde_json::from_value(row.fields)
            .map_err(|error| PortError::internal(doing, error))?;
        Ok(Some(Revision { kind, entry, version, fields }))
    }
}
