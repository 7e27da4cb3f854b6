//! Rule sets, the allowlist, and the past decisions that rules are held
//! against.

use async_trait::async_trait;
use care::{
    Assessment, Rule, RuleSet,
    eligibility::Scope,
    rules::{RuleSetQuery, RuleTx},
};
use kernel::{AssessmentId, CategoryId, Page, RuleSetId, RxNorm, UsState, Uuid};
use ports::{PortError, Result};
use sea_orm::{QueryResult, Value};

use super::{
    all, assessments, get, one,
    reference::{document, value},
    word,
};
use crate::Tx;
use pg::{expect_changed, time_cursor, time_cursor_of};

#[async_trait]
impl RuleTx for Tx {
    async fn rule_set(&mut self, id: RuleSetId) -> Result<Option<RuleSet>> {
        let sql = "SELECT * FROM care_rule_sets WHERE id = $1";
        let row = one(self, "reading a rule set", sql, vec![id.uuid().into()]).await?;
        row.as_ref().map(rule_set).transpose()
    }

    async fn rule_sets_named(&mut self, ids: &[RuleSetId]) -> Result<Vec<RuleSet>> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let sql = "SELECT * FROM care_rule_sets WHERE id = ANY($1)";
        let rows = all(self, "reading rule sets", sql, vec![ids.into()]).await?;
        rows.iter().map(rule_set).collect()
    }

    async fn rule_sets(&mut self, query: &RuleSetQuery) -> Result<Page<RuleSet>> {
        let mut values: Vec<Value> = vec![
            query.category.map(CategoryId::uuid).into(),
            query.status.map(|status| status.to_string()).into(),
            i64::from(query.page.limit() + 1).into(),
        ];
        let mut beyond = "";
        if let Some((at, id)) = time_cursor(&query.page)? {
            beyond = "AND (created_at, id) < ($4, $5)";
            values.extend([at.into(), id.into()]);
        }
        let sql = format!(
            "SELECT * FROM care_rule_sets WHERE ($1::uuid IS NULL OR category_id = $1) \
             AND ($2::text IS NULL OR status = $2) {beyond} \
             ORDER BY created_at DESC, id DESC LIMIT $3"
        );
        let rows = all(self, "listing rule sets", &sql, values).await?;
        let sets = rows.iter().map(rule_set).collect::<Result<Vec<_>>>()?;
        Ok(Page::from_overfetch(sets, &query.page, |set| {
            time_cursor_of(set.created_at, set.id.uuid())
        }))
    }

    async fn rule_sets_in_force(&mut self, category: CategoryId) -> Result<Vec<RuleSet>> {
        let sql = "SELECT * FROM care_rule_sets WHERE category_id = $1 AND status = 'published'";
        let rows =
            all(self, "reading the rules in force", sql, vec![category.uuid().into()]).await?;
        rows.iter().map(rule_set).collect()
    }

    async fn latest_rule_version(&mut self, category: CategoryId, scope: &Scope) -> Result<i32> {
        let row = one(
            self,
            "counting the versions of rules",
            "SELECT coalesce(max(version), 0) AS latest FROM care_rule_sets \
             WHERE category_id = $1 AND state IS NOT DISTINCT FROM $2 \
             AND rxnorm IS NOT DISTINCT FROM $3",
            vec![category.uuid().into(), state_of(scope), drug_of(scope)],
        )
        .await?;
        row.map_or(Ok(0), |row| get(&row, "latest"))
    }

    async fn add_rule_set(&mut self, set: &RuleSet) -> Result<()> {
        let rules = value("a rule set", &set.rules)?;
        self.execute(
            "adding a rule set",
            "INSERT INTO care_rule_sets (id, category_id, state, rxnorm, version, rules, note, \
             status, based_on, revision, created_at, changed_at, published_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            [
                set.id.uuid().into(),
                set.category.uuid().into(),
                state_of(&set.scope),
                drug_of(&set.scope),
                set.version.into(),
                rules,
                set.note.clone().into(),
                set.status.to_string().into(),
                set.based_on.map(RuleSetId::uuid).into(),
                set.revision.into(),
                set.created_at.into(),
                set.changed_at.into(),
                set.published_at.into(),
            ],
        )
        .await?;
        Ok(())
    }

    async fn save_rule_set(&mut self, set: &RuleSet) -> Result<()> {
        let rules = value("a rule set", &set.rules)?;
        let saved = self
            .execute(
                "saving a rule set",
                "UPDATE care_rule_sets SET rules = $3, note = $4, status = $5, based_on = $6, \
                 changed_at = $7, published_at = $8, revision = revision + 1 \
                 WHERE id = $1 AND revision = $2 - 1",
                [
                    set.id.uuid().into(),
                    set.revision.into(),
                    rules,
                    set.note.clone().into(),
                    set.status.to_string().into(),
                    set.based_on.map(RuleSetId::uuid).into(),
                    set.changed_at.into(),
                    set.published_at.into(),
                ],
            )
            .await?;
        expect_changed(saved.rows_affected(), "the rule set")
    }

    async fn auto_approvals(&mut self) -> Result<Vec<(UsState, RxNorm)>> {
        let sql = "SELECT state, rxnorm FROM care_auto_approvals ORDER BY state, rxnorm";
        let rows = all(self, "reading the allowlist", sql, vec![]).await?;
        rows.iter().map(|row| Ok((word(row, "state")?, word(row, "rxnorm")?))).collect()
    }

    async fn forbid_auto_approval(&mut self, state: UsState, drug: &RxNorm) -> Result<()> {
        self.execute(
            "shortening the allowlist",
            "DELETE FROM care_auto_approvals WHERE state = $1 AND rxnorm = $2",
            [state.to_string().into(), drug.as_str().into()],
        )
        .await?;
        Ok(())
    }

    async fn decided(
        &mut self,
        category: CategoryId,
        state: Option<UsState>,
        after: Option<AssessmentId>,
        limit: u32,
    ) -> Result<Vec<Assessment>> {
        let rows = all(
            self,
            "reading past decisions",
            "SELECT * FROM care_assessments WHERE category_id = $1 \
             AND ($2::text IS NULL OR state = $2) AND ($3::uuid IS NULL OR id < $3) \
             ORDER BY id DESC LIMIT $4",
            vec![
                category.uuid().into(),
                state.map(|state| state.to_string()).into(),
                after.map(AssessmentId::uuid).into(),
                i64::from(limit).into(),
            ],
        )
        .await?;
        rows.iter().map(|row| assessments::assessment(self, row)).collect()
    }

    async fn all_decided(
        &mut self,
        after: Option<AssessmentId>,
        limit: u32,
    ) -> Result<Vec<Assessment>> {
        let rows = all(
            self,
            "reading past decisions",
            "SELECT * FROM care_assessments WHERE $1::uuid IS NULL OR id > $1 \
             ORDER BY id LIMIT $2",
            vec![after.map(AssessmentId::uuid).into(), i64::from(limit).into()],
        )
        .await?;
        rows.iter().map(|row| assessments::assessment(self, row)).collect()
    }
}

fn state_of(scope: &Scope) -> Value {
    scope.state.map(|state| state.to_string()).into()
}

fn drug_of(scope: &Scope) -> Value {
    scope.drug.as_ref().map(ToString::to_string).into()
}

/// A column that holds a stable word or nothing.
fn word_or_none<T>(row: &QueryResult, column: &str) -> Result<Option<T>>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    get::<Option<String>>(row, column)?
        .map(|text| {
            text.parse()
                .map_err(|error| PortError::internal(format!("{column} holds {text:?}"), error))
        })
        .transpose()
}

fn rule_set(row: &QueryResult) -> Result<RuleSet> {
    Ok(RuleSet {
        id: RuleSetId(get::<Uuid>(row, "id")?),
        category: CategoryId(get::<Uuid>(row, "category_id")?),
        scope: Scope { state: word_or_none(row, "state")?, drug: word_or_none(row, "rxnorm")? },
        version: get(row, "version")?,
        rules: document::<Vec<Rule>>(row, "rules")?,
        note: get(row, "note")?,
        status: word(row, "status")?,
        based_on: get::<Option<Uuid>>(row, "based_on")?.map(RuleSetId),
        revision: get(row, "revision")?,
        created_at: get(row, "created_at")?,
        changed_at: get(row, "changed_at")?,
        published_at: get(row, "published_at")?,
    })
}
