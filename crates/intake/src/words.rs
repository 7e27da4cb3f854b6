//! The words of a form, each held against the rule for its kind of text, so
//! that a draft that was imported keeps nothing that one from an editor could
//! not.

use kernel::{
    FieldError, TextKind,
    text::{FormDescription, FormLabel, FormText, FormTitle, kept},
};

use crate::{Expected, FormDefinition, Item, ItemKind};

/// Everything that a form says and cannot be kept, by its path. A draft may
/// still lack words.
pub(crate) fn check_words(definition: &FormDefinition) -> Vec<FieldError> {
    let mut errors = Vec::new();
    FormTitle::check(&mut errors, "definition.title", &definition.title);
    if let Some(description) = &definition.description {
        FormDescription::check(&mut errors, "definition.description", description);
    }
    check_items(&definition.items, &mut errors);
    for rule in &definition.rules {
        let path = format!("definition.rules.{}", rule.left);
        FormText::check(&mut errors, &path, &rule.message);
    }
    errors
}

fn check_items(items: &[Item], errors: &mut Vec<FieldError>) {
    for item in items {
        check_item(item, errors);
        check_items(item.children(), errors);
        check_items(item.row(), errors);
    }
}

fn check_item(item: &Item, errors: &mut Vec<FieldError>) {
    let path = |field: &str| format!("definition.items.{}.{field}", item.link_id);
    FormText::check(errors, &path("text"), &item.text);
    if let Some(help) = &item.help {
        FormText::check(errors, &path("help"), help);
    }
    if let Some(code) = &item.code {
        FormLabel::check(errors, &path("code"), &code.code);
        FormLabel::check(errors, &path("code"), &code.display);
        FormLabel::check(errors, &path("code"), &code.system);
    }
    // Answers are stored in NFC and trimmed. A condition or a pattern that is not
    // could never match one.
    let conditions = item.enable_when.iter().flat_map(|when| &when.conditions);
    for condition in conditions {
        if let Expected::Text(text) = &condition.expected {
            as_kept(errors, &path("enable_when"), text);
        }
    }
    if let ItemKind::Text { pattern: Some(pattern), .. } = &item.kind {
        as_kept(errors, &path("pattern"), pattern);
    }
    let mut label = |field: &str, text: &str| FormLabel::check(errors, &path(field), text);
    match &item.kind {
        ItemKind::SingleChoice { options } | ItemKind::MultipleChoice { options } => {
            for option in options {
                label("options", &option.code);
                label("options", &option.display);
                if let Some(coding) = &option.coding {
                    label("options", &coding.system);
                    label("options", &coding.code);
                    label("options", &coding.display);
                }
            }
        }
        ItemKind::Scale { minimum_label, maximum_label, .. } => {
            label("minimum_label", minimum_label.as_deref().unwrap_or_default());
            label("maximum_label", maximum_label.as_deref().unwrap_or_default());
        }
        ItemKind::Boolean { consent: Some(consent) } => {
            label("consent.document", &consent.document);
            label("consent.version", &consent.version);
        }
        _ => {}
    }
}

/// Refuses a text that no stored answer can equal.
fn as_kept(errors: &mut Vec<FieldError>, path: &str, text: &str) {
    FormLabel::check(errors, path, text);
    if kept(text) != text {
        let message =
            "No answer matches this: answers are stored in NFC, without white space at the ends.";
        errors.push(FieldError::new(path, "not_normalized", message));
    }
}
