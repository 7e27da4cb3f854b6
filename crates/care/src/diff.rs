//! What differs between two versions of a treatment, field by field.

use serde::Serialize;
use serde_json::Value;

use crate::Treatment;

/// One field that two versions disagree on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    /// The field's JSON path, as in `dose.value` or `steps[1].days`.
    pub path: String,
    /// `None` where the field was not there before.
    pub before: Option<Value>,
    /// `None` where the field is no longer there.
    pub after: Option<Value>,
}

/// The fields that differ, in the order of their paths. It is empty exactly
/// when the two are the same.
pub fn changes(before: &Treatment, after: &Treatment) -> Vec<FieldChange> {
    between(before, after)
}

/// The same of anything that is written as JSON.
pub fn between<T: Serialize>(before: &T, after: &T) -> Vec<FieldChange> {
    let (before, after) = (plain(before), plain(after));
    let mut found = Vec::new();
    compare("", Some(&before), Some(&after), &mut found);
    found
}

fn plain(document: &impl Serialize) -> Value {
    // What is compared has nothing in it that JSON cannot write.
    serde_json::to_value(document).unwrap_or(Value::Null)
}

fn compare(
    path: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<FieldChange>,
) {
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            let mut keys: Vec<&String> = old.keys().chain(added).collect();
            keys.sort();
            for key in keys {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&below, old.get(key), new.get(key), found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for index in 0..old.len().max(new.len()) {
                compare(&format!("{path}[{index}]"), old.get(index), new.get(index), found);
            }
        }
        (old, new) if old != new => found.push(FieldChange {
            path: path.to_owned(),
            before: old.cloned(),
            after: new.cloned(),
        }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::treatment::tests::any_treatment;

    /// Puts what a change says back into its place.
    fn apply(to: &mut Value, change: &FieldChange) {
        let pointer = format!("/{}", change.path.replace(['.', '['], "/").replace(']', ""));
        if let Some(after) = &change.after
            && let Some(place) = to.pointer_mut(&pointer)
        {
            *place = after.clone();
        }
    }

    proptest! {
        /// The changes are exactly what leads from one version to the other.
        #[test]
        fn the_changes_lead_from_one_version_to_the_other(
            before in any_treatment(), after in any_treatment()
        ) {
            let found = changes(&before, &after);
            prop_assert_eq!(found.is_empty(), before == after);
            let mut moved = plain(&before);
            for change in &found {
                prop_assert_ne!(&change.before, &change.after);
                apply(&mut moved, change);
            }
            prop_assert_eq!(moved, plain(&after));
            let back: Vec<_> = changes(&after, &before);
            let turned: Vec<_> = found
                .into_iter()
                .map(|change| FieldChange { before: change.after, after: change.before, ..change })
                .collect();
            prop_assert_eq!(back, turned);
        }
    }

    #[test]
    fn what_comes_and_goes_is_told_by_index() {
        let mut found = Vec::new();
        let (old, new) = (json!({ "steps": [1, 2] }), json!({ "steps": [1, 3, 4], "note": "x" }));
        compare("", Some(&old), Some(&new), &mut found);
        let told: Vec<_> = found
            .iter()
            .map(|change| (change.path.as_str(), change.before.clone(), change.after.clone()))
            .collect();
        assert_eq!(
            told,
            [
                ("note", None, Some(json!("x"))),
                ("steps[1]", Some(json!(2)), Some(json!(3))),
                ("steps[2]", None, Some(json!(4))),
            ]
        );
    }
}
