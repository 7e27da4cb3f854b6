//! Calculations as FHIRPath, for form fillers that know nothing of Salus'
//! instruments. The scores stand in the expression itself, so that a filler
//! needs no more than the language.

use std::collections::BTreeMap;

use crate::{Calculation, Item, ItemKind, units::ratio};

use super::item::coding_of;

/// `None` where it takes what a questionnaire does not hold, as the patient's
/// age and sex.
pub fn of(calculation: &Calculation, items: &BTreeMap<&str, &Item>) -> Option<String> {
    match calculation {
        Calculation::Sum { of, .. } => sum(of, items),
        Calculation::AuditC { of } => sum(of, items),
        Calculation::BodyMassIndex { height, weight, .. } => {
            let height = measured(items.get(height.as_str())?, "m")?;
            let weight = measured(items.get(weight.as_str())?, "kg")?;
            Some(format!("({weight} / ({height} * {height})).round(1)"))
        }
        Calculation::Ascvd(_) => None,
    }
}

/// A text of FHIRPath.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The answers of the items with these names.
fn answers<'a>(link_ids: impl IntoIterator<Item = &'a str>) -> String {
    let named: Vec<String> =
        link_ids.into_iter().map(|link_id| format!("linkId = {}", quoted(link_id))).collect();
    format!("%resource.descendants().where({}).answer.value", named.join(" or "))
}

/// There is no sum while any of its items is without an answer.
fn sum(of: &[String], items: &BTreeMap<&str, &Item>) -> Option<String> {
    // Items with the same choices are added up together.
    let mut alike: BTreeMap<Vec<(String, i32)>, Vec<&str>> = BTreeMap::new();
    for link_id in of {
        let item = items.get(link_id.as_str())?;
        let points = match &item.kind {
            ItemKind::SingleChoice { options } => options
                .iter()
                .map(|option| Some((coding_of(item, option).code, option.score?)))
                .collect::<Option<Vec<_>>>()?,
            ItemKind::Scale { .. } => Vec::new(),
            _ => return None,
        };
        alike.entry(points).or_default().push(link_id);
    }
    let parts: Vec<String> = alike
        .into_iter()
        .map(|(points, link_ids)| {
            let answers = answers(link_ids);
            if points.is_empty() {
                return format!("{answers}.sum()");
            }
            let points = points.into_iter().rev().fold("0".to_owned(), |rest, (code, score)| {
                format!("iif($this = {}, {score}, {rest})", quoted(&code))
            });
            format!("{answers}.code.select({points}).sum()")
        })
        .collect();
    let all = answers(of.iter().map(String::as_str));
    Some(format!("iif({all}.count() = {}, {})", of.len(), parts.join(" + ")))
}

/// The answer of a question in this unit.
fn measured(item: &Item, unit: &str) -> Option<String> {
    let ItemKind::Number { units, .. } = &item.kind else { return None };
    let mut value = None;
    for given in units.iter().rev() {
        let (factor, base) = ratio(given, unit)?;
        let factor = factor.checked_div(base)?.normalized();
        let here = format!("value * {factor}");
        value = Some(match value {
            None => here,
            Some(rest) => format!("iif(code = {}, {here}, {rest})", quoted(given)),
        });
    }
    Some(format!("{}.select({})", answers([item.link_id.as_str()]), value?))
}
