//! What is known of a Questionnaire: every element and every extension with the
//! JSON that it takes. Of another type it would be read as nothing, and a limit
//! or a condition would be gone without a word, so it is refused by its place.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use kernel::Decimal;
use serde_json::{Map, Value};

use super::{
    Unreadable,
    extension::{
        CALCULATED, EXCLUSIVE, HIDDEN, ITEM_CONTROL, LEAST, LEAST_QUANTITY, MAX_SIZE, MAXIMUM,
        MIME_TYPE, MINIMUM, MOST, MOST_QUANTITY, OWN, REGEX, UNIT, UNIT_OPTION, WEIGHTS,
    },
    import::Reader,
    parts::{Read, join},
};

/// What JSON a member takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    Text,
    Flag,
    /// Of 32 bits, as FHIR's integers are.
    Integer,
    /// An integer that is not negative.
    Count,
    /// With digits that are all kept.
    Number,
    /// A date with its month and its day.
    Day,
    Object,
    Texts,
    Objects,
    Quantity,
    Coding,
    Codings,
    /// The coding of an option, which may have points.
    Choice,
    Extensions,
}
use Takes::{
    Choice, Coding, Codings, Count, Day, Extensions, Flag, Integer, Number, Object, Objects,
    Quantity, Text, Texts,
};

/// What becomes of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Carried,
    /// It describes or decorates; a warning names it.
    LeftOut,
}
use Fate::{Carried, LeftOut};

type Member = (&'static str, Takes, Fate);

pub const QUESTIONNAIRE: [Member; 30] = [
    // The server gives the version its own address, number and status.
    ("resourceType", Text, Carried),
    ("id", Text, Carried),
    ("meta", Object, Carried),
    ("url", Text, Carried),
    ("version", Text, Carried),
    ("name", Text, Carried),
    ("title", Text, Carried),
    ("status", Text, Carried),
    ("date", Text, Carried),
    ("subjectType", Texts, Carried),
    ("description", Text, Carried),
    ("item", Objects, Carried),
    ("extension", Extensions, Carried),
    ("modifierExtension", Extensions, Carried),
    ("identifier", Objects, LeftOut),
    ("text", Object, LeftOut),
    ("language", Text, LeftOut),
    ("contained", Objects, LeftOut),
    ("derivedFrom", Texts, LeftOut),
    ("experimental", Flag, LeftOut),
    ("publisher", Text, LeftOut),
    ("contact", Objects, LeftOut),
    ("useContext", Objects, LeftOut),
    ("jurisdiction", Objects, LeftOut),
    ("purpose", Text, LeftOut),
    ("copyright", Text, LeftOut),
    ("approvalDate", Text, LeftOut),
    ("lastReviewDate", Text, LeftOut),
    ("effectivePeriod", Object, LeftOut),
    ("code", Objects, LeftOut),
];

pub const ITEM: [Member; 18] = [
    ("id", Text, Carried),
    ("linkId", Text, Carried),
    ("text", Text, Carried),
    ("type", Text, Carried),
    ("code", Codings, Carried),
    ("required", Flag, Carried),
    ("repeats", Flag, Carried),
    ("readOnly", Flag, Carried),
    ("maxLength", Count, Carried),
    ("enableWhen", Objects, Carried),
    ("enableBehavior", Text, Carried),
    ("answerOption", Objects, Carried),
    ("initial", Objects, Carried),
    ("item", Objects, Carried),
    ("extension", Extensions, Carried),
    ("modifierExtension", Extensions, Carried),
    ("prefix", Text, LeftOut),
    ("definition", Text, LeftOut),
];

pub const OPTION: [Member; 5] = [
    ("id", Text, Carried),
    ("valueCoding", Choice, Carried),
    ("initialSelected", Flag, Carried),
    ("extension", Extensions, Carried),
    ("modifierExtension", Extensions, Carried),
];

pub const CONDITION: [Member; 11] = [
    ("id", Text, Carried),
    ("question", Text, Carried),
    ("operator", Text, Carried),
    ("answerBoolean", Flag, Carried),
    ("answerDecimal", Number, Carried),
    ("answerInteger", Integer, Carried),
    ("answerQuantity", Quantity, Carried),
    ("answerDate", Text, Carried),
    ("answerString", Text, Carried),
    ("answerCoding", Choice, Carried),
    ("modifierExtension", Extensions, Carried),
];

pub const INITIAL: [Member; 10] = [
    ("id", Text, Carried),
    ("valueBoolean", Flag, Carried),
    ("valueDecimal", Number, Carried),
    ("valueInteger", Integer, Carried),
    ("valueQuantity", Quantity, Carried),
    ("valueDate", Text, Carried),
    ("valueString", Text, Carried),
    ("valueCoding", Choice, Carried),
    ("valueAttachment", Object, Carried),
    ("modifierExtension", Extensions, Carried),
];

const CODING: [Member; 7] = [
    ("id", Text, Carried),
    ("system", Text, Carried),
    ("code", Text, Carried),
    ("display", Text, Carried),
    ("extension", Extensions, Carried),
    ("version", Text, LeftOut),
    ("userSelected", Flag, LeftOut),
];

const QUANTITY: [Member; 6] = [
    ("id", Text, Carried),
    ("value", Number, Carried),
    ("comparator", Text, Carried),
    ("unit", Text, Carried),
    ("system", Text, Carried),
    ("code", Text, Carried),
];

/// How often an element may have an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    Once,
    Often,
}
use Times::{Often, Once};

/// The name of a value and what it takes.
type Typed = (&'static str, Takes);
type Extension = (&'static str, Times, &'static [Typed]);

const LIMIT: &[Typed] = &[
    ("valueInteger", Integer),
    ("valueDecimal", Number),
    ("valueDate", Day),
    ("valueQuantity", Quantity),
];
const FLAG: &[Typed] = &[("valueBoolean", Flag)];
const COUNT: &[Typed] = &[("valueInteger", Count)];
const TEXT: &[Typed] = &[("valueString", Text)];
const POINTS: &[Typed] = &[("valueDecimal", Number)];
const CODE: &[Typed] = &[("valueCoding", Coding)];
const PARTS: &[Typed] = &[("extension", Extensions)];

const PUBLISHED: [Extension; 18] = [
    (MINIMUM, Once, LIMIT),
    (MAXIMUM, Once, LIMIT),
    (LEAST_QUANTITY, Once, &[("valueQuantity", Quantity)]),
    (MOST_QUANTITY, Once, &[("valueQuantity", Quantity)]),
    (REGEX, Once, TEXT),
    (UNIT, Once, CODE),
    (UNIT_OPTION, Often, CODE),
    (LEAST, Once, COUNT),
    (MOST, Once, COUNT),
    (MAX_SIZE, Once, POINTS),
    (MIME_TYPE, Often, &[("valueCode", Text)]),
    (ITEM_CONTROL, Often, &[("valueCodeableConcept", Object)]),
    (EXCLUSIVE, Once, FLAG),
    (HIDDEN, Once, FLAG),
    (WEIGHTS[0], Once, POINTS),
    (WEIGHTS[1], Once, POINTS),
    (WEIGHTS[2], Once, POINTS),
    (CALCULATED, Once, &[("valueExpression", Object)]),
];

/// The extensions of Salus, by their names.
const OURS: [Extension; 11] = [
    ("rule", Often, PARTS),
    ("help", Once, TEXT),
    ("enable-when", Once, TEXT),
    ("calculation", Once, TEXT),
    ("integer", Once, FLAG),
    ("consent", Once, PARTS),
    ("minimum-label", Once, TEXT),
    ("maximum-label", Once, TEXT),
    ("flag", Once, FLAG),
    ("option-code", Once, TEXT),
    ("coding", Once, CODE),
];

/// The other extensions that say something of who is asked, what is answered or
/// what may be answered, and that a form has no words for.
const MATTER: [&str; 16] = [
    "sdc-questionnaire-enableWhenExpression",
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
    "questionnaire-signatureRequired",
    "questionnaire-usageMode",
    "minLength",
    "maxDecimalPlaces",
];

fn extension_of(url: &str) -> Option<&'static Extension> {
    match url.strip_prefix(OWN) {
        Some(name) => OURS.iter().find(|(known, ..)| *known == name),
        None => PUBLISHED.iter().find(|(known, ..)| *known == url),
    }
}

fn name_in(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

/// The name of an extension that must not be left out. A limit is one wherever
/// it stands: somebody wanted it, also where it cannot apply.
fn matters(url: &str) -> Option<&str> {
    let name = name_in(url);
    let known = |(known, ..): &Extension| *known != ITEM_CONTROL && name_in(known) == name;
    let matters = url.starts_with(OWN) || MATTER.contains(&name) || PUBLISHED.iter().any(known);
    matters.then_some(name)
}

impl Reader<'_> {
    /// Every member of an element is carried, left out by its name, or refused.
    pub(super) fn elements(&mut self, element: &Value, path: &str, known: &[Member]) -> Read<()> {
        let Some(members) = element.as_object() else {
            return Err(Unreadable::new(path, "This is no object."));
        };
        for (name, value) in members {
            let here = join(path, name);
            let plain = name.strip_prefix('_').unwrap_or(name);
            let Some((_, takes, fate)) = known.iter().find(|(known, ..)| *known == plain) else {
                return Err(Unreadable::new(here, "A form has no words for this."));
            };
            if plain != name {
                // What FHIR writes beside a plain value are its extensions.
                refuse_what_matters(value, &here)?;
                self.left_out(here, "This is left out.");
                continue;
            }
            if !value.is_null() {
                self.takes(*takes, value, &here)?;
            }
            if *fate == LeftOut {
                self.left_out(here, "This is left out.");
            }
        }
        Ok(())
    }

    fn takes(&mut self, takes: Takes, value: &Value, path: &str) -> Read<()> {
        let (fits, wanted) = match takes {
            Text => (value.is_string(), "It is a text."),
            Flag => (value.is_boolean(), "It is true or false."),
            Integer => (
                value.as_i64().is_some_and(|value| i32::try_from(value).is_ok()),
                "It is a whole number of 32 bits.",
            ),
            Count => (
                value.as_i64().is_some_and(|value| (0..=i64::from(i32::MAX)).contains(&value)),
                "It is a whole number of 31 bits.",
            ),
            Number => (
                value.as_number().is_some_and(|number| Decimal::try_from(number).is_ok()),
                "It is a number of at most 28 digits.",
            ),
            Day => {
                let day = value.as_str().and_then(|day| day.parse::<NaiveDate>().ok());
                (day.is_some_and(|day| kernel::year_fits(&day)), "It is a date, as in 2024-02-29.")
            }
            Object => (value.is_object(), "It is an object."),
            Texts => return self.each(Text, value, path),
            Objects => return self.each(Object, value, path),
            Codings => return self.each(Coding, value, path),
            Quantity => return self.elements(value, path, &QUANTITY),
            Coding | Choice => {
                self.elements(value, path, &CODING)?;
                let carried: &[&str] = if takes == Choice { &WEIGHTS } else { &[] };
                return self.extensions(value, path, carried, &[]);
            }
            Extensions => return self.known_extensions(value, path),
        };
        if fits { Ok(()) } else { Err(Unreadable::new(path, wanted)) }
    }

    /// A single element where FHIR has a list would be read as an empty list.
    fn each(&mut self, takes: Takes, value: &Value, path: &str) -> Read<()> {
        let Value::Array(values) = value else {
            return Err(Unreadable::new(path, "It is a list."));
        };
        values
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| self.takes(takes, value, &format!("{path}[{index}]")))
    }

    /// The extensions that are known have one value, of a type that they take.
    fn known_extensions(&mut self, value: &Value, path: &str) -> Read<()> {
        self.each(Object, value, path)?;
        let mut seen = BTreeSet::new();
        for (index, extension) in value.as_array().into_iter().flatten().enumerate() {
            let here = format!("{path}[{index}]");
            let Some(url) = extension["url"].as_str() else {
                return Err(Unreadable::new(here, "An extension has an address."));
            };
            let Some((_, times, values)) = extension_of(url) else { continue };
            if *times == Once && !seen.insert(url) {
                return Err(Unreadable::new(here, "This extension is allowed once."));
            }
            let members = extension.as_object().into_iter().flat_map(Map::keys);
            let said: Vec<&String> =
                members.filter(|name| *name != "url" && *name != "id").collect();
            let takes = values.iter().find(|(known, _)| said == [known]);
            let Some((name, takes)) = takes else {
                let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
                let message = format!("It has one value, as {}.", names.join(" or "));
                return Err(Unreadable::new(here, message));
            };
            self.takes(*takes, &extension[*name], &join(&here, name))?;
        }
        Ok(())
    }

    /// Every extension of an element is carried, left out by its address, or
    /// refused.
    pub(super) fn extensions(
        &mut self,
        element: &Value,
        path: &str,
        carried: &[&str],
        ours: &[&str],
    ) -> Read<()> {
        for (index, extension) in element["extension"].as_array().into_iter().flatten().enumerate()
        {
            let url = extension["url"].as_str().unwrap_or_default();
            let known = match url.strip_prefix(OWN) {
                Some(name) => ours.contains(&name),
                None => carried.contains(&url),
            };
            if known {
                continue;
            }
            let here = join(path, &format!("extension[{index}]"));
            if let Some(name) = matters(url) {
                return Err(Unreadable::new(here, format!("A form cannot say {name} here.")));
            }
            self.left_out(here, &format!("The extension {url} is left out."));
        }
        Ok(())
    }
}

/// The extensions of a plain value, or of each in a list of them.
fn refuse_what_matters(beside: &Value, path: &str) -> Read<()> {
    let each = match beside {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut urls = each
        .iter()
        .flat_map(|one| one["extension"].as_array().into_iter().flatten())
        .filter_map(|extension| extension["url"].as_str());
    match urls.find_map(matters) {
        Some(name) => Err(Unreadable::new(path, format!("A form cannot say {name} here."))),
        None => Ok(()),
    }
}
