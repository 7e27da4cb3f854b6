//! Protocols, dose limits and what the states allow.

use care::{DoseLimit, Modality, Protocol, Treatment, dosing::DosingRule};
use kernel::{CategoryId, RxNorm, UsState};
use ports::{PortError, Result};
use sea_orm::QueryResult;

use super::{get, one, word};
use crate::core::{PgTx, expect_changed};

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

pub async fn protocol(tx: &mut PgTx, category: CategoryId) -> Result<Option<Protocol>> {
    let row = one(
        tx,
        "reading a protocol",
        "SELECT treatment FROM care_protocols WHERE category_id = $1",
        vec![category.uuid().into()],
    )
    .await?;
    row.map(|row| Ok(Protocol { category, treatment: document::<Treatment>(&row, "treatment")? }))
        .transpose()
}

pub async fn save_protocol(tx: &mut PgTx, protocol: &Protocol) -> Result<()> {
    let treatment = value("a protocol", &protocol.treatment)?;
    tx.execute(
        "saving a protocol",
        "INSERT INTO care_protocols (category_id, treatment) VALUES ($1, $2) \
         ON CONFLICT (category_id) DO UPDATE SET treatment = excluded.treatment",
        [protocol.category.uuid().into(), treatment],
    )
    .await?;
    Ok(())
}

pub async fn dose_limit(tx: &mut PgTx, drug: &RxNorm) -> Result<Option<DoseLimit>> {
    let row = one(
        tx,
        "reading a dose limit",
        "SELECT display, max_single, max_daily, unit, reference FROM care_dose_limits \
         WHERE rxnorm = $1",
        vec![drug.as_str().into()],
    )
    .await?;
    row.map(|row| {
        Ok(DoseLimit {
            rxnorm: drug.clone(),
            display: get(&row, "display")?,
            max_single: get(&row, "max_single")?,
            max_daily: get(&row, "max_daily")?,
            unit: get(&row, "unit")?,
            reference: get(&row, "reference")?,
        })
    })
    .transpose()
}

pub async fn save_dose_limit(tx: &mut PgTx, limit: &DoseLimit) -> Result<()> {
    tx.execute(
        "saving a dose limit",
        "INSERT INTO care_dose_limits (rxnorm, display, max_single, max_daily, unit, reference) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (rxnorm) DO UPDATE SET display = excluded.display, \
         max_single = excluded.max_single, max_daily = excluded.max_daily, \
         unit = excluded.unit, reference = excluded.reference",
        [
            limit.rxnorm.as_str().into(),
            limit.display.clone().into(),
            limit.max_single.into(),
            limit.max_daily.into(),
            limit.unit.clone().into(),
            limit.reference.clone().into(),
        ],
    )
    .await?;
    Ok(())
}

pub async fn dosing_rule(tx: &mut PgTx, drug: &RxNorm) -> Result<Option<(DosingRule, i64)>> {
    let row = one(
        tx,
        "reading a dosing rule",
        "SELECT rule, version FROM care_dosing_rules WHERE rxnorm = $1",
        vec![drug.as_str().into()],
    )
    .await?;
    row.map(|row| Ok((document::<DosingRule>(&row, "rule")?, get(&row, "version")?))).transpose()
}

pub async fn save_dosing_rule(tx: &mut PgTx, rule: &DosingRule, version: i64) -> Result<()> {
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

pub async fn auto_approval(tx: &mut PgTx, state: UsState, drug: &RxNorm) -> Result<bool> {
    let row = one(
        tx,
        "reading the allowlist",
        "SELECT 1 AS found FROM care_auto_approvals WHERE state = $1 AND rxnorm = $2",
        vec![state.to_string().into(), drug.as_str().into()],
    )
    .await?;
    Ok(row.is_some())
}

pub async fn allow_auto_approval(tx: &mut PgTx, state: UsState, drug: &RxNorm) -> Result<()> {
    tx.execute(
        "extending the allowlist",
        "INSERT INTO care_auto_approvals (state, rxnorm) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        [state.to_string().into(), drug.as_str().into()],
    )
    .await?;
    Ok(())
}

pub async fn modality(tx: &mut PgTx, state: UsState) -> Result<Modality> {
    let row = one(
        tx,
        "reading a state's modality",
        "SELECT modality FROM care_state_modalities WHERE state = $1",
        vec![state.to_string().into()],
    )
    .await?;
    row.map_or(Ok(Modality::Video), |row| word(&row, "modality"))
}

pub async fn set_modality(tx: &mut PgTx, state: UsState, modality: Modality) -> Result<()> {
    tx.execute(
        "setting a state's modality",
        "INSERT INTO care_state_modalities (state, modality) VALUES ($1, $2) \
         ON CONFLICT (state) DO UPDATE SET modality = excluded.modality",
        [state.to_string().into(), modality.to_string().into()],
    )
    .await?;
    Ok(())
}
