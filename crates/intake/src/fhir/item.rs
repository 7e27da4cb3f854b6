//! `Questionnaire.item` as other form fillers read it. What they enable has to
//! be what Salus enables: a condition has the type of the item that it looks
//! at, and a total has an expression that they can work out. Where that cannot
//! be said in FHIR, the item is shown to everybody, which asks too much and
//! never too little.

use std::collections::BTreeMap;

use kernel::{Coding, Decimal, code::system};
use serde_json::{Map, Value, json};

use super::{
    expression,
    extension::{
        CALCULATED, EXCLUSIVE, HIDDEN, ITEM_CONTROL, LEAST, LEAST_QUANTITY, MAX_SIZE, MAXIMUM,
        MIME_TYPE, MINIMUM, MOST, MOST_QUANTITY, ORDINAL, REGEX, UNIT_OPTION, nested, published,
        simple,
    },
    response,
};
use crate::{
    Behavior, Calculation, ChoiceOption, Condition, Consent, EnableWhen, Expected, FormDefinition,
    Item, ItemKind, MediaType, Operator, Subject, answer,
};

/// What is written beside the items themselves.
pub struct Writer<'a> {
    items: BTreeMap<&'a str, &'a Item>,
    /// The largest photo that is taken, in bytes.
    photo_limit: usize,
}

impl<'a> Writer<'a> {
    pub fn new(definition: &'a FormDefinition, photo_limit: usize) -> Self {
        fn below<'a>(items: &'a [Item], out: &mut BTreeMap<&'a str, &'a Item>) {
            for item in items {
                out.insert(&item.link_id, item);
                below(item.children(), out);
                below(item.row(), out);
            }
        }
        let mut items = BTreeMap::new();
        below(&definition.items, &mut items);
        Self { items, photo_limit }
    }

    pub fn write(&self, item: &Item) -> Value {
        let mut element = Map::new();
        let mut extensions = Vec::new();
        element.insert("linkId".into(), json!(item.link_id));
        element.insert("text".into(), json!(item.text));
        if let Some(code) = &item.code {
            element.insert("code".into(), json!([coding(code)]));
        }
        if item.required {
            element.insert("required".into(), json!(true));
        }
        if item.read_only {
            element.insert("readOnly".into(), json!(true));
        }
        if item.hidden {
            extensions.push(published(HIDDEN, ("valueBoolean", json!(true))));
        }
        if let Some(help) = &item.help {
            extensions.push(simple("help", ("valueString", json!(help))));
        }
        if let Some(when) = &item.enable_when {
            self.write_conditions(when, &mut element, &mut extensions);
        }
        self.write_kind(item, &mut element, &mut extensions);
        if let Some(Ok(initial)) =
            item.initial.as_ref().map(|initial| answer::read(&item.kind, initial))
        {
            let initial = response::values(item, &initial, &[]);
            if !initial.is_empty() {
                element.insert("initial".into(), initial.into());
            }
        }
        let below = if item.row().is_empty() { item.children() } else { item.row() };
        if !below.is_empty() {
            let below = below.iter().map(|item| self.write(item)).collect();
            element.insert("item".into(), below);
        }
        if !extensions.is_empty() {
            element.insert("extension".into(), extensions.into());
        }
        element.into()
    }

    fn write_conditions(
        &self,
        when: &EnableWhen,
        element: &mut Map<String, Value>,
        extensions: &mut Vec<Value>,
    ) {
        element.insert("enableBehavior".into(), json!(when.behavior.to_string()));
        let sayable: Vec<&Condition> =
            when.conditions.iter().filter(|condition| self.is_known_elsewhere(condition)).collect();
        let whole = sayable.len() == when.conditions.len();
        if !whole || sayable.iter().any(|condition| self.is_fraction_of_whole(condition)) {
            // FHIR's conditions look at answers alone, so what looks at the
            // profile is written as Salus has it, with its neighbours.
            let conditions = serde_json::to_string(&when.conditions).unwrap_or_default();
            extensions.push(simple("enable-when", ("valueString", json!(conditions))));
        }
        // Of conditions that all have to hold, some alone ask more people; of
        // those of which any is enough, some alone would ask fewer.
        if (whole || when.behavior == Behavior::All) && !sayable.is_empty() {
            let conditions = sayable.into_iter().map(|condition| self.condition(condition));
            element.insert("enableWhen".into(), conditions.collect());
        }
    }

    /// Whether another form filler has what the condition looks at.
    fn is_known_elsewhere(&self, condition: &Condition) -> bool {
        let Subject::Item(link_id) = &condition.subject else { return false };
        match self.items.get(link_id.as_str()).map(|item| &item.kind) {
            Some(ItemKind::Calculated { calculation }) => {
                !matches!(calculation, Calculation::Ascvd(_))
            }
            _ => true,
        }
    }

    /// Whether a whole number is compared with a fraction, which FHIR's integers
    /// do not say.
    fn is_fraction_of_whole(&self, condition: &Condition) -> bool {
        let Subject::Item(link_id) = &condition.subject else { return false };
        let integer = match self.items.get(link_id.as_str()).map(|item| &item.kind) {
            Some(ItemKind::Number { integer, units, .. }) => *integer && units.is_empty(),
            Some(ItemKind::Scale { .. }) => true,
            _ => false,
        };
        integer && matches!(&condition.expected, Expected::Number(value) if !value.is_whole())
    }

    /// The condition with an answer of the type that its question has.
    fn condition(&self, condition: &Condition) -> Value {
        let Subject::Item(question) = &condition.subject else { return Value::Null };
        let subject = self.items.get(question.as_str()).copied();
        let mut operator = condition.operator;
        let (kind, answer) = match (&condition.expected, subject.map(|subject| &subject.kind)) {
            (Expected::Boolean(value), _) => ("answerBoolean", json!(value)),
            (Expected::Number(value), Some(ItemKind::Number { units, .. }))
                if !units.is_empty() =>
            {
                ("answerQuantity", quantity(*value, &units[0]))
            }
            (
                Expected::Number(value),
                Some(ItemKind::Number { integer: true, .. } | ItemKind::Scale { .. }),
            ) => {
                let whole = whole_limit(operator, *value);
                operator = whole.0;
                match whole.1.to_i32() {
                    Some(value) => ("answerInteger", json!(value)),
                    None => ("answerDecimal", json!(value)),
                }
            }
            (Expected::Number(value), _) => ("answerDecimal", json!(value)),
            (Expected::Text(code), Some(kind)) => match kind {
                ItemKind::SingleChoice { options } | ItemKind::MultipleChoice { options } => {
                    let chosen = subject
                        .zip(options.iter().find(|option| option.code == *code))
                        .map(|(subject, option)| coding(&coding_of(subject, option)));
                    match chosen {
                        Some(chosen) => ("answerCoding", chosen),
                        None => ("answerString", json!(code)),
                    }
                }
                ItemKind::Date { .. } => ("answerDate", json!(code)),
                _ => ("answerString", json!(code)),
            },
            (Expected::Text(value), None) => ("answerString", json!(value)),
        };
        json!({ "question": question, "operator": operator.to_string(), kind: answer })
    }

    fn write_kind(
        &self,
        item: &Item,
        element: &mut Map<String, Value>,
        extensions: &mut Vec<Value>,
    ) {
        let mut set = |name: &str, value: Value| {
            element.insert(name.to_owned(), value);
        };
        match &item.kind {
            ItemKind::Text { max_length, pattern, repeats } => {
                set("type", json!("string"));
                set("maxLength", json!(max_length));
                if *repeats {
                    set("repeats", json!(true));
                    extensions.push(published(MOST, ("valueInteger", json!(answer::MOST_REPEATS))));
                }
                if let Some(pattern) = pattern {
                    extensions.push(published(REGEX, ("valueString", json!(pattern))));
                }
            }
            ItemKind::Number { minimum, maximum, integer, units } => {
                set("type", json!(number_type(*integer, units)));
                if *integer && !units.is_empty() {
                    extensions.push(simple("integer", ("valueBoolean", json!(true))));
                }
                extensions.extend(number_limits((minimum, maximum), *integer, units));
                for unit in units {
                    let unit = json!({ "system": system::UNITS, "code": unit, "display": unit });
                    extensions.push(published(UNIT_OPTION, ("valueCoding", unit)));
                }
            }
            ItemKind::Date { earliest, latest } => {
                set("type", json!("date"));
                for (url, limit) in [(MINIMUM, earliest), (MAXIMUM, latest)] {
                    if let Some(limit) = limit {
                        extensions.push(published(url, ("valueDate", json!(limit))));
                    }
                }
            }
            ItemKind::SingleChoice { options } => {
                set("type", json!("choice"));
                set("answerOption", options.iter().map(|each| option(item, each)).collect());
            }
            ItemKind::MultipleChoice { options } => {
                set("type", json!("choice"));
                set("repeats", json!(true));
                set("answerOption", options.iter().map(|each| option(item, each)).collect());
            }
            ItemKind::Boolean { consent } => {
                set("type", json!("boolean"));
                if let Some(Consent { document, version }) = consent {
                    extensions.push(nested(
                        "consent",
                        [
                            ("document", json!({ "valueString": document })),
                            ("version", json!({ "valueString": version })),
                        ],
                    ));
                }
            }
            ItemKind::Scale { minimum, maximum, minimum_label, maximum_label } => {
                set("type", json!("integer"));
                let slider = json!({ "coding": [{
                    "system": "http://hl7.org/fhir/questionnaire-item-control",
                    "code": "slider",
                }] });
                extensions.push(published(ITEM_CONTROL, ("valueCodeableConcept", slider)));
                extensions.push(published(MINIMUM, ("valueInteger", json!(minimum))));
                extensions.push(published(MAXIMUM, ("valueInteger", json!(maximum))));
                for (name, label) in
                    [("minimum-label", minimum_label), ("maximum-label", maximum_label)]
                {
                    if let Some(label) = label {
                        extensions.push(simple(name, ("valueString", json!(label))));
                    }
                }
            }
            ItemKind::Photo { minimum, maximum } => {
                set("type", json!("attachment"));
                if *maximum > 1 {
                    set("repeats", json!(true));
                }
                extensions.push(published(LEAST, ("valueInteger", json!(minimum))));
                extensions.push(published(MOST, ("valueInteger", json!(maximum))));
                let megabytes = Decimal::from(i64::try_from(self.photo_limit).unwrap_or(i64::MAX))
                    .checked_div(Decimal::from(1_000_000))
                    .unwrap_or_default();
                let megabytes = json!(megabytes.normalized());
                extensions.push(published(MAX_SIZE, ("valueDecimal", megabytes)));
                for media_type in MediaType::ALL {
                    let code = json!(media_type.to_string());
                    extensions.push(published(MIME_TYPE, ("valueCode", code)));
                }
            }
            ItemKind::Display => set("type", json!("display")),
            ItemKind::Group { .. } => set("type", json!("group")),
            ItemKind::RepeatingGroup { minimum, maximum, .. } => {
                set("type", json!("group"));
                set("repeats", json!(true));
                extensions.push(published(LEAST, ("valueInteger", json!(minimum))));
                extensions.push(published(MOST, ("valueInteger", json!(maximum))));
            }
            ItemKind::Calculated { calculation } => {
                set("type", json!("decimal"));
                set("readOnly", json!(true));
                let text = serde_json::to_string(calculation).unwrap_or_default();
                extensions.push(simple("calculation", ("valueString", json!(text))));
                if let Some(expression) = expression::of(calculation, &self.items) {
                    let expression =
                        json!({ "language": "text/fhirpath", "expression": expression });
                    extensions.push(published(CALCULATED, ("valueExpression", expression)));
                }
            }
        }
    }
}

pub(super) fn number_type(integer: bool, units: &[String]) -> &'static str {
    match (units.is_empty(), integer) {
        (false, _) => "quantity",
        (true, true) => "integer",
        (true, false) => "decimal",
    }
}

/// A number in a unit of measure.
pub(super) fn quantity(value: Decimal, unit: &str) -> Value {
    json!({ "value": value, "unit": unit, "system": system::UNITS, "code": unit })
}

/// The limits of a number: with their unit where it has one.
fn number_limits(
    (minimum, maximum): (&Option<Decimal>, &Option<Decimal>),
    integer: bool,
    units: &[String],
) -> Vec<Value> {
    let ends = [(minimum, MINIMUM, LEAST_QUANTITY), (maximum, MAXIMUM, MOST_QUANTITY)];
    let written = |(limit, plain, with_unit): (&Option<Decimal>, &str, &str)| {
        let limit = (*limit)?;
        Some(match (units.first(), limit.to_i32()) {
            (Some(unit), _) => published(with_unit, ("valueQuantity", quantity(limit, unit))),
            (None, Some(whole)) if integer => published(plain, ("valueInteger", json!(whole))),
            (None, _) => published(plain, ("valueDecimal", json!(limit))),
        })
    };
    ends.into_iter().filter_map(written).collect()
}

/// A comparison of whole numbers with a fraction, as one with a whole number.
fn whole_limit(operator: Operator, value: Decimal) -> (Operator, Decimal) {
    match operator {
        _ if value.is_whole() => (operator, value.trunc()),
        Operator::Greater | Operator::LessOrEqual => (operator, value.floor()),
        Operator::Less | Operator::GreaterOrEqual => (operator, value.ceil()),
        _ => (operator, value),
    }
}

pub(super) fn coding(coding: &Coding) -> Value {
    // FHIR has no empty strings.
    let parts = [("system", &coding.system), ("code", &coding.code), ("display", &coding.display)];
    let said = parts.into_iter().filter(|(_, text)| !text.is_empty());
    said.map(|(name, text)| (name.to_owned(), json!(text))).collect::<Map<_, _>>().into()
}

/// The code system of the choices of an item that have no published codes.
pub(super) fn local_system(link_id: &str) -> String {
    format!("{LOCAL}{link_id}")
}

pub(super) const LOCAL: &str = "urn:salus:form:";

/// How a choice is named to others, in the form, in conditions and in answers:
/// by its published code where it alone has it, else by the form's own.
pub(super) fn coding_of(item: &Item, option: &ChoiceOption) -> Coding {
    let meaning =
        |option: &ChoiceOption| option.coding.clone().map(|coding| (coding.system, coding.code));
    match &option.coding {
        Some(coding)
            if !coding.system.is_empty()
                && item
                    .options()
                    .iter()
                    .filter(|other| meaning(other) == meaning(option))
                    .count()
                    == 1 =>
        {
            Coding::new(&coding.system, &coding.code, &option.display)
        }
        _ => Coding::new(local_system(&item.link_id), &option.code, &option.display),
    }
}

fn option(item: &Item, option: &ChoiceOption) -> Value {
    let mut extensions = Vec::new();
    if let Some(score) = option.score {
        extensions.push(published(ORDINAL, ("valueDecimal", json!(score))));
    }
    if option.exclusive {
        extensions.push(published(EXCLUSIVE, ("valueBoolean", json!(true))));
    }
    if option.flag {
        extensions.push(simple("flag", ("valueBoolean", json!(true))));
    }
    let named = coding_of(item, option);
    if named.code != option.code {
        extensions.push(simple("option-code", ("valueString", json!(option.code))));
    }
    if option.coding.as_ref().is_some_and(|coding| *coding != named) {
        let code = option.coding.as_ref().map(coding);
        extensions.push(simple("coding", ("valueCoding", json!(code))));
    }
    let mut element = json!({ "valueCoding": coding(&named) });
    if !extensions.is_empty() {
        element["extension"] = extensions.into();
    }
    element
}
