//! The trail as a CSV file.

use chrono::SecondsFormat;
use kernel::{Actor, Permission};
use ports::{AuditAction, PortError};

use crate::{
    AuditStore, ComplianceError, RecordedEntry, TrailFilter,
    trail::{Order, begin_permitted},
};

/// The most entries of one export; with more, the time is to be narrowed.
pub const MAX_ENTRIES: usize = 200_000;

const STRIDE: u64 = 2_000;

pub const HEADER: [&str; 15] = [
    "number",
    "id",
    "occurred_at",
    "actor_kind",
    "actor",
    "roles",
    "action",
    "entity",
    "entity_id",
    "patient",
    "outcome",
    "request",
    "ip",
    "user_agent",
    "detail",
];

/// By which Excel reads the file as UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    pub csv: Vec<u8>,
    pub entries: usize,
}

/// Exports what matches, oldest first. The export is itself recorded.
pub async fn export_trail(
    store: &dyn AuditStore,
    actor: &Actor,
    filter: &TrailFilter,
) -> Result<Export, ComplianceError> {
    let mut tx =
        begin_permitted(store, actor, Permission::AuditExport, filter, AuditAction::Export).await?;
    filter.check()?;
    let mut writer = csv::Writer::from_writer(BYTE_ORDER_MARK.to_vec());
    let failed = |error: csv::Error| PortError::internal("writing the export", error);
    writer.write_record(HEADER).map_err(failed)?;
    let mut after = None;
    let mut count = 0;
    loop {
        let entries = tx.entries(filter, Order::OldestFirst, after, STRIDE).await?;
        let Some(last) = entries.last() else { break };
        after = Some(last.seq);
        count += entries.len();
        if count > MAX_ENTRIES {
            return Err(ComplianceError::ExportTooLarge(MAX_ENTRIES));
        }
        for entry in &entries {
            writer.write_record(row(entry)).map_err(failed)?;
        }
    }
    let csv = writer
        .into_inner()
        .map_err(|error| PortError::internal("writing the export", error.into_error()))?;
    tx.audit(filter.entry(AuditAction::Export).detail("returned", count));
    tx.commit().await?;
    Ok(Export { csv, entries: count })
}

fn row(entry: &RecordedEntry) -> [String; 15] {
    [
        entry.seq.to_string(),
        entry.id.to_string(),
        entry.occurred_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        entry.actor_kind.clone(),
        entry.actor.clone().unwrap_or_default(),
        entry.roles.join(" "),
        entry.action.clone(),
        entry.entity.clone(),
        entry.entity_id.clone(),
        entry.patient.map(|id| id.to_string()).unwrap_or_default(),
        entry.outcome.clone(),
        entry.request.map(|id| id.to_string()).unwrap_or_default(),
        entry.ip.clone().unwrap_or_default(),
        entry.user_agent.clone().unwrap_or_default(),
        entry.detail.to_string(),
    ]
    .map(inert)
}

/// A cell that a spreadsheet will not run as a formula: user agents and ids
/// come from strangers.
fn inert(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::entry;

    #[test]
    fn a_formula_is_made_inert_and_quotes_survive() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"] {
            assert_eq!(inert(formula.to_owned()), format!("'{formula}"));
        }
        let mut odd = entry(3);
        odd.user_agent = Some("=cmd|' /C calc'!A0, \"x\"\ny".into());
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(HEADER).unwrap();
        writer.write_record(row(&odd)).unwrap();
        let bytes = writer.into_inner().unwrap();
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        assert_eq!(reader.headers().unwrap(), HEADER.as_slice());
        let record = reader.records().next().unwrap().unwrap();
        assert_eq!(&record[13], "'=cmd|' /C calc'!A0, \"x\"\ny");
        assert_eq!(&record[2], "2026-02-02T02:40:00.000003Z");
    }
}
