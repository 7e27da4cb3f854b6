//! Reading a Questionnaire that others may have written. What changes who is
//! asked what, or what an answer may be, is carried over or refused by its
//! place; what only describes or decorates is left out and named. A modifier
//! extension that is not known is never ignored, as FHIR demands.

use std::{cmp::Ordering, collections::BTreeMap};

use kernel::{Coding, Decimal, FieldError};
use serde_json::{Map, Value, json};

use super::{
    Unreadable,
    extension::{
        CALCULATED, EXCLUSIVE, HIDDEN, ITEM_CONTROL, LEAST, LEAST_QUANTITY, MAX_SIZE, MAXIMUM,
        MIME_TYPE, MINIMUM, MOST, MOST_QUANTITY, REGEX, UNIT, UNIT_OPTION, WEIGHTS, own, part,
        with_url,
    },
    item::LOCAL,
    known::{CONDITION, INITIAL, ITEM, OPTION, QUESTIONNAIRE},
    parts::{
        Read, count, expected, flag, is_answer_of, is_slider, join, number, number_limit, numbered,
        occurrences, read_coding, read_consent, score, text, units, yes,
    },
    response::raw_of,
};
use crate::{
    Behavior, ChoiceOption, Condition, CrossRule, EnableWhen, FormDefinition, Item, ItemKind,
    MediaType, Operator, Subject, answer::MOST_REPEATS, check::MOST_PHOTOS,
};

/// How often a group of another author repeats that does not say it.
const MOST_ROWS: u32 = 20;
/// How long a text of another author is that does not say it.
const TEXT_LENGTH: u32 = 2_000;

/// A definition that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    pub definition: FormDefinition,
    /// What was left out of it, and what it does not say and was assumed, by its
    /// place.
    pub warnings: Vec<FieldError>,
}

/// Reads a definition from a Questionnaire, where a photo has at most so many
/// bytes. Whether the form makes sense is for its publication to say.
pub fn to_definition(resource: &Value, photo_limit: usize) -> Read<Imported> {
    if resource["resourceType"] != "Questionnaire" {
        return Err(Unreadable::new("resourceType", "This is no Questionnaire."));
    }
    refuse_modifiers(resource, "")?;
    let mut reader = Reader { items: BTreeMap::new(), photo_limit, warnings: Vec::new() };
    reader.index(resource);
    reader.elements(resource, "", &QUESTIONNAIRE)?;
    reader.extensions(resource, "", &[], &["rule"])?;
    let subjects = resource["subjectType"].as_array();
    if subjects.is_some_and(|subjects| !subjects.iter().any(|subject| subject == "Patient")) {
        return Err(Unreadable::new("subjectType", "A form is about a patient."));
    }
    match resource["status"].as_str() {
        None | Some("draft" | "active" | "unknown") => {}
        // The import is a draft, which is not in use until it is published.
        Some("retired") => {
            reader.left_out("status".into(), "The form was retired; its import is a draft.");
        }
        Some(_) => return Err(Unreadable::new("status", "The status is not known.")),
    }
    let title = text(resource, "title", "")?
        .or(text(resource, "name", "")?)
        .ok_or_else(|| Unreadable::new("title", "A form has a title."))?;
    let rules = own(resource, "rule").map(read_rule).collect::<Read<_>>()?;
    let definition = FormDefinition {
        title,
        description: text(resource, "description", "")?,
        items: reader.items_of(resource, "")?,
        rules,
    };
    Ok(Imported { definition, warnings: reader.warnings })
}

/// Whoever does not understand a modifier extension must not use what it
/// modifies.
fn refuse_modifiers(value: &Value, path: &str) -> Read<()> {
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                let here = join(path, name);
                let modifies = name == "modifierExtension" && *inner != json!([]);
                if modifies || name == "implicitRules" {
                    return Err(Unreadable::new(here, "This modifier is not understood."));
                }
                refuse_modifiers(inner, &here)?;
            }
            Ok(())
        }
        Value::Array(values) => values
            .iter()
            .enumerate()
            .try_for_each(|(index, inner)| refuse_modifiers(inner, &format!("{path}[{index}]"))),
        _ => Ok(()),
    }
}

fn read_rule(extension: &Value) -> Read<CrossRule> {
    let text = |name: &str, value: &str| {
        part(extension, name)
            .and_then(|part| part[value].as_str())
            .map(str::to_owned)
            .ok_or_else(|| Unreadable::new("extension", format!("The rule has no {name}.")))
    };
    Ok(CrossRule {
        left: text("left", "valueString")?,
        operator: text("operator", "valueCode")?
            .parse()
            .map_err(|_| Unreadable::new("extension", "The rule has no known operator."))?,
        right: text("right", "valueString")?,
        message: text("message", "valueString")?,
    })
}

pub(super) struct Reader<'a> {
    /// Every item, for the conditions that look at it.
    items: BTreeMap<&'a str, &'a Value>,
    /// The largest photo that is taken, in bytes.
    photo_limit: usize,
    warnings: Vec<FieldError>,
}

impl<'a> Reader<'a> {
    fn index(&mut self, parent: &'a Value) {
        for element in parent["item"].as_array().into_iter().flatten() {
            if let Some(link_id) = element["linkId"].as_str() {
                self.items.entry(link_id).or_insert(element);
            }
            self.index(element);
        }
    }

    pub(super) fn left_out(&mut self, path: String, message: &str) {
        self.warnings.push(FieldError::new(path, "left_out", message));
    }

    /// The form sets an end that the Questionnaire does not.
    fn assumed(&mut self, path: String, message: String) {
        self.warnings.push(FieldError::new(path, "assumed", message));
    }

    fn items_of(&mut self, parent: &Value, path: &str) -> Read<Vec<Item>> {
        let items = parent["item"].as_array().into_iter().flatten().enumerate();
        items
            .map(|(index, element)| self.item(element, &join(path, &format!("item[{index}]"))))
            .collect()
    }

    fn item(&mut self, element: &Value, path: &str) -> Read<Item> {
        self.elements(element, path, &ITEM)?;
        let wrong = |field: &str, message: &str| Unreadable::new(join(path, field), message);
        let link_id =
            text(element, "linkId", path)?.ok_or_else(|| wrong("linkId", "It is needed."))?;
        let mut item = Item::new(
            link_id,
            text(element, "text", path)?.unwrap_or_default(),
            self.kind(element, path)?,
        );
        self.kind_extensions(element, &item.kind, path)?;
        let calculated = matches!(item.kind, ItemKind::Calculated { .. });
        item.help =
            own(element, "help").find_map(|help| help["valueString"].as_str().map(str::to_owned));
        item.code = self.code(element, path)?;
        item.required = flag(element, "required", path)?;
        item.read_only = flag(element, "readOnly", path)? && !calculated;
        item.hidden = yes(with_url(element, HIDDEN).next());
        item.enable_when = self.enable_when(element, path)?;
        let below = self.items_of(element, path)?;
        let several = item.takes_several();
        match &mut item.kind {
            ItemKind::Group { items } | ItemKind::RepeatingGroup { items, .. } => *items = below,
            ItemKind::Display | ItemKind::Calculated { .. } if !below.is_empty() => {
                return Err(wrong("item", "Nothing is asked below what is not answered."));
            }
            _ if !below.is_empty() && several => {
                let message = "Questions below one that takes several answers are not supported.";
                return Err(wrong("item", message));
            }
            _ => item.items = below,
        }
        item.initial = self.initial(element, &item, path)?;
        if matches!(item.kind, ItemKind::Group { .. } | ItemKind::RepeatingGroup { .. })
            && item.read_only
        {
            return Err(wrong("readOnly", "A group as a whole cannot be read-only."));
        }
        Ok(item)
    }

    fn code(&mut self, element: &Value, path: &str) -> Read<Option<Coding>> {
        let codes = element["code"].as_array().into_iter().flatten().enumerate();
        let mut first = None;
        for (index, code) in codes {
            let here = join(path, &format!("code[{index}]"));
            match (index, read_coding(code)) {
                (0, Some(code)) => first = Some(code),
                (0, None) => return Err(Unreadable::new(here, "A code has a code.")),
                _ => self.left_out(here, "A question has one code; this one is left out."),
            }
        }
        Ok(first)
    }

    fn enable_when(&mut self, element: &Value, path: &str) -> Read<Option<EnableWhen>> {
        let wrong = |field: &str, message: &str| Unreadable::new(join(path, field), message);
        let listed = element["enableWhen"].as_array().map_or(0, Vec::len);
        let whole = own(element, "enable-when").next();
        let behavior = match (element["enableBehavior"].as_str(), &element["enableBehavior"]) {
            (Some("all"), _) => Behavior::All,
            (Some("any"), _) => Behavior::Any,
            (None, Value::Null) if whole.is_none() && listed > 1 => {
                let message = "Of several conditions it has to be said whether all or any count.";
                return Err(wrong("enableBehavior", message));
            }
            (None, Value::Null) => Behavior::All,
            _ => return Err(wrong("enableBehavior", "It is all or any.")),
        };
        let conditions: Vec<Condition> = match whole {
            Some(extension) => extension["valueString"]
                .as_str()
                .and_then(|text| serde_json::from_str(text).ok())
                .ok_or_else(|| wrong("extension", "The conditions do not read."))?,
            None => element["enableWhen"]
                .as_array()
                .into_iter()
                .flatten()
                .enumerate()
                .map(|(index, condition)| {
                    self.condition(condition, &join(path, &format!("enableWhen[{index}]")))
                })
                .collect::<Read<_>>()?,
        };
        Ok((!conditions.is_empty()).then_some(EnableWhen { behavior, conditions }))
    }

    fn condition(&mut self, element: &Value, path: &str) -> Read<Condition> {
        self.elements(element, path, &CONDITION)?;
        let wrong = |field: &str, message: &str| Unreadable::new(join(path, field), message);
        let operator: Operator = element["operator"]
            .as_str()
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| wrong("operator", "The operator is not known."))?;
        let question = element["question"]
            .as_str()
            .ok_or_else(|| wrong("question", "A condition looks at a question."))?;
        let members = element.as_object().into_iter().flatten();
        let answers: Vec<_> = members.filter(|(name, _)| name.starts_with("answer")).collect();
        let [(name, value)] = answers.as_slice() else {
            return Err(wrong("answer", "A condition has one answer."));
        };
        let subject = self.subject(question);
        let expected =
            expected(name, value, subject.as_ref()).map_err(|message| wrong(name, message))?;
        Ok(Condition { subject: Subject::Item(question.to_owned()), operator, expected })
    }

    /// The question that a condition looks at, as far as it is one; what is
    /// wrong with it is told in its own place.
    fn subject(&self, link_id: &str) -> Option<Item> {
        let element = self.items.get(link_id)?;
        if element["type"] == "group" {
            return None;
        }
        let photo_limit = self.photo_limit;
        let mut apart = Reader { items: BTreeMap::new(), photo_limit, warnings: Vec::new() };
        apart.elements(element, "", &ITEM).ok()?;
        Some(Item::new(link_id, "", apart.kind(element, "").ok()?))
    }

    fn initial(&mut self, element: &Value, item: &Item, path: &str) -> Read<Option<Value>> {
        for (index, value) in element["initial"].as_array().into_iter().flatten().enumerate() {
            let here = join(path, &format!("initial[{index}]"));
            self.elements(value, &here, &INITIAL)?;
            let members = value.as_object().into_iter().flat_map(Map::keys);
            let given: Vec<&String> = members.filter(|name| name.starts_with("value")).collect();
            match given.as_slice() {
                [name] if is_answer_of(&item.kind, name) => {}
                [name] => {
                    let message = "The question has no answers of this type.";
                    return Err(Unreadable::new(join(&here, name), message));
                }
                _ => return Err(Unreadable::new(here, "An initial answer has one value.")),
            }
        }
        let mut values: Vec<Value> = Vec::new();
        let selected = element["answerOption"].as_array().into_iter().flatten();
        values.extend(
            selected
                .filter(|option| option["initialSelected"] == true)
                .map(|option| json!({ "valueCoding": option["valueCoding"] })),
        );
        values.extend(element["initial"].as_array().into_iter().flatten().cloned());
        if values.is_empty() {
            return Ok(None);
        }
        let values: Vec<&Value> = values.iter().collect();
        let read = match item.is_answerable() {
            true => raw_of(item, &values).map(Some),
            false => Err("This item takes no answer."),
        };
        read.map_err(|message| Unreadable::new(join(path, "initial"), message))
    }

    /// The kind of an item, a group's without what is in it.
    fn kind(&mut self, element: &Value, path: &str) -> Read<ItemKind> {
        let wrong = |field: &str, message: &str| Unreadable::new(join(path, field), message);
        let first = |url: &'static str| with_url(element, url).next();
        let label = |name: &'static str| {
            own(element, name).find_map(|label| label["valueString"].as_str().map(str::to_owned))
        };
        let kind = element["type"].as_str().ok_or_else(|| wrong("type", "It is needed."))?;
        if kind != "choice" && !element["answerOption"].is_null() {
            return Err(wrong("answerOption", "Only a choice has options."));
        }
        if !matches!(kind, "string" | "text") && !element["maxLength"].is_null() {
            return Err(wrong("maxLength", "Only a text has a length."));
        }
        let repeats = flag(element, "repeats", path)?;
        let one = |repeats: bool| match repeats {
            true => Err(wrong("repeats", "This type of question takes one answer.")),
            false => Ok(()),
        };
        if let Some(calculation) = own(element, "calculation").next() {
            one(repeats)?;
            if kind != "decimal" {
                return Err(wrong("type", "What is calculated is a decimal."));
            }
            let calculation = calculation["valueString"]
                .as_str()
                .and_then(|text| serde_json::from_str(text).ok())
                .ok_or_else(|| wrong("extension", "The calculation does not read."))?;
            return Ok(ItemKind::Calculated { calculation });
        }
        let least = |otherwise| occurrences(element, LEAST, path).map(|l| l.unwrap_or(otherwise));
        let whole = |url| first(url).and_then(|limit| limit["valueInteger"].as_i64());
        let day = |url| {
            first(url)
                .map(|limit| {
                    limit["valueDate"]
                        .as_str()
                        .and_then(|day| day.parse().ok())
                        .ok_or_else(|| wrong("extension", "The limit is a date."))
                })
                .transpose()
        };
        Ok(match kind {
            "string" | "text" => {
                if repeats {
                    self.text_repeats(element, path)?;
                }
                ItemKind::Text {
                    max_length: self.text_length(element, path)?,
                    pattern: first(REGEX)
                        .and_then(|regex| regex["valueString"].as_str().map(str::to_owned)),
                    repeats,
                }
            }
            "integer" if is_slider(element) => {
                one(repeats)?;
                match (whole(MINIMUM), whole(MAXIMUM)) {
                    (Some(minimum), Some(maximum)) => ItemKind::Scale {
                        minimum,
                        maximum,
                        minimum_label: label("minimum-label"),
                        maximum_label: label("maximum-label"),
                    },
                    _ => return Err(wrong("extension", "A slider has whole numbers as its ends.")),
                }
            }
            "integer" | "decimal" | "quantity" => {
                one(repeats)?;
                let units = units(element, path)?;
                if kind == "quantity" && units.is_empty() {
                    return Err(wrong("extension", "A quantity says in which units it is given."));
                }
                let limit =
                    |plain, with_unit| number_limit(element, plain, with_unit, &units, path);
                let (minimum, maximum) =
                    (limit(MINIMUM, LEAST_QUANTITY)?, limit(MAXIMUM, MOST_QUANTITY)?);
                let mut limits = [minimum, maximum].into_iter().flatten();
                if kind == "integer"
                    && units.is_empty()
                    && limits.any(|limit| limit.is_whole() && limit.to_i32().is_none())
                {
                    return Err(wrong("extension", "The limit of an integer has 32 bits."));
                }
                ItemKind::Number {
                    minimum,
                    maximum,
                    integer: kind == "integer" || yes(own(element, "integer").next()),
                    units,
                }
            }
            "date" => {
                one(repeats)?;
                ItemKind::Date { earliest: day(MINIMUM)?, latest: day(MAXIMUM)? }
            }
            "choice" => {
                let options = self.options(element, path)?;
                if repeats {
                    ItemKind::MultipleChoice { options }
                } else {
                    ItemKind::SingleChoice { options }
                }
            }
            "boolean" => {
                one(repeats)?;
                let consent = own(element, "consent").next().map(|consent| {
                    let read = read_consent(consent);
                    read.ok_or_else(|| wrong("extension", "The consent does not read."))
                });
                ItemKind::Boolean { consent: consent.transpose()? }
            }
            "attachment" => {
                self.photo_types(element, path)?;
                self.photo_size(element, path)?;
                let most = occurrences(element, MOST, path)?;
                if !repeats && most.is_some_and(|most| most > 1) {
                    return Err(wrong("repeats", "Only what repeats takes several photos."));
                }
                let maximum = match repeats {
                    true => self.most(element, MOST_PHOTOS, path)?,
                    false => most.unwrap_or(1),
                };
                ItemKind::Photo { minimum: least(1)?, maximum }
            }
            "display" => {
                one(repeats)?;
                ItemKind::Display
            }
            "group" if repeats => ItemKind::RepeatingGroup {
                items: Vec::new(),
                minimum: least(0)?,
                maximum: self.most(element, MOST_ROWS, path)?,
            },
            "group" => ItemKind::Group { items: Vec::new() },
            _ => return Err(wrong("type", "This type of item is not supported.")),
        })
    }

    fn text_length(&mut self, element: &Value, path: &str) -> Read<u32> {
        let here = join(path, "maxLength");
        match &element["maxLength"] {
            Value::Null => {
                self.assumed(here, format!("It takes at most {TEXT_LENGTH} characters."));
                Ok(TEXT_LENGTH)
            }
            length => count(length).ok_or_else(|| Unreadable::new(here, "It is a whole number.")),
        }
    }

    /// How often it repeats at most.
    fn most(&mut self, element: &Value, otherwise: u32, path: &str) -> Read<u32> {
        let most = occurrences(element, MOST, path)?;
        if most.is_none() {
            let message = format!("It repeats at most {otherwise} times.");
            self.assumed(join(path, "repeats"), message);
        }
        Ok(most.unwrap_or(otherwise))
    }

    /// Every list of texts has the server's own end.
    fn text_repeats(&mut self, element: &Value, path: &str) -> Read<()> {
        let ours = MOST_REPEATS;
        match self.most(element, ours, path)?.cmp(&ours) {
            Ordering::Less => {
                let message = format!("Only {ours} entries at most can be asked for.");
                return Err(Unreadable::new(join(path, "extension"), message));
            }
            Ordering::Equal => {}
            Ordering::Greater => {
                let message = format!("It takes at most {ours} entries.");
                self.left_out(join(path, "extension"), &message);
            }
        }
        Ok(())
    }

    /// A form takes every type of photo that the server takes, and no other.
    fn photo_types(&mut self, element: &Value, path: &str) -> Read<()> {
        let named: Vec<(String, &str)> = numbered(element, MIME_TYPE, path)
            .map(|(here, named)| (here, named["valueCode"].as_str().unwrap_or_default()))
            .collect();
        let ours: Vec<&str> = MediaType::ALL.iter().copied().map(Into::into).collect();
        let all = ours.join(", ");
        let Some((first, _)) = named.first() else {
            self.assumed(join(path, "type"), format!("It takes photos alone: {all}."));
            return Ok(());
        };
        if named.iter().all(|(_, code)| !ours.contains(code)) {
            return Err(Unreadable::new(join(path, "type"), format!("Photos alone: {all}.")));
        }
        if ours.iter().any(|ours| named.iter().all(|(_, code)| code != ours)) {
            let message = format!("A question for photos takes all of {all}.");
            return Err(Unreadable::new(first, message));
        }
        for (here, code) in &named {
            if !ours.contains(code) {
                self.left_out(here.clone(), &format!("{code} is not taken."));
            }
        }
        Ok(())
    }

    /// A form takes photos as large as the server takes them.
    fn photo_size(&mut self, element: &Value, path: &str) -> Read<()> {
        let ours = self.photo_limit;
        let message = format!("Photos have at most {ours} bytes.");
        let Some((here, size)) = numbered(element, MAX_SIZE, path).next() else {
            self.assumed(join(path, "type"), message);
            return Ok(());
        };
        let size = number(&size["valueDecimal"])
            .ok_or_else(|| Unreadable::new(&here, "The size is a number of megabytes."))?;
        // What is too large to be multiplied is wider than any limit.
        let bytes = size.checked_mul(Decimal::from(1_000_000)).unwrap_or(size);
        match bytes.cmp(&Decimal::from(i64::try_from(ours).unwrap_or(i64::MAX))) {
            Ordering::Less => {
                Err(Unreadable::new(here, format!("It cannot be less than {ours} bytes.")))
            }
            Ordering::Equal => Ok(()),
            Ordering::Greater => {
                self.left_out(here, &message);
                Ok(())
            }
        }
    }

    /// An extension that one kind of item has says nothing that another one
    /// could keep.
    fn kind_extensions(&mut self, element: &Value, kind: &ItemKind, path: &str) -> Read<()> {
        let (carried, ours): (&[&str], &[&str]) = match kind {
            ItemKind::Text { repeats: true, .. } => (&[REGEX, MOST], &[]),
            ItemKind::Text { .. } => (&[REGEX], &[]),
            ItemKind::Number { .. } => (
                &[MINIMUM, MAXIMUM, LEAST_QUANTITY, MOST_QUANTITY, UNIT, UNIT_OPTION],
                &["integer"],
            ),
            ItemKind::Date { .. } => (&[MINIMUM, MAXIMUM], &[]),
            ItemKind::Boolean { .. } => (&[], &["consent"]),
            ItemKind::Scale { .. } => {
                (&[MINIMUM, MAXIMUM, ITEM_CONTROL], &["minimum-label", "maximum-label"])
            }
            ItemKind::Photo { .. } => (&[LEAST, MOST, MAX_SIZE, MIME_TYPE], &[]),
            ItemKind::RepeatingGroup { .. } => (&[LEAST, MOST], &[]),
            // What Salus calculates, it calculates by its own words.
            ItemKind::Calculated { .. } => (&[CALCULATED], &["calculation"]),
            ItemKind::SingleChoice { .. }
            | ItemKind::MultipleChoice { .. }
            | ItemKind::Display
            | ItemKind::Group { .. } => (&[], &[]),
        };
        let carried = [carried, &[HIDDEN]].concat();
        let ours = [ours, &["help", "enable-when"]].concat();
        self.extensions(element, path, &carried, &ours)
    }

    fn options(&mut self, element: &Value, path: &str) -> Read<Vec<ChoiceOption>> {
        let listed = element["answerOption"].as_array().into_iter().flatten().enumerate();
        let mut options: Vec<ChoiceOption> = Vec::new();
        for (index, element) in listed {
            let here = join(path, &format!("answerOption[{index}]"));
            let option = self.option(element, &here)?;
            if options.iter().any(|other| other.code == option.code) {
                return Err(Unreadable::new(here, "Another option has this code."));
            }
            options.push(option);
        }
        Ok(options)
    }

    fn option(&mut self, element: &Value, path: &str) -> Read<ChoiceOption> {
        self.elements(element, path, &OPTION)?;
        let known = [WEIGHTS.as_slice(), &[EXCLUSIVE]].concat();
        self.extensions(element, path, &known, &["flag", "coding", "option-code"])?;
        let named = &element["valueCoding"];
        let at_coding = join(path, "valueCoding");
        let coding = read_coding(named)
            .ok_or_else(|| Unreadable::new(&at_coding, "An option is a coding with a code."))?;
        let own_code = own(element, "option-code")
            .find_map(|code| code["valueString"].as_str().map(str::to_owned));
        let code = own_code.unwrap_or_else(|| coding.code.clone());
        let display = if coding.display.is_empty() { code.clone() } else { coding.display.clone() };
        let published = !coding.system.is_empty() && !coding.system.starts_with(LOCAL);
        let meant = own(element, "coding").next().map(|coding| {
            let read = read_coding(&coding["valueCoding"]);
            read.ok_or_else(|| Unreadable::new(join(path, "extension"), "A coding has a code."))
        });
        let meant = meant.transpose()?;
        Ok(ChoiceOption {
            code,
            score: score(element, path)?,
            flag: yes(own(element, "flag").next()),
            coding: meant
                .or_else(|| published.then(|| Coding { display: display.clone(), ..coding })),
            display,
            exclusive: yes(with_url(element, EXCLUSIVE).next()),
        })
    }
}
