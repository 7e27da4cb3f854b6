//! Protocols, dose limits and what the states allow.

use care::{DoseLimit, Modality, Protocol, StatePolicy, Treatment, dosing::DosingRule};
use kernel::{CategoryId, RxNorm, UsState};
use ports::{PortError, Result};
use sea_orm::QueryResult;

use super::{all, get, one, word};
use crate::Tx;
use pg::expect_changed;

pub(super) fn value(what: &str, value: &impl serde::Serialize) -> Result<sea_orm::Value> {
    let value = serde_json::to_value(value)
        .map_err(|error| PortError::internal(format!("{what} does not write as JSON"), error))?;
    Ok(value.into())
}

pub(super) fn document<T: serde::de::DeserializeOwned>(
    row: &QueryResult,
    column: &str,
) -> Result<T> {
    let value: serde_json::Value = get(row, column)?;
    serde_json::from_value(value)
        .map_err(|error| PortError::internal(format!("{column} does not read"), error))
}

pub async fn protocol(tx: &mut Tx, category: CategoryId) -> Result<Option<Protocol>> {
    Ok(read_protocol(tx, category, "").await?.map(|(protocol, _)| protocol))
}

pub async fn category_protocol(
    tx: &mut Tx,
    category: CategoryId,
) -> Result<Option<(Protocol, i64)>> {
    read_protocol(tx, category, "FOR UPDATE").await
}

async fn read_protocol(
    tx: &mut Tx,
    category: CategoryId,
    lock: &str,
) -> Result<Option<(Protocol, i64)>> {
    let sql =
        format!("SELECT treatment, version FROM care_protocols WHERE category_id = $1 {lock}");
    let row = one(tx, "reading a protocol", &sql, vec![category.uuid().into()]).await?;
    row.map(|row| {
        let treatment = document::<Treatment>(&row, "treatment")?;
        Ok((Protocol { category, treatment }, get(&row, "version")?))
    })
    .transpose()
}

pub async fn save_protocol(tx: &mut Tx, protocol: &Protocol, version: i64) -> Result<()> {
    let treatment = value("a protocol", &protocol.treatment)?;
    let saved = tx
        .execute(
            "saving a protocol",
            "INSERT INTO care_protocols (category_id, treatment, version) VALUES ($1, $2, $3) \
             ON CONFLICT (category_id) DO UPDATE SET treatment = excluded.treatment, \
             version = excluded.version WHERE care_protocols.version = excluded.version - 1",
            [protocol.category.uuid().into(), treatment, version.into()],
        )
        .await?;
    expect_changed(saved.rows_affected(), "the default treatment")
}

const DRUG: &str = "rxnorm, display, max_single, max_daily, max_weekly, unit, reference, \
                    strength, schedule, ndcs, to_confirm, followed_by, version";

fn drug_of(row: &QueryResult) -> Result<(DoseLimit, i64)> {
    let limit = DoseLimit {
        rxnorm: word(row, "rxnorm")?,
        display: get(row, "display")?,
        max_single: get(row, "max_single")?,
        max_daily: get(row, "max_daily")?,
        max_weekly: get(row, "max_weekly")?,
        unit: get(row, "unit")?,
        reference: get(row, "reference")?,
        strength: get(row, "strength")?,
        schedule: word(row, "schedule")?,
        ndcs: document(row, "ndcs")?,
        to_confirm: get(row, "to_confirm")?,
        followed_by: get::<Option<String>>(row, "followed_by")?
            .map(|text| text.parse())
            .transpose()
            .map_err(|error| {
                PortError::internal("the formulary names no drug that follows", error)
            })?,
    };
    Ok((limit, get(row, "version")?))
}

pub async fn dose_limit(tx: &mut Tx, drug: &RxNorm) -> Result<Option<DoseLimit>> {
    Ok(read_drug(tx, drug, "").await?.map(|(limit, _)| limit))
}

pub async fn formulary_drug(tx: &mut Tx, drug: &RxNorm) -> Result<Option<(DoseLimit, i64)>> {
    read_drug(tx, drug, "FOR UPDATE").await
}

async fn read_drug(tx: &mut Tx, drug: &RxNorm, lock: &str) -> Result<Option<(DoseLimit, i64)>> {
    let sql = format!("SELECT {DRUG} FROM care_dose_limits WHERE rxnorm = $1 {lock}");
    let row = one(tx, "reading a drug of the formulary", &sql, vec![drug.as_str().into()]).await?;
    row.map(|row| drug_of(&row)).transpose()
}

pub async fn lock_formulary(tx: &mut Tx) -> Result<()> {
    tx.lock("locking the formulary", "care_formulary".to_owned()).await
}

pub async fn formulary(tx: &mut Tx) -> Result<Vec<(DoseLimit, i64)>> {
    let sql = format!("SELECT {DRUG} FROM care_dose_limits ORDER BY rxnorm");
    let rows = all(tx, "reading the formulary", &sql, vec![]).await?;
    rows.iter().map(drug_of).collect()
}

pub async fn save_dose_limit(tx: &mut Tx, limit: &DoseLimit, version: i64) -> Result<()> {
    let saved = tx
        .execute(
            "saving a drug of the formulary",
            "INSERT INTO care_dose_limits (rxnorm, display, max_single, max_daily, unit, \
             reference, strength, schedule, ndcs, version, max_weekly, to_confirm, \
             followed_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT (rxnorm) DO UPDATE SET display = excluded.display, \
             max_single = excluded.max_single, max_daily = excluded.max_daily, \
             unit = excluded.unit, reference = excluded.reference, \
             strength = excluded.strength, schedule = excluded.schedule, ndcs = excluded.ndcs, \
             max_weekly = excluded.max_weekly, to_confirm = excluded.to_confirm, \
             followed_by = excluded.followed_by, \
             version = excluded.version WHERE care_dose_limits.version = excluded.version - 1",
            [
                limit.rxnorm.as_str().into(),
                limit.display.clone().into(),
                limit.max_single.into(),
                limit.max_daily.into(),
                limit.unit.clone().into(),
                limit.reference.clone().into(),
                limit.strength.clone().into(),
                limit.schedule.to_string().into(),
                value("the packages of a drug", &limit.ndcs)?,
                version.into(),
                limit.max_weekly.into(),
                limit.to_confirm.clone().into(),
                limit.followed_by.as_ref().map(|drug| drug.as_str().to_owned()).into(),
            ],
        )
        .await?;
    expect_changed(saved.rows_affected(), "the drug of the formulary")
}

pub async fn dosing_rule(tx: &mut Tx, drug: &RxNorm) -> Result<Option<(DosingRule, i64)>> {
    let row = one(
        tx,
        "reading a dosing rule",
        "SELECT rule, version FROM care_dosing_rules WHERE rxnorm = $1",
        vec![drug.as_str().into()],
    )
    .await?;
    row.map(|row| Ok((document::<DosingRule>(&row, "rule")?, get(&row, "version")?))).transpose()
}

pub async fn save_dosing_rule(tx: &mut Tx, rule: &DosingRule, version: i64) -> Result<()> {
    let document = value("a dosing rule", rule)?;
    let saved = tx
        .execute(
            "saving a dosing rule",
            "INSERT INTO care_dosing_rules (rxnorm, rule, version) VALUES ($1, $2, $3) \
             ON CONFLICT (rxnorm) DO UPDATE SET rule = excluded.rule, version = excluded.version \
             WHERE care_dosing_rules.version = excluded.version - 1",
            [rule.rxnorm.as_str().into(), document, version.into()],
        )
        .await?;
    expect_changed(saved.rows_affected(), "the dosing rule")
}

pub async fn auto_approval(tx: &mut Tx, state: UsState, drug: &RxNorm) -> Result<bool> {
    let row = one(
        tx,
        "reading the allowlist",
        "SELECT 1 AS found FROM care_auto_approvals WHERE state = $1 AND rxnorm = $2",
        vec![state.to_string().into(), drug.as_str().into()],
    )
    .await?;
    Ok(row.is_some())
}

pub async fn allow_auto_approval(tx: &mut Tx, state: UsState, drug: &RxNorm) -> Result<()> {
    tx.execute(
        "extending the allowlist",
        "INSERT INTO care_auto_approvals (state, rxnorm) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        [state.to_string().into(), drug.as_str().into()],
    )
    .await?;
    Ok(())
}

pub async fn modality(tx: &mut Tx, state: UsState) -> Result<Modality> {
    let row = one(
        tx,
        "reading a state's modality",
        "SELECT modality FROM care_state_modalities WHERE state = $1",
        vec![state.to_string().into()],
    )
    .await?;
    row.map_or(Ok(Modality::Video), |row| word(&row, "modality"))
}

pub async fn state_policy(tx: &mut Tx, state: UsState) -> Result<Option<(StatePolicy, i64)>> {
    let row = one(
        tx,
        "reading what a state allows",
        "SELECT modality, version FROM care_state_modalities WHERE state = $1 FOR UPDATE",
        vec![state.to_string().into()],
    )
    .await?;
    row.map(|row| {
        Ok((StatePolicy { state, modality: word(&row, "modality")? }, get(&row, "version")?))
    })
    .transpose()
}

pub async fn save_state_policy(tx: &mut Tx, policy: &StatePolicy, version: i64) -> Result<()> {
    let saved = tx
        .execute(
            "setting what a state allows",
            "INSERT INTO care_state_modalities (state, modality, version) VALUES ($1, $2, $3) \
             ON CONFLICT (state) DO UPDATE SET modality = excluded.modality, \
             version = excluded.version \
             WHERE care_state_modalities.version = excluded.version - 1",
            [policy.state.to_string().into(), policy.modality.to_string().into(), version.into()],
        )
        .await?;
    expect_changed(saved.rows_affected(), "what the state allows")
}
