//! Rule sets, the allowlist, and the past decisions that rules are held
//! against.

use async_trait::async_trait;
use care::{
    Assessment, RuleSet,
    eligibility::{RuleSetStatus, Scope},
    rules::{RuleSetQuery, RuleTx},
};
use kernel::{AssessmentId, CategoryId, Page, RuleSetId, RxNorm, UsState};
use ports::{PortError, Result};
use sea_orm::{
    Condition, FromQueryResult, Order, QueryOrder as _, QuerySelect as _, entity::prelude::*,
};
use serde_json::json;

use crate::{Answer, Tx, assessments, yes};
use pg::{Row, Unreadable, page, reached};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "care_rule_sets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: RuleSetId,
    pub category_id: CategoryId,
    pub state: Option<String>,
    pub rxnorm: Option<String>,
    pub number: i32,
    pub based_on: Option<RuleSetId>,
    pub status: RuleSetStatus,
    pub rules: Json,
    pub note: Option<String>,
    pub created_at: ChronoDateTimeUtc,
    pub changed_at: ChronoDateTimeUtc,
    pub published_at: Option<ChronoDateTimeUtc>,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Row for Model {
    type Aggregate = RuleSet;

    fn open(self) -> Result<RuleSet, Unreadable> {
        Ok(RuleSet {
            id: self.id,
            category: self.category_id,
            scope: Scope {
                state: self.state.map(|code| code.parse()).transpose()?,
                drug: self.rxnorm.map(|code| code.parse()).transpose()?,
            },
            number: self.number,
            rules: serde_json::from_value(self.rules)?,
            note: self.note,
            status: self.status,
            based_on: self.based_on,
            created_at: self.created_at,
            changed_at: self.changed_at,
            published_at: self.published_at,
            version: self.version,
        })
    }

    fn close(set: &RuleSet) -> Self {
        Self {
            id: set.id,
            category_id: set.category,
            state: set.scope.state.map(|state| state.to_string()),
            rxnorm: set.scope.drug.as_ref().map(ToString::to_string),
            number: set.number,
            based_on: set.based_on,
            status: set.status,
            rules: json!(set.rules),
            note: set.note.clone(),
            created_at: set.created_at,
            changed_at: set.changed_at,
            published_at: set.published_at,
            version: set.version,
        }
    }
}

#[derive(FromQueryResult)]
struct Allowed {
    state: String,
    rxnorm: String,
}

#[derive(FromQueryResult)]
struct Latest {
    number: i32,
}

#[async_trait]
impl RuleTx for Tx {
    async fn rule_sets_named(&mut self, ids: &[RuleSetId]) -> Result<Vec<RuleSet>> {
        let named = reached::<Model>(self).filter(Column::Id.is_in(ids.iter().copied()));
        Model::load(self, named).await
    }

    async fn rule_sets(&mut self, query: &RuleSetQuery) -> Result<Page<RuleSet>> {
        let asked = Condition::all()
            .add_option(query.category.map(|category| Column::CategoryId.eq(category)))
            .add_option(query.status.map(|status| Column::Status.eq(status)));
        let found = reached::<Model>(self).filter(asked);
        let (by, order) = (Column::CreatedAt, Order::Desc);
        page::<Model>(self, found, by, order, &query.page, |set| set.created_at).await
    }

    async fn rule_sets_in_force(&mut self, category: CategoryId) -> Result<Vec<RuleSet>> {
        let in_force = reached::<Model>(self)
            .filter(Column::CategoryId.eq(category))
            .filter(Column::Status.eq(RuleSetStatus::Published));
        Model::load(self, in_force).await
    }

    async fn latest_rule_number(&mut self, category: CategoryId, scope: &Scope) -> Result<i32> {
        let sql = "SELECT coalesce(max(number), 0) AS number FROM care_rule_sets \
             WHERE category_id = $1 AND state IS NOT DISTINCT FROM $2 \
             AND rxnorm IS NOT DISTINCT FROM $3";
        let (state, drug) = (scope.state, scope.drug.as_ref());
        let values = [
            category.into(),
            state.map(|state| state.to_string()).into(),
            drug.map(ToString::to_string).into(),
        ];
        let latest: Vec<Latest> = self.rows("counting the versions of rules", sql, values).await?;
        Ok(latest.first().map_or(0, |latest| latest.number))
    }

    async fn auto_approval(&mut self, state: UsState, drug: &RxNorm) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM care_auto_approvals \
             WHERE state = $1 AND rxnorm = $2) AS holds";
        let values = [state.to_string().into(), drug.as_str().into()];
        let answers: Vec<Answer> = self.rows("reading the allowlist", sql, values).await?;
        yes(answers)
    }

    async fn allow_auto_approval(&mut self, state: UsState, drug: &RxNorm) -> Result<()> {
        let sql = "INSERT INTO care_auto_approvals (state, rxnorm) VALUES ($1, $2) \
             ON CONFLICT DO NOTHING";
        let values = [state.to_string().into(), drug.as_str().into()];
        self.execute("extending the allowlist", sql, values).await.map(drop)
    }

    async fn auto_approvals(&mut self) -> Result<Vec<(UsState, RxNorm)>> {
        let sql = "SELECT state, rxnorm FROM care_auto_approvals ORDER BY state, rxnorm";
        let doing = "reading the allowlist";
        let allowed: Vec<Allowed> = self.rows(doing, sql, []).await?;
        let read = |Allowed { state, rxnorm }| -> Result<_, Unreadable> {
            Ok((state.parse()?, rxnorm.parse()?))
        };
        let allowed = allowed.into_iter().map(read).collect::<Result<_, _>>();
        allowed.map_err(|error| PortError::internal(doing, error))
    }

    async fn forbid_auto_approval(&mut self, state: UsState, drug: &RxNorm) -> Result<()> {
        let sql = "DELETE FROM care_auto_approvals WHERE state = $1 AND rxnorm = $2";
        let values = [state.to_string().into(), drug.as_str().into()];
        self.execute("shortening the allowlist", sql, values).await.map(drop)
    }

    async fn decided_one(&mut self, id: AssessmentId) -> Result<Option<Assessment>> {
        let found = assessments::Entity::find().filter(assessments::Column::Id.eq(id));
        Ok(assessments::Model::load(self, found).await?.pop())
    }

    async fn decided(
        &mut self,
        category: CategoryId,
        state: Option<UsState>,
        after: Option<AssessmentId>,
        limit: u32,
    ) -> Result<Vec<Assessment>> {
        let state = state.map(|state| assessments::Column::State.eq(state.to_string()));
        let after = after.map(|after| assessments::Column::Id.lt(after));
        let found = assessments::Entity::find()
            .filter(assessments::Column::CategoryId.eq(category))
            .filter(Condition::all().add_option(state).add_option(after))
            .order_by_desc(assessments::Column::Id);
        assessments::Model::load(self, found.limit(u64::from(limit))).await
    }

    async fn all_decided(
        &mut self,
        after: Option<AssessmentId>,
        limit: u32,
    ) -> Result<Vec<Assessment>> {
        let after = after.map(|after| assessments::Column::Id.gt(after));
        let found = assessments::Entity::find()
            .filter(Condition::all().add_option(after))
            .order_by_asc(assessments::Column::Id);
        assessments::Model::load(self, found.limit(u64::from(limit))).await
    }
}
