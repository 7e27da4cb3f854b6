//! What a definition has to satisfy before it can be published.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Decimal, FieldError};
use strum::IntoEnumIterator as _;

use crate::{
    AscvdInputs, Calculation, ChoiceOption, Condition, CrossRule, Expected, Fact, FormDefinition,
    Item, ItemKind, Operator, Subject,
    answer::{limits, read, whole_match},
    evaluate::MOST_ROWS,
    instruments::departs,
    reach::unreachable,
    units::converts,
    words::check_words,
};

pub const MOST_ITEMS: usize = 500;
pub const DEEPEST: usize = 8;
/// The most photos that one question takes.
pub const MOST_PHOTOS: u32 = 10;

type Index<'a> = BTreeMap<&'a str, &'a Item>;

/// Everything for which a definition is not even kept as a draft: words that no
/// field of their kind takes, and its size. What is nested
/// deeper could not be read back from where it is stored, and what has more
/// items takes too long to look through. What is repeated counts too.
pub fn check_size(definition: &FormDefinition) -> Vec<FieldError> {
    fn below(items: &[Item], depth: usize, count: &mut usize, errors: &mut Vec<FieldError>) {
        for item in items {
            *count += 1;
            if depth > DEEPEST {
                // What is in it is deeper still.
                let message = format!("Items are nested at most {DEEPEST} deep.");
                let path = format!("definition.items.{}", item.link_id);
                errors.push(FieldError::new(path, "too_deep", message));
            } else {
                below(item.children(), depth + 1, count, errors);
                below(item.row(), depth + 1, count, errors);
            }
        }
    }
    let (mut count, mut errors) = (0, Vec::new());
    below(&definition.items, 1, &mut count, &mut errors);
    if count > MOST_ITEMS {
        let message = format!("A form has at most {MOST_ITEMS} items.");
        errors = vec![FieldError::new("definition.items", "too_many", message)];
    }
    if errors.is_empty() {
        errors = check_words(definition);
    }
    errors
}

/// Everything that is wrong with the definition; nothing when it can be
/// published. Paths are below `definition.items.<link id>`.
pub fn check(definition: &FormDefinition) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let outline = definition.walk();
    if definition.title.trim().is_empty() {
        errors.push(FieldError::required("definition.title"));
    }
    if outline.is_empty() {
        errors.push(FieldError::required("definition.items"));
    }
    let too_large = check_size(definition);
    if !too_large.is_empty() {
        errors.extend(too_large);
        return errors;
    }
    let mut index = Index::new();
    for (item, _) in &outline {
        if index.insert(&item.link_id, item).is_some() {
            errors.push(at(item, "link_id", "duplicate", "Another item has this link id."));
        }
    }
    let unseen = FormDefinition::unseen(&outline);
    for (item, _) in &outline {
        if let ItemKind::RepeatingGroup { items, minimum, maximum } = &item.kind {
            check_rows(item, items, (*minimum, *maximum), &outline, &mut errors);
        }
        check_item(item, unseen.contains(item.link_id.as_str()), &mut errors);
        check_conditions(item, &index, &mut errors);
        if let ItemKind::Calculated { calculation } = &item.kind {
            check_calculation(item, calculation, &index, &mut errors);
        }
    }
    check_cycles(&outline, &index, &mut errors);
    for rule in &definition.rules {
        check_rule(rule, &index, &mut errors);
    }
    // Whether something can be reached is asked of a form whose conditions
    // make sense.
    if errors.is_empty() {
        for (link_id, reason) in unreachable(definition) {
            let path = format!("definition.items.{link_id}.enable_when");
            errors.push(FieldError::new(path, "unreachable", reason));
        }
    }
    errors
}

fn at(item: &Item, field: &str, code: &str, message: impl Into<String>) -> FieldError {
    FieldError::new(format!("definition.items.{}.{field}", item.link_id), code, message)
}

fn check_item(item: &Item, unseen: bool, errors: &mut Vec<FieldError>) {
    let named = (1..=64).contains(&item.link_id.len())
        && item.link_id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && !item.link_id.starts_with("patient.");
    if !named {
        errors.push(at(
            item,
            "link_id",
            "invalid",
            "A link id has 1 to 64 letters, digits, dots, dashes and underscores, and does not \
             start with `patient.`.",
        ));
    }
    if item.text.trim().is_empty() {
        errors.push(at(item, "text", "required", "An item says something."));
    }
    if item.required && !item.is_answerable() {
        errors.push(at(item, "required", "invalid", "What takes no answer cannot be required."));
    }
    check_initial(item, unseen, errors);
    match &item.kind {
        ItemKind::Text { max_length, pattern, .. } => {
            if !(1..=10_000).contains(max_length) {
                errors.push(at(item, "max_length", "out_of_range", "From 1 to 10,000."));
            }
            if pattern.as_deref().is_some_and(|pattern| whole_match(pattern).is_err()) {
                errors.push(at(item, "pattern", "invalid", "Not a regular expression."));
            }
        }
        ItemKind::Number { minimum, maximum, units, integer } => {
            if let (Some(minimum), Some(maximum)) = (minimum, maximum)
                && minimum > maximum
            {
                errors.push(at(item, "maximum", "out_of_range", "It is below the minimum."));
            }
            let whole = *integer && units.is_empty();
            let odd = |limit: &Option<Decimal>| limit.is_some_and(|limit| limit.to_i32().is_none());
            for (field, limit) in [("minimum", minimum), ("maximum", maximum)] {
                if whole && odd(limit) {
                    let message = "The limits of an integer are whole numbers of 32 bits.";
                    errors.push(at(item, field, "out_of_range", message));
                }
            }
            let code = |unit: &String| {
                (1..=50).contains(&unit.len()) && unit.bytes().all(|byte| byte.is_ascii_graphic())
            };
            let different: BTreeSet<&String> = units.iter().collect();
            if !units.iter().all(code) || different.len() < units.len() {
                let message = "Units are UCUM codes, and each is listed once.";
                errors.push(at(item, "units", "invalid", message));
            } else if let Some(first) = units.first()
                && units.iter().any(|unit| !converts(unit, first))
            {
                errors.push(at(
                    item,
                    "units",
                    "invalid",
                    "The units of a question convert into one another.",
                ));
            }
        }
        ItemKind::Date { earliest: Some(earliest), latest: Some(latest) } if earliest > latest => {
            errors.push(at(item, "latest", "out_of_range", "It is before the earliest date."));
        }
        ItemKind::SingleChoice { options } | ItemKind::MultipleChoice { options } => {
            check_options(item, options, errors);
        }
        ItemKind::Scale { minimum, maximum, .. }
            if minimum >= maximum
                || maximum.saturating_sub(*minimum) > 1_000
                || [minimum, maximum].iter().any(|end| i32::try_from(**end).is_err()) =>
        {
            errors.push(at(item, "maximum", "out_of_range", "A scale has 2 to 1,000 steps."));
        }
        ItemKind::Photo { minimum, maximum }
            if *minimum == 0 || minimum > maximum || *maximum > MOST_PHOTOS =>
        {
            let message = format!("A question takes 1 to {MOST_PHOTOS} photos.");
            errors.push(at(item, "maximum", "out_of_range", message));
        }
        ItemKind::Group { items } if items.is_empty() => {
            errors.push(at(item, "items", "required", "A group holds items."));
        }
        _ => {}
    }
}

/// What is repeated is a form of its own, whose link ids are those of no other
/// item.
fn check_rows(
    group: &Item,
    items: &[Item],
    (minimum, maximum): (u32, u32),
    outline: &[(&Item, Option<&Item>)],
    errors: &mut Vec<FieldError>,
) {
    if minimum > maximum || maximum == 0 || maximum as usize > MOST_ROWS {
        let message = format!("A group repeats from its minimum to at most {MOST_ROWS} times.");
        errors.push(at(group, "maximum", "out_of_range", message));
    }
    if items.is_empty() {
        errors.push(at(group, "items", "required", "A group holds items."));
        return;
    }
    let row = FormDefinition::of_row(items);
    for (inner, _) in row.walk() {
        let named_before = outline.iter().any(|(other, _)| {
            let repeated = FormDefinition::of_row(other.row());
            other.link_id == inner.link_id
                || (other.link_id != group.link_id && repeated.item(&inner.link_id).is_some())
        });
        if named_before {
            errors.push(at(inner, "link_id", "duplicate", "Another item has this link id."));
        }
        if matches!(inner.kind, ItemKind::RepeatingGroup { .. } | ItemKind::Calculated { .. }) {
            let message = "A repetition holds neither repetitions nor calculations.";
            errors.push(at(inner, "type", "invalid", message));
        }
    }
    errors.extend(check(&row));
}

/// The answer that the form itself has for an item, and what hangs on it.
fn check_initial(item: &Item, unseen: bool, errors: &mut Vec<FieldError>) {
    let own = !item.is_answerable() || matches!(item.kind, ItemKind::RepeatingGroup { .. });
    if own && (item.read_only || item.initial.is_some()) {
        errors.push(at(item, "initial", "invalid", "The item takes no answer of this kind."));
        return;
    }
    match item.initial.as_ref().map(|initial| read(&item.kind, initial)) {
        Some(Ok(answer)) => errors.extend(
            limits(&item.link_id, &item.kind, &answer)
                .into_iter()
                .map(|wrong| at(item, "initial", &wrong.code, wrong.message)),
        ),
        Some(Err(wanted)) => {
            errors.push(at(item, "initial", "invalid", format!("It has to be {wanted}.")));
        }
        None if item.required && (item.read_only || unseen) => {
            let message = "Nobody can answer it, so it needs an initial answer.";
            errors.push(at(item, "initial", "required", message));
        }
        None => {}
    }
    let holds = match &item.kind {
        ItemKind::Group { .. }
        | ItemKind::RepeatingGroup { .. }
        | ItemKind::Calculated { .. }
        | ItemKind::Display => false,
        _ => !item.takes_several(),
    };
    if !item.items.is_empty() && !holds {
        let message = "Only a question with a single answer has questions below it.";
        errors.push(at(item, "items", "invalid", message));
    }
}

fn check_options(item: &Item, options: &[ChoiceOption], errors: &mut Vec<FieldError>) {
    if options.is_empty() {
        errors.push(at(item, "options", "required", "A choice offers options."));
    }
    let (mut codes, mut codings) = (BTreeSet::new(), BTreeSet::new());
    for option in options {
        if option.code.trim().is_empty() || option.display.trim().is_empty() {
            errors.push(at(item, "options", "invalid", "An option has a code and a text."));
        }
        if !codes.insert(&option.code) {
            errors.push(at(item, "options", "duplicate", "Two options have one code."));
        }
        let meaning = option.coding.as_ref().map(|coding| (&coding.system, &coding.code));
        if meaning.is_some_and(|meaning| !codings.insert(meaning)) {
            errors.push(at(item, "options", "duplicate", "Two options have one coding."));
        }
    }
}

fn check_conditions(item: &Item, index: &Index<'_>, errors: &mut Vec<FieldError>) {
    let Some(when) = &item.enable_when else { return };
    if when.conditions.is_empty() {
        errors.push(at(item, "enable_when", "required", "It names at least one condition."));
    }
    for condition in &when.conditions {
        let verdict = match &condition.subject {
            Subject::Fact(fact) => check_fact(*fact, condition),
            Subject::Item(link_id) => match index.get(link_id.as_str()) {
                None => Err(("dangling", format!("There is no item {link_id}."))),
                Some(subject) => check_condition(subject, condition),
            },
        };
        if let Err((code, message)) = verdict {
            errors.push(at(item, "enable_when", code, message));
        }
    }
}

type Verdict = Result<(), (&'static str, String)>;

fn misfit(message: impl Into<String>) -> Verdict {
    Err(("operator_misfit", message.into()))
}

fn check_exists(condition: &Condition) -> Verdict {
    match condition.expected {
        Expected::Boolean(_) => Ok(()),
        _ => misfit("`exists` is compared with true or false."),
    }
}

fn check_fact(fact: Fact, condition: &Condition) -> Verdict {
    match (fact, condition.operator, &condition.expected) {
        (_, Operator::Exists, _) => check_exists(condition),
        (Fact::PatientSex, operator, Expected::Text(word)) if !operator.orders() => {
            if kernel::Sex::iter().any(|sex| sex.to_string() == *word) {
                Ok(())
            } else {
                misfit(format!("{word} is not a sex in the sense of FHIR."))
            }
        }
        (Fact::PatientAge, _, Expected::Number(_)) => Ok(()),
        _ => misfit(format!("{} {} does not fit this value.", fact, condition.operator)),
    }
}

fn check_condition(subject: &Item, condition: &Condition) -> Verdict {
    if matches!(subject.kind, ItemKind::Display | ItemKind::Group { .. }) {
        return misfit(format!("{} has no answer.", subject.link_id));
    }
    if condition.operator == Operator::Exists {
        return check_exists(condition);
    }
    let orders = condition.operator.orders();
    let fits = match (&subject.kind, &condition.expected) {
        (ItemKind::Boolean { .. }, Expected::Boolean(_))
        | (ItemKind::Text { .. }, Expected::Text(_)) => !orders,
        (ItemKind::SingleChoice { options } | ItemKind::MultipleChoice { options }, expected) => {
            !orders
                && matches!(expected, Expected::Text(code)
                    if options.iter().any(|option| option.code == *code))
        }
        (ItemKind::Number { integer: true, units, .. }, Expected::Number(value))
            if units.is_empty() =>
        {
            value.to_i32().is_some()
        }
        (ItemKind::Scale { .. }, Expected::Number(value)) => value.to_i32().is_some(),
        (ItemKind::Number { .. } | ItemKind::Calculated { .. }, Expected::Number(_)) => true,
        (ItemKind::Date { .. }, Expected::Text(date)) => date.parse::<chrono::NaiveDate>().is_ok(),
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        misfit(format!(
            "{} with this value does not fit the kind of {}.",
            condition.operator, subject.link_id
        ))
    }
}

fn check_calculation(
    item: &Item,
    calculation: &Calculation,
    index: &Index<'_>,
    errors: &mut Vec<FieldError>,
) {
    let inputs = calculation.inputs();
    if inputs.is_empty() {
        errors.push(at(item, "calculation", "required", "It names what it is computed from."));
    }
    for (position, link_id) in inputs.iter().enumerate() {
        let Some(input) = index.get(link_id) else {
            errors.push(at(
                item,
                "calculation",
                "dangling",
                format!("There is no item {link_id}."),
            ));
            continue;
        };
        if inputs[..position].contains(link_id) {
            errors.push(at(item, "calculation", "duplicate", format!("{link_id} counts twice.")));
        }
        let fits = match (calculation, &input.kind) {
            (
                Calculation::Sum { .. } | Calculation::AuditC { .. },
                ItemKind::SingleChoice { options },
            ) => options.iter().all(|option| option.score.is_some()),
            (Calculation::Sum { .. } | Calculation::AuditC { .. }, ItemKind::Scale { .. }) => true,
            (Calculation::Ascvd(inputs), kind) => fits_risk(inputs, link_id, kind),
            (Calculation::BodyMassIndex { height, .. }, ItemKind::Number { units, .. }) => {
                let base = if link_id == height { "m" } else { "kg" };
                units.first().is_some_and(|unit| converts(unit, base))
            }
            _ => false,
        };
        if !fits {
            errors.push(at(
                item,
                "calculation",
                "input_misfit",
                format!("{link_id} is of no use to this calculation."),
            ));
        }
    }
    if departs(item) {
        errors.push(at(
            item,
            "calculation",
            "cut_offs",
            "The code is that of an instrument with other published cut-offs.",
        ));
    }
    let ascending = calculation.bands().windows(2).all(|pair| pair[0].from < pair[1].from);
    if !ascending {
        errors.push(at(item, "calculation", "invalid", "The bands ascend."));
    }
}

fn fits_risk(inputs: &AscvdInputs, link_id: &str, kind: &ItemKind) -> bool {
    let unit = match kind {
        ItemKind::Number { units, .. } => units.first().map(String::as_str),
        _ => None,
    };
    if link_id == inputs.race {
        matches!(kind, ItemKind::SingleChoice { options }
            if options.iter().any(|option| option.code == "african_american"))
    } else if link_id == inputs.total_cholesterol || link_id == inputs.hdl_cholesterol {
        unit == Some("mg/dL")
    } else if link_id == inputs.systolic_pressure {
        unit == Some("mm[Hg]")
    } else {
        matches!(kind, ItemKind::Boolean { .. })
    }
}

/// Both sides of a rule exist and compare: two dates, or two numbers that are
/// kept in one unit.
fn check_rule(rule: &CrossRule, index: &Index<'_>, errors: &mut Vec<FieldError>) {
    let mut refuse = |code: &str, message: String| {
        errors.push(FieldError::new(format!("definition.rules.{}", rule.left), code, message));
    };
    if rule.message.trim().is_empty() {
        refuse("required", "A rule says what is wrong where it is broken.".into());
    }
    let (Some(left), Some(right)) = (index.get(rule.left.as_str()), index.get(rule.right.as_str()))
    else {
        refuse("dangling", format!("There is no item {} or {}.", rule.left, rule.right));
        return;
    };
    let unit = |item: &Item| match &item.kind {
        ItemKind::Number { units, .. } => Some(units.first().cloned()),
        ItemKind::Scale { .. } => Some(None),
        _ => None,
    };
    let both_dates =
        matches!((&left.kind, &right.kind), (ItemKind::Date { .. }, ItemKind::Date { .. }));
    let same_unit = unit(left).is_some() && unit(left) == unit(right);
    if rule.operator == Operator::Exists || rule.left == rule.right || !(both_dates || same_unit) {
        refuse("operator_misfit", "A rule compares two dates, or two numbers of one unit.".into());
    }
}

/// An item depends on its parent, on the items in its conditions and on what
/// it is computed from; none may come back to itself.
fn check_cycles(
    outline: &[(&Item, Option<&Item>)],
    index: &Index<'_>,
    errors: &mut Vec<FieldError>,
) {
    let mut needs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (item, parent) in outline {
        let edges = needs.entry(&item.link_id).or_default();
        edges.extend(parent.map(|parent| parent.link_id.as_str()));
        for condition in item.enable_when.iter().flat_map(|when| &when.conditions) {
            if let Subject::Item(link_id) = &condition.subject {
                edges.push(link_id);
            }
        }
        if let ItemKind::Calculated { calculation } = &item.kind {
            edges.extend(calculation.inputs());
        }
    }
    // Take away what depends on nothing that is left, until nothing more goes:
    // what stays lies on a cycle or depends on one.
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = settled.len();
        for (item, edges) in &needs {
            if edges.iter().all(|edge| settled.contains(edge) || !index.contains_key(edge)) {
                settled.insert(item);
            }
        }
        if settled.len() == before {
            break;
        }
    }
    for (link_id, _) in needs.iter().filter(|(link_id, _)| !settled.contains(*link_id)) {
        errors.push(FieldError::new(
            format!("definition.items.{link_id}.enable_when"),
            "cycle",
            "Whether the item is enabled depends on the item itself.",
        ));
    }
}

#[cfg(test)]
mod tests;
