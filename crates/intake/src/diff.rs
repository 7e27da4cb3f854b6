//! What two versions of a form have otherwise.

use std::collections::BTreeMap;

use kernel::{Decimal, Word};
use serde_json::{Map, Value};

use crate::{FormDefinition, Item};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Word)]
pub enum ChangeKind {
    Added,
    Removed,
    Changed,
    /// It stands in another group or in another order among its neighbours.
    Moved,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemChange {
    /// Empty for the form itself.
    pub link_id: String,
    pub kind: ChangeKind,
    /// What of it is otherwise, as in `text` or `kind.options`.
    pub fields: Vec<String>,
}

/// The changes from one definition to another, by the order of the new one;
/// what was removed comes last.
pub fn diff(old: &FormDefinition, new: &FormDefinition) -> Vec<ItemChange> {
    let mut changes = Vec::new();
    let own = |definition: &FormDefinition| {
        let mut document = document(definition);
        document.remove("items");
        document
    };
    let fields = differing(&own(old), &own(new), "");
    if !fields.is_empty() {
        changes.push(ItemChange { link_id: String::new(), kind: ChangeKind::Changed, fields });
    }
    let (before, after) = (places(old), places(new));
    for (item, _) in new.walk() {
        let Some((was, place)) = before.get(item.link_id.as_str()) else {
            changes.push(change(&item.link_id, ChangeKind::Added, Vec::new()));
            continue;
        };
        let fields = differing(&content(was), &content(item), "");
        if !fields.is_empty() {
            changes.push(change(&item.link_id, ChangeKind::Changed, fields));
        }
        if after[item.link_id.as_str()].1 != *place {
            changes.push(change(&item.link_id, ChangeKind::Moved, Vec::new()));
        }
    }
    for (item, _) in old.walk() {
        if !after.contains_key(item.link_id.as_str()) {
            changes.push(change(&item.link_id, ChangeKind::Removed, Vec::new()));
        }
    }
    changes
}

fn change(link_id: &str, kind: ChangeKind, fields: Vec<String>) -> ItemChange {
    ItemChange { link_id: link_id.to_owned(), kind, fields }
}

/// Each item with its parent and the neighbour before it that both versions
/// may share.
type Places<'a> = BTreeMap<&'a str, (&'a Item, (Option<&'a str>, Option<&'a str>))>;

fn places(definition: &FormDefinition) -> Places<'_> {
    let mut places = Places::new();
    let mut last: BTreeMap<Option<&str>, &str> = BTreeMap::new();
    for (item, parent) in definition.walk() {
        let parent = parent.map(|parent| parent.link_id.as_str());
        let before = last.insert(parent, &item.link_id);
        places.insert(&item.link_id, (item, (parent, before)));
    }
    places
}

/// The item without what is below it.
fn content(item: &Item) -> Map<String, Value> {
    let mut document = document(item);
    document.remove("items");
    if let Some(Value::Object(kind)) = document.get_mut("kind") {
        kind.remove("items");
    }
    document
}

fn document(value: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(value).map(plain) {
        Ok(Value::Object(document)) => document,
        _ => Map::new(),
    }
}

/// A limit of 30.0 is no other than one of 30.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(number) => match Decimal::try_from(&number) {
            Ok(decimal) => Value::Number(decimal.normalized().to_number()),
            Err(_) => Value::Number(number),
        },
        Value::Array(values) => values.into_iter().map(plain).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name, plain(value))).collect()
        }
        other => other,
    }
}

fn differing(old: &Map<String, Value>, new: &Map<String, Value>, prefix: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        match (old.get(name), new.get(name)) {
            (Some(Value::Object(old)), Some(Value::Object(new))) if name == "kind" => {
                fields.extend(differing(old, new, "kind."));
            }
            (old, new) if old != new => fields.push(format!("{prefix}{name}")),
            _ => {}
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ItemKind;

    fn item(link_id: &str, kind: ItemKind) -> Item {
        Item::new(link_id, link_id, kind)
    }

    fn text(link_id: &str) -> Item {
        item(link_id, ItemKind::Text { max_length: 10, pattern: None, repeats: false })
    }

    fn form(items: Vec<Item>) -> FormDefinition {
        FormDefinition { title: "Form".into(), description: None, items, rules: vec![] }
    }

    #[test]
    fn a_form_does_not_differ_from_itself() {
        let same = form(vec![text("a"), item("g", ItemKind::Group { items: vec![text("b")] })]);
        assert_eq!(diff(&same, &same), []);
        let limited = |limit: &str| {
            let minimum = Some(limit.parse().unwrap());
            let kind = ItemKind::Number { minimum, maximum: None, integer: false, units: vec![] };
            form(vec![item("n", kind)])
        };
        assert_eq!(diff(&limited("30.0"), &limited("30")), []);
    }

    #[test]
    fn every_change_is_told_by_its_item_and_field() {
        let old = form(vec![text("a"), text("b"), text("c"), text("d")]);
        let mut longer = text("b");
        longer.kind = ItemKind::Text { max_length: 20, pattern: None, repeats: false };
        longer.required = true;
        let group = item("g", ItemKind::Group { items: vec![text("c")] });
        let mut new = form(vec![text("a"), longer, group]);
        new.title = "Another".into();
        let told: Vec<(String, String, String)> = diff(&old, &new)
            .into_iter()
            .map(|change| (change.link_id, change.kind.to_string(), change.fields.join(" ")))
            .collect();
        let told: Vec<(&str, &str, &str)> =
            told.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
        assert_eq!(
            told,
            [
                ("", "changed", "title"),
                ("b", "changed", "kind.max_length required"),
                ("g", "added", ""),
                ("c", "moved", ""),
                ("d", "removed", ""),
            ]
        );
    }
}
