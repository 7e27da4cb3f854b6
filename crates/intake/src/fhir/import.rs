//! Reading a Questionnaire that others may have written. What changes who is
//! asked what, or what an answer may be, is carried over or refused by its
//! place; what only describes or decorates is left out and named. A modifier
//! extension that is not known is never ignored, as FHIR demands.

use std::collections::{BTreeMap, BTreeSet};

use kernel::Coding;
use serde_json::{Value, json};

use super::{
    Unreadable,
    extension::{
        CALCULATED, EXCLUSIVE, HIDDEN, ITEM_CONTROL, LEAST, LEAST_QUANTITY, MAX_SIZE, MAXIMUM,
        MIME_TYPE, MINIMUM, MOST, MOST_QUANTITY, OWN, REGEX, UNIT, UNIT_OPTION, WEIGHTS, own, part,
        with_url,
    },
    item::LOCAL,
    parts::{
        Read, expected, flag, is_slider, join, number_limit, read_coding, read_consent, score,
        takes_photos, text, units,
    },
    response::raw_of,
};
use crate::{
    Behavior, ChoiceOption, Condition, CrossRule, EnableWhen, FormDefinition, Item, ItemKind,
    Operator, Subject, check::MOST_PHOTOS,
};

/// How often a group of another author repeats that does not say it.
const MOST_ROWS: u32 = 20;

/// A definition that was read, and what was left out of it, by its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    pub definition: FormDefinition,
    pub warnings: Vec<Unreadable>,
}

/// Reads a definition from a Questionnaire. Whether the form makes sense is for
/// its publication to say.
pub fn to_definition(resource: &Value) -> Read<Imported> {
    if resource["resourceType"] != "Questionnaire" {
        return Err(Unreadable::new("resourceType", "This is no Questionnaire."));
    }
    refuse_modifiers(resource, "")?;
    let mut reader = Reader { items: BTreeMap::new(), warnings: Vec::new() };
    reader.index(resource);
    reader.elements(
        resource,
        "",
        // The server gives the version its own address, number and status.
        &[
            "resourceType",
            "id",
            "meta",
            "url",
            "version",
            "name",
            "title",
            "status",
            "date",
            "subjectType",
            "description",
            "item",
            "extension",
            "modifierExtension",
        ],
        &[
            "identifier",
            "text",
            "language",
            "contained",
            "derivedFrom",
            "experimental",
            "publisher",
            "contact",
            "useContext",
            "jurisdiction",
            "purpose",
            "copyright",
            "approvalDate",
            "lastReviewDate",
            "effectivePeriod",
            "code",
        ],
    )?;
    reader.extensions(resource, "", &[], &["rule"])?;
    let subjects = resource["subjectType"].as_array();
    if subjects.is_some_and(|subjects| !subjects.iter().any(|subject| subject == "Patient")) {
        return Err(Unreadable::new("subjectType", "A form is about a patient."));
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

/// The extensions that say something of who is asked, what is answered or what
/// may be answered, and that a form has no words for.
const MATTER: [&str; 17] = [
    "sdc-questionnaire-enableWhenExpression",
    "sdc-questionnaire-calculatedExpression",
    "sdc-questionnaire-answerExpression",
    "sdc-questionnaire-candidateExpression",
    "sdc-questionnaire-answerOptionsToggleExpression",
    "sdc-questionnaire-initialExpression",
    "sdc-questionnaire-lookupQuestionnaire",
    "sdc-questionnaire-subQuestionnaire",
    "cqf-expression",
    "cqf-calculatedValue",
    "targetConstraint",
    "questionnaire-constraint",
    "questionnaire-unitValueSet",
    "minLength",
    "maxDecimalPlaces",
    "questionnaire-minOccurs",
    "questionnaire-maxOccurs",
];

/// The members of a Questionnaire and its items that are lists.
const LISTS: [&str; 6] =
    ["answerOption", "enableWhen", "extension", "initial", "item", "subjectType"];

/// The extensions that an element may have more than once.
const REPEATED: [&str; 4] = [UNIT, UNIT_OPTION, MIME_TYPE, ITEM_CONTROL];

struct Reader<'a> {
    /// Every item, for the conditions that look at it.
    items: BTreeMap<&'a str, &'a Value>,
    warnings: Vec<Unreadable>,
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

    fn left_out(&mut self, path: String, message: &str) {
        self.warnings.push(Unreadable::new(path, message));
    }

    /// Every member of an element is carried, left out by its name, or refused.
    fn elements(
        &mut self,
        element: &Value,
        path: &str,
        carried: &[&str],
        harmless: &[&str],
    ) -> Read<()> {
        let Some(members) = element.as_object() else {
            return Err(Unreadable::new(path, "This is no object."));
        };
        for name in members.keys() {
            let plain = name.strip_prefix('_').unwrap_or(name);
            let known = carried.contains(&plain);
            // A single element where a list belongs would be read as an empty list.
            if LISTS.contains(&name.as_str()) && !element[name].is_array() {
                return Err(Unreadable::new(join(path, name), "It is a list."));
            }
            if known && plain == name {
                continue;
            }
            if known || harmless.contains(&plain) {
                self.left_out(join(path, name), "This is left out.");
            } else {
                return Err(Unreadable::new(join(path, name), "A form has no words for this."));
            }
        }
        Ok(())
    }

    /// Every extension of an element is carried, left out by its address, or
    /// refused.
    fn extensions(
        &mut self,
        element: &Value,
        path: &str,
        carried: &[&str],
        ours: &[&str],
    ) -> Read<()> {
        let mut seen = BTreeSet::new();
        for (index, extension) in element["extension"].as_array().into_iter().flatten().enumerate()
        {
            let here = join(path, &format!("extension[{index}]"));
            let Some(url) = extension["url"].as_str() else {
                return Err(Unreadable::new(here, "An extension has an address."));
            };
            let known = match url.strip_prefix(OWN) {
                Some(name) => ours.contains(&name),
                None => carried.contains(&url),
            };
            if known {
                let standard = !url.starts_with(OWN);
                if standard && !REPEATED.contains(&url) && !seen.insert(url) {
                    return Err(Unreadable::new(here, "This extension is allowed once."));
                }
                let flags = [HIDDEN, EXCLUSIVE].contains(&url);
                if flags && !extension["valueBoolean"].is_boolean() {
                    return Err(Unreadable::new(here, "It is true or false."));
                }
                if url == REGEX && !extension["valueString"].is_string() {
                    return Err(Unreadable::new(here, "A pattern is a text."));
                }
                continue;
            }
            let name = url.rsplit('/').next().unwrap_or(url);
            if url.starts_with(OWN) || MATTER.contains(&name) {
                return Err(Unreadable::new(here, format!("A form cannot say {name} here.")));
            }
            self.left_out(here, &format!("The extension {url} is left out."));
        }
        Ok(())
    }

    fn items_of(&mut self, parent: &Value, path: &str) -> Read<Vec<Item>> {
        let items = parent["item"].as_array().into_iter().flatten().enumerate();
        items
            .map(|(index, element)| self.item(element, &join(path, &format!("item[{index}]"))))
            .collect()
    }

    fn item(&mut self, element: &Value, path: &str) -> Read<Item> {
        self.elements(
            element,
            path,
            &[
                "id",
                "linkId",
                "text",
                "type",
                "code",
                "required",
                "repeats",
                "readOnly",
                "maxLength",
                "enableWhen",
                "enableBehavior",
                "answerOption",
                "initial",
                "item",
                "extension",
                "modifierExtension",
            ],
            &["prefix", "definition"],
        )?;
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
        item.hidden = with_url(element, HIDDEN).any(|hidden| hidden["valueBoolean"] == true);
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
        // A coding has a `code` too, which is no list.
        let listed = match &element["code"] {
            Value::Null => &[],
            Value::Array(codes) => codes.as_slice(),
            _ => return Err(Unreadable::new(join(path, "code"), "It is a list.")),
        };
        let codes = listed.iter().enumerate();
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

    fn enable_when(&self, element: &Value, path: &str) -> Read<Option<EnableWhen>> {
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

    fn condition(&self, element: &Value, path: &str) -> Read<Condition> {
        let wrong = |field: &str, message: &str| Unreadable::new(join(path, field), message);
        let operator: Operator = element["operator"]
            .as_str()
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| wrong("operator", "The operator is not known."))?;
        let question = element["question"]
            .as_str()
            .ok_or_else(|| wrong("question", "A condition looks at a question."))?;
        let mut answers = Vec::new();
        for (name, value) in element.as_object().into_iter().flatten() {
            match name.as_str() {
                "question" | "operator" | "id" => {}
                name if name.starts_with("answer") => answers.push((name.to_owned(), value)),
                name => return Err(wrong(name, "A condition has no words for this.")),
            }
        }
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
        let mut apart = Reader { items: BTreeMap::new(), warnings: Vec::new() };
        Some(Item::new(link_id, "", apart.kind(element, "").ok()?))
    }

    fn initial(&self, element: &Value, item: &Item, path: &str) -> Read<Option<Value>> {
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
        if let Some(calculation) = own(element, "calculation").next() {
            let calculation = calculation["valueString"]
                .as_str()
                .and_then(|text| serde_json::from_str(text).ok())
                .ok_or_else(|| wrong("extension", "The calculation does not read."))?;
            return Ok(ItemKind::Calculated { calculation });
        }
        let kind = element["type"].as_str().ok_or_else(|| wrong("type", "It is needed."))?;
        if kind != "choice" && !element["answerOption"].is_null() {
            return Err(wrong("answerOption", "Only a choice has options."));
        }
        if !matches!(kind, "string" | "text") && !element["maxLength"].is_null() {
            return Err(wrong("maxLength", "Only a text has a length."));
        }
        let repeats = flag(element, "repeats", path)?;
        let count = |url| {
            first(url)
                .map(|limit| {
                    limit["valueInteger"]
                        .as_u64()
                        .and_then(|limit| u32::try_from(limit).ok())
                        .ok_or_else(|| wrong("extension", "How often is a whole number."))
                })
                .transpose()
        };
        let one = |repeats: bool| match repeats {
            true => Err(wrong("repeats", "This type of question takes one answer.")),
            false => Ok(()),
        };
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
            "string" | "text" => ItemKind::Text {
                max_length: match &element["maxLength"] {
                    Value::Null => 2_000,
                    length => length
                        .as_u64()
                        .and_then(|length| u32::try_from(length).ok())
                        .ok_or_else(|| wrong("maxLength", "It is a whole number."))?,
                },
                pattern: first(REGEX)
                    .and_then(|regex| regex["valueString"].as_str().map(str::to_owned)),
                repeats,
            },
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
                ItemKind::Number {
                    minimum: limit(MINIMUM, LEAST_QUANTITY)?,
                    maximum: limit(MAXIMUM, MOST_QUANTITY)?,
                    integer: kind == "integer" || own(element, "integer").next().is_some(),
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
                ItemKind::Boolean { consent: own(element, "consent").find_map(read_consent) }
            }
            // Where it says what it takes, that has to be something that is taken.
            "attachment" if takes_photos(element) => ItemKind::Photo {
                minimum: count(LEAST)?.unwrap_or(1),
                maximum: count(MOST)?.unwrap_or(if repeats { MOST_PHOTOS } else { 1 }),
            },
            "display" => ItemKind::Display,
            "group" if repeats => ItemKind::RepeatingGroup {
                items: Vec::new(),
                minimum: count(LEAST)?.unwrap_or(0),
                maximum: count(MOST)?.unwrap_or(MOST_ROWS),
            },
            "group" => ItemKind::Group { items: Vec::new() },
            _ => return Err(wrong("type", "This type of item is not supported.")),
        })
    }

    /// An extension that one kind of item has says nothing that another one
    /// could keep.
    fn kind_extensions(&mut self, element: &Value, kind: &ItemKind, path: &str) -> Read<()> {
        let (carried, ours): (&[&str], &[&str]) = match kind {
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
        let carried = ["id", "valueCoding", "initialSelected", "extension", "modifierExtension"];
        self.elements(element, path, &carried, &[])?;
        let known = [WEIGHTS.as_slice(), &[EXCLUSIVE]].concat();
        self.extensions(element, path, &known, &["flag", "coding", "option-code"])?;
        let named = &element["valueCoding"];
        let at_coding = join(path, "valueCoding");
        let parts = ["id", "system", "code", "display", "extension"];
        self.elements(named, &at_coding, &parts, &["version", "userSelected"])?;
        self.extensions(named, &at_coding, &WEIGHTS, &[])?;
        let yes = |extension: Option<&Value>| {
            extension.is_some_and(|extension| extension["valueBoolean"] == true)
        };
        let coding = read_coding(named)
            .ok_or_else(|| Unreadable::new(&at_coding, "An option is a coding with a code."))?;
        let own_code = own(element, "option-code")
            .find_map(|code| code["valueString"].as_str().map(str::to_owned));
        let code = own_code.unwrap_or_else(|| coding.code.clone());
        let display = if coding.display.is_empty() { code.clone() } else { coding.display.clone() };
        let published = !coding.system.is_empty() && !coding.system.starts_with(LOCAL);
        let meant = own(element, "coding").find_map(|coding| read_coding(&coding["valueCoding"]));
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
