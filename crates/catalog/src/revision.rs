//! What an entry of the catalog said in each of its versions, field by field:
//! whoever loses a race is told what the other changed, and the audit log holds
//! the old and the new.

use std::collections::BTreeMap;

use kernel::{FieldError, Seen, Uuid};
use serde_json::{Map, Value, json};
use strum::{Display, IntoStaticStr};

use crate::{Article, CatalogError, Category, FeatureFlag, Plan};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum EntryKind {
    Category,
    Plan,
    FeatureFlag,
    Article,
}

/// One version of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    pub kind: EntryKind,
    pub entry: Uuid,
    pub version: i64,
    /// By the field's path, as the wire names it.
    pub fields: BTreeMap<String, Value>,
}

/// A field that says something else than it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    pub path: String,
    /// `null` where it was not there.
    pub old: Value,
    /// `null` where it is no longer there.
    pub new: Value,
}

impl Revision {
    fn new(kind: EntryKind, entry: Uuid, version: i64, fields: Value) -> Self {
        let mut flat = BTreeMap::new();
        flatten(&mut flat, String::new(), fields);
        Self { kind, entry, version, fields: flat }
    }

    pub fn of_category(category: &Category) -> Self {
        let configuration = &category.configuration;
        let fields = json!({
            "slug": category.slug,
            "name": category.name,
            "description": category.description,
            "active": category.active,
            "required_modality": configuration.required_modality.to_string(),
            "minimum_age": configuration.minimum_age,
            "maximum_age": configuration.maximum_age,
        });
        Self::new(EntryKind::Category, category.id.uuid(), category.version, fields)
    }

    /// The prices are those on offer; a retired one is no part of what a plan
    /// says.
    pub fn of_plan(plan: &Plan) -> Self {
        let features: Map<String, Value> = plan
            .features
            .iter()
            .map(|feature| (feature.code.to_string(), json!(feature.label)))
            .collect();
        let comparison: Map<String, Value> =
            plan.comparison.iter().map(|(label, value)| (label.clone(), json!(value))).collect();
        let prices: Map<String, Value> = plan
            .offered_prices()
            .map(|price| (price.interval.to_string(), json!(price.amount.to_string())))
            .collect();
        let treatments: Map<String, Value> = plan
            .treatments
            .iter()
            .map(|one| (format!("{} {}", one.drug, one.form), json!(one)))
            .collect();
        let fields = json!({
            "category_id": plan.category.to_string(),
            "name": plan.name,
            "description": plan.description,
            "tier": plan.tier.to_string(),
            "features": features,
            "treatments": treatments,
            "comparison": comparison,
            "active_from": plan.window.from,
            "active_until": plan.window.until,
            "active": plan.active,
            "prices": prices,
        });
        Self::new(EntryKind::Plan, plan.id.uuid(), plan.version, fields)
    }

    pub fn of_flag(flag: &FeatureFlag) -> Self {
        Self::new(EntryKind::FeatureFlag, flag.id.uuid(), flag.version, flag.said())
    }

    pub fn of_article(article: &Article) -> Self {
        let fields = json!({
            "category_id": article.category.to_string(),
            "title": article.title,
            "summary": article.summary,
            "body": article.body,
            "minimum_tier": article.minimum_tier.map(|tier| tier.to_string()),
            "published": article.published,
        });
        Self::new(EntryKind::Article, article.id.uuid(), article.version, fields)
    }

    /// What differs from an older version, by path.
    pub fn changes_since(&self, older: &Self) -> Vec<FieldChange> {
        let paths: std::collections::BTreeSet<&String> =
            self.fields.keys().chain(older.fields.keys()).collect();
        let at = |fields: &BTreeMap<String, Value>, path: &str| {
            fields.get(path).cloned().unwrap_or(Value::Null)
        };
        paths
            .into_iter()
            .map(|path| FieldChange {
                path: path.clone(),
                old: at(&older.fields, path),
                new: at(&self.fields, path),
            })
            .filter(|change| change.old != change.new)
            .collect()
    }

    pub fn as_json(&self) -> Value {
        self.fields.iter().map(|(path, value)| (path.clone(), value.clone())).collect()
    }

    /// What a caller is told whose change came too late: the version of now,
    /// and each field that has changed since the one that was read.
    pub fn lost_race(&self, seen: &Seen, read: Option<&Self>) -> CatalogError {
        let message = format!(
            "The change is meant for {seen}, and version {} is the current one; read it again.",
            self.version
        );
        let mut told = vec![FieldError::new("header.If-Match", "changed", message)];
        for change in read.map(|read| self.changes_since(read)).unwrap_or_default() {
            let message = format!("{} → {}", brief(&change.old), brief(&change.new));
            told.push(FieldError::new(change.path, "changed", message));
        }
        CatalogError::VersionMismatch(told)
    }
}

/// A value as a person reads it in a message; the whole of a long one is in the
/// entry itself.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Objects are told field by field, lists as a whole.
fn flatten(into: &mut BTreeMap<String, Value>, path: String, value: Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                flatten(into, path, value);
            }
        }
        value => {
            into.insert(path, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(version: i64, fields: Value) -> Revision {
        Revision::new(EntryKind::Plan, Uuid::nil(), version, fields)
    }

    #[test]
    fn a_long_value_is_told_by_its_beginning() {
        assert_eq!(brief(&json!("ä".repeat(9))), format!("\"{}\"", "ä".repeat(9)));
        assert_eq!(brief(&json!("ä".repeat(900))).chars().count(), 201);
    }

    #[test]
    fn the_loser_of_a_race_hears_each_field_with_its_old_and_new_value() {
        let read = revision(1, json!({ "name": "A", "prices": { "monthly": "1.00 USD" } }));
        let now = revision(
            3,
            json!({ "name": "B", "prices": { "monthly": "1.00 USD", "yearly": "9.00 USD" } }),
        );
        let CatalogError::VersionMismatch(told) = now.lost_race(&Seen::from(1), Some(&read)) else {
            panic!("another error");
        };
        let told: Vec<_> =
            told.iter().map(|field| (field.path.as_str(), field.message.as_str())).collect();
        assert_eq!(told[0].0, "header.If-Match");
        assert!(told[0].1.contains("version 3 is the current one"), "{}", told[0].1);
        assert_eq!(
            told[1..],
            [("name", "\"A\" → \"B\""), ("prices.yearly", "null → \"9.00 USD\"")]
        );
    }
}
