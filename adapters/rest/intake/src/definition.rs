//! A form definition on the wire: one flat shape for every type of item, as in
//! FHIR's `Questionnaire.item`, with the fields that its type has.

use api::{Exact, Mirror, Text};
use chrono::NaiveDate;
use intake::{
    AscvdInputs, Band, Behavior, Calculation, ChoiceOption, Condition, Consent, CrossRule,
    EnableWhen, Expected, Fact, Item, ItemKind, Operator, Subject,
};
use kernel::{
    Coding, Decimal, FieldError,
    text::{FormLabel, FormText},
};
use poem_openapi::{Enum, Object, types::Any};
use serde_json::Value;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[oai(rename = "FormItemType", rename_all = "snake_case")]
pub enum ItemTypeWord {
    #[default]
    Text,
    /// A number, with units where it has some.
    Number,
    Date,
    SingleChoice,
    MultipleChoice,
    Boolean,
    /// A whole number between two labelled ends.
    Scale,
    /// Photos; the answer is a list of the ids of uploaded ones.
    Photo,
    /// Words that are shown and not answered.
    Display,
    /// Holds other items.
    Group,
    /// Holds questions that are answered any number of times; the answer is a
    /// list of objects by link id.
    RepeatingGroup,
    /// Computed from other answers.
    Calculated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename = "FormCalculationMethod", rename_all = "snake_case")]
pub enum MethodWord {
    /// The sum of the scores of what was chosen.
    Sum,
    /// Inputs are the height and the weight, in this order.
    BodyMassIndex,
    /// The AUDIT-C; inputs are its three questions. The cut-offs are those
    /// published for the patient's sex.
    AuditC,
    /// The ten-year cardiovascular risk by the pooled cohort equations, in per
    /// cent. Inputs are the race, the total and the HDL cholesterol, the
    /// systolic pressure, whether it is treated, diabetes and smoking, in this
    /// order; age and sex are the profile's.
    Ascvd,
}

/// A code of a code system.
#[derive(Clone, Debug, Object)]
#[oai(rename = "FormCode", remote = "Coding")]
pub struct FormCodeView {
    /// The system's URI, as in `http://loinc.org`.
    pub system: String,
    pub code: String,
    pub display: Text<FormLabel>,
}

/// A condition, as in FHIR's `enableWhen`.
#[derive(Clone, Debug, Object)]
#[oai(rename = "FormCondition")]
pub struct FormConditionView {
    /// The link id of another item, or `patient.sex` or `patient.age` for what
    /// the profile says.
    pub question: String,
    /// One of `exists`, `=`, `!=`, `>`, `<`, `>=` and `<=`.
    pub operator: String,
    /// What the answer is compared with: true or false, a number in the first
    /// unit of the question, or the words of a text, a choice's code or a date.
    pub answer: Any<Value>,
}

/// A choice.
#[derive(Clone, Debug, Object, Mirror)]
#[oai(rename = "FormOption")]
#[mirror(from = ChoiceOption, into = ChoiceOption)]
pub struct FormOptionView {
    pub code: String,
    pub display: Text<FormLabel>,
    /// What the choice adds to a sum.
    pub score: Option<i32>,
    /// A clinician has to see that this was chosen.
    #[oai(default)]
    pub flag: bool,
    /// It excludes every other choice, as in "none of these".
    #[oai(default)]
    pub exclusive: bool,
    pub coding: Option<FormCodeView>,
}

/// A document that a boolean item agrees to.
#[derive(Clone, Debug, Object)]
#[oai(rename = "FormConsent", remote = "Consent")]
pub struct FormConsentView {
    pub document: Text<FormLabel>,
    pub version: Text<FormLabel>,
}

/// A range of a score that has a name.
#[derive(Clone, Debug, Object)]
#[oai(rename = "FormBand", remote = "Band")]
pub struct FormBandView {
    /// The lowest value of the range, which goes up to the next band.
    pub from: Exact,
    pub code: String,
    pub label: Text<FormLabel>,
}

/// How a calculated item comes about.
#[derive(Clone, Debug, Object)]
#[oai(rename = "FormCalculation")]
pub struct FormCalculationView {
    pub method: MethodWord,
    /// The link ids that it is computed from.
    pub inputs: Vec<String>,
    #[oai(default)]
    pub bands: Vec<FormBandView>,
}

/// A rule between two answers; it holds while either is missing.
#[derive(Clone, Debug, Object, Mirror)]
#[oai(rename = "FormRule")]
#[mirror(from = CrossRule)]
pub struct FormRuleView {
    /// The link id of the answer that is at fault where the rule is broken.
    pub left: String,
    /// One of `=`, `!=`, `>`, `<`, `>=` and `<=`.
    #[mirror(|rule| rule.operator.to_string())]
    pub operator: String,
    /// The link id of the answer that it is compared with.
    pub right: String,
    /// What to tell the patient.
    pub message: Text<FormText>,
}

impl FormRuleView {
    pub fn read(self, errors: &mut Vec<FieldError>) -> Option<CrossRule> {
        match self.operator.parse() {
            Ok(operator) => Some(CrossRule {
                left: self.left,
                operator,
                right: self.right,
                message: self.message.into(),
            }),
            Err(_) => {
                let path = format!("rules.{}.operator", self.left);
                let message = "The operator is one of =, !=, >, <, >= and <=.";
                errors.push(FieldError::new(path, "invalid", message));
                None
            }
        }
    }
}

/// An item of a form.
#[derive(Clone, Debug, Default, Object)]
#[oai(rename = "FormItem", skip_serializing_if_is_none)]
pub struct FormItemView {
    /// The name of the item, unique in the form; an answer is given by it.
    pub link_id: String,
    #[oai(rename = "type")]
    pub kind: ItemTypeWord,
    pub text: Text<FormText>,
    pub help: Option<Text<FormText>>,
    /// What the question is in a code system.
    pub code: Option<FormCodeView>,
    /// An answer is needed whenever the item is enabled.
    #[oai(default)]
    pub required: bool,
    /// Nobody is shown it or what is below it; its answer is `initial`.
    #[oai(default)]
    pub hidden: bool,
    /// Its answer is `initial`, and no other is taken.
    #[oai(default)]
    pub read_only: bool,
    /// What the answer is before a patient gives one, written as an answer.
    pub initial: Option<Any<Value>>,
    /// Whether all of `enable_when` have to hold or any; all without it.
    pub enable_behavior: Option<Behavior>,
    /// The item is enabled while these hold, and always without any. What is
    /// below a disabled item is disabled with it.
    #[oai(default, skip_serializing_if_is_empty)]
    pub enable_when: Vec<FormConditionView>,
    /// Of a text.
    pub max_length: Option<u32>,
    /// Of a text: a regular expression for the whole of it.
    pub pattern: Option<String>,
    /// Of a text: the answer is a list.
    pub repeats: Option<bool>,
    /// Of a number, in `limit_unit`, of a scale, of how often a group repeats,
    /// or of how many photos there are.
    pub minimum: Option<Exact>,
    /// Of a number, in `limit_unit`, of a scale, of how often a group repeats,
    /// or of how many photos there are.
    pub maximum: Option<Exact>,
    /// Of a number with units: the one that its limits are in. It is the first
    /// of them when the form is read; another one is converted when it is
    /// written.
    pub limit_unit: Option<String>,
    /// Of a number. One without units has 32 bits.
    pub integer: Option<bool>,
    /// Of a number: UCUM codes. Where there are several, an answer names one.
    #[oai(default, skip_serializing_if_is_empty)]
    pub units: Vec<String>,
    /// Of a date.
    pub earliest: Option<NaiveDate>,
    /// Of a date.
    pub latest: Option<NaiveDate>,
    /// Of a choice.
    #[oai(default, skip_serializing_if_is_empty)]
    pub options: Vec<FormOptionView>,
    /// Of a boolean.
    pub consent: Option<FormConsentView>,
    /// Of a scale.
    pub minimum_label: Option<Text<FormLabel>>,
    /// Of a scale.
    pub maximum_label: Option<Text<FormLabel>>,
    /// Of a calculated item.
    pub calculation: Option<FormCalculationView>,
    /// Of a group, repeating or not, and of a question with a single answer:
    /// what is asked below it.
    #[oai(default, skip_serializing_if_is_empty)]
    pub items: Vec<FormItemView>,
}

impl From<Condition> for FormConditionView {
    fn from(condition: Condition) -> Self {
        let question = match condition.subject {
            Subject::Item(link_id) => link_id,
            Subject::Fact(fact) => fact.to_string(),
        };
        let answer = match condition.expected {
            Expected::Boolean(value) => value.into(),
            Expected::Number(value) => value.to_number().into(),
            Expected::Text(value) => value.into(),
        };
        Self { question, operator: condition.operator.to_string(), answer: Any(answer) }
    }
}

impl FormCalculationView {
    fn of(calculation: Calculation) -> Self {
        let (method, inputs, bands) = match calculation {
            Calculation::Sum { of, bands } => (MethodWord::Sum, of, bands),
            Calculation::BodyMassIndex { height, weight, bands } => {
                (MethodWord::BodyMassIndex, vec![height, weight], bands)
            }
            Calculation::AuditC { of } => (MethodWord::AuditC, of.into(), Vec::new()),
            Calculation::Ascvd(inputs) => (
                MethodWord::Ascvd,
                vec![
                    inputs.race,
                    inputs.total_cholesterol,
                    inputs.hdl_cholesterol,
                    inputs.systolic_pressure,
                    inputs.treated_hypertension,
                    inputs.diabetes,
                    inputs.smoker,
                ],
                Vec::new(),
            ),
        };
        Self { method, inputs, bands: bands.into_iter().map(Into::into).collect() }
    }
}

impl From<Item> for FormItemView {
    fn from(item: Item) -> Self {
        let (link_id, text) = (item.link_id.clone(), item.text.clone().into());
        let bare = |kind| Self { link_id, kind, text, ..Self::default() };
        let choices =
            |options: Vec<ChoiceOption>| options.into_iter().map(Into::into).collect::<Vec<_>>();
        let mut view = match item.kind {
            ItemKind::Text { max_length, pattern, repeats } => Self {
                max_length: Some(max_length),
                pattern,
                repeats: Some(repeats),
                ..bare(ItemTypeWord::Text)
            },
            ItemKind::Number { minimum, maximum, integer, units } => Self {
                minimum: minimum.map(Into::into),
                maximum: maximum.map(Into::into),
                limit_unit: units
                    .first()
                    .filter(|_| minimum.is_some() || maximum.is_some())
                    .cloned(),
                integer: Some(integer),
                units,
                ..bare(ItemTypeWord::Number)
            },
            ItemKind::Date { earliest, latest } => {
                Self { earliest, latest, ..bare(ItemTypeWord::Date) }
            }
            ItemKind::SingleChoice { options } => {
                Self { options: choices(options), ..bare(ItemTypeWord::SingleChoice) }
            }
            ItemKind::MultipleChoice { options } => {
                Self { options: choices(options), ..bare(ItemTypeWord::MultipleChoice) }
            }
            ItemKind::Boolean { consent } => {
                Self { consent: consent.map(Into::into), ..bare(ItemTypeWord::Boolean) }
            }
            ItemKind::Scale { minimum, maximum, minimum_label, maximum_label } => Self {
                minimum: Some(Decimal::from(minimum).into()),
                maximum: Some(Decimal::from(maximum).into()),
                minimum_label: minimum_label.map(Into::into),
                maximum_label: maximum_label.map(Into::into),
                ..bare(ItemTypeWord::Scale)
            },
            ItemKind::Photo { minimum, maximum } => Self {
                minimum: Some(Decimal::from(minimum).into()),
                maximum: Some(Decimal::from(maximum).into()),
                ..bare(ItemTypeWord::Photo)
            },
            ItemKind::Display => bare(ItemTypeWord::Display),
            ItemKind::Group { items } => Self {
                items: items.into_iter().map(Into::into).collect(),
                ..bare(ItemTypeWord::Group)
            },
            ItemKind::RepeatingGroup { items, minimum, maximum } => Self {
                items: items.into_iter().map(Into::into).collect(),
                minimum: Some(Decimal::from(minimum).into()),
                maximum: Some(Decimal::from(maximum).into()),
                ..bare(ItemTypeWord::RepeatingGroup)
            },
            ItemKind::Calculated { calculation } => Self {
                calculation: Some(FormCalculationView::of(calculation)),
                ..bare(ItemTypeWord::Calculated)
            },
        };
        view.help = item.help.map(Into::into);
        view.code = item.code.map(Into::into);
        view.required = item.required;
        view.hidden = item.hidden;
        view.read_only = item.read_only;
        view.initial = item.initial.map(Any);
        if !item.items.is_empty() {
            view.items = item.items.into_iter().map(Into::into).collect();
        }
        if let Some(when) = item.enable_when {
            view.enable_behavior = Some(when.behavior);
            view.enable_when = when.conditions.into_iter().map(Into::into).collect();
        }
        view
    }
}

impl FormItemView {
    /// The item that the view describes; what cannot be read goes to `errors`.
    /// Whether the definition makes sense is for its publication to say.
    pub fn read(self, errors: &mut Vec<FieldError>) -> Option<Item> {
        let link_id = self.link_id.clone();
        let mut refuse = |field: &str, code: &str, message: &str| {
            errors.push(FieldError::new(format!("items.{link_id}.{field}"), code, message));
            None
        };
        let mut conditions = Vec::new();
        for condition in self.enable_when {
            match condition.read() {
                Ok(condition) => conditions.push(condition),
                Err(message) => {
                    refuse("enable_when", "invalid", message);
                }
            }
        }
        let behavior = self.enable_behavior.unwrap_or(Behavior::All);
        let options = self.options.into_iter().map(Into::into).collect();
        // Limits are kept in the first unit, whichever they were written in.
        let first = self.units.first().cloned();
        let in_first_unit = |limit: Option<Exact>| match (limit, &self.limit_unit, &first) {
            (Some(Exact(limit)), Some(unit), Some(first)) => {
                intake::units::convert(limit, unit, first).map(Some)
            }
            (Some(_), Some(_), None) => None,
            (limit, ..) => Some(limit.map(|limit| limit.0)),
        };
        let limits = match self.kind {
            ItemTypeWord::Number => in_first_unit(self.minimum).zip(in_first_unit(self.maximum)),
            _ => Some((None, None)),
        };
        let Some((least, most)) = limits else {
            let message = "It converts into the first unit of the question.";
            return refuse("limit_unit", "invalid", message);
        };
        // What is no count is refused.
        let count = |limit: Option<Exact>, absent: Option<u32>| match limit {
            None => absent,
            limit => whole(limit).and_then(|limit| u32::try_from(limit).ok()),
        };
        // What is below a question of any kind that is no group.
        let in_group = matches!(self.kind, ItemTypeWord::Group | ItemTypeWord::RepeatingGroup);
        let (group_items, question_items) =
            if in_group { (self.items, Vec::new()) } else { (Vec::new(), self.items) };
        let kind = match self.kind {
            ItemTypeWord::Text => ItemKind::Text {
                max_length: self.max_length.unwrap_or(2_000),
                pattern: self.pattern,
                repeats: self.repeats.unwrap_or(false),
            },
            ItemTypeWord::Number => ItemKind::Number {
                minimum: least,
                maximum: most,
                integer: self.integer.unwrap_or(false),
                units: self.units,
            },
            ItemTypeWord::Date => ItemKind::Date { earliest: self.earliest, latest: self.latest },
            ItemTypeWord::SingleChoice => ItemKind::SingleChoice { options },
            ItemTypeWord::MultipleChoice => ItemKind::MultipleChoice { options },
            ItemTypeWord::Boolean => ItemKind::Boolean { consent: self.consent.map(Into::into) },
            ItemTypeWord::Scale => match (whole(self.minimum), whole(self.maximum)) {
                (Some(minimum), Some(maximum)) => ItemKind::Scale {
                    minimum,
                    maximum,
                    minimum_label: self.minimum_label.map(Into::into),
                    maximum_label: self.maximum_label.map(Into::into),
                },
                _ => {
                    let message = "A scale has two whole numbers as its ends.";
                    return refuse("minimum", "required", message);
                }
            },
            ItemTypeWord::Photo => {
                match (count(self.minimum, Some(1)), count(self.maximum, Some(1))) {
                    (Some(minimum), Some(maximum)) => ItemKind::Photo { minimum, maximum },
                    _ => {
                        let message = "How many photos there are is a whole number.";
                        return refuse("maximum", "invalid", message);
                    }
                }
            }
            ItemTypeWord::Display => ItemKind::Display,
            ItemTypeWord::Group => ItemKind::Group {
                items: group_items.into_iter().filter_map(|item| item.read(errors)).collect(),
            },
            ItemTypeWord::RepeatingGroup => {
                let Some(maximum) = count(self.maximum, None) else {
                    return refuse("maximum", "required", "How often it repeats at most.");
                };
                let Some(minimum) = count(self.minimum, Some(0)) else {
                    let message = "How often it repeats is a whole number.";
                    return refuse("minimum", "invalid", message);
                };
                let items = group_items.into_iter().filter_map(|item| item.read(errors)).collect();
                ItemKind::RepeatingGroup { minimum, maximum, items }
            }
            ItemTypeWord::Calculated => {
                match self.calculation.and_then(FormCalculationView::read) {
                    Some(calculation) => ItemKind::Calculated { calculation },
                    None => {
                        let message = "It has a method and the method's inputs.";
                        return refuse("calculation", "required", message);
                    }
                }
            }
        };
        Some(Item {
            link_id: self.link_id,
            text: self.text.into(),
            help: self.help.map(Into::into),
            code: self.code.map(Into::into),
            required: self.required,
            hidden: self.hidden,
            read_only: self.read_only,
            initial: self.initial.map(|initial| initial.0),
            enable_when: (!conditions.is_empty()).then_some(EnableWhen { behavior, conditions }),
            kind,
            items: question_items.into_iter().filter_map(|item| item.read(errors)).collect(),
        })
    }
}

fn whole(value: Option<Exact>) -> Option<i64> {
    value.and_then(|value| value.0.to_i32()).map(i64::from)
}

impl FormConditionView {
    fn read(self) -> Result<Condition, &'static str> {
        let subject = match self.question.parse::<Fact>() {
            Ok(fact) => Subject::Fact(fact),
            Err(_) => Subject::Item(self.question),
        };
        let operator: Operator = self
            .operator
            .parse()
            .map_err(|_| "The operator is one of exists, =, !=, >, <, >= and <=.")?;
        let expected = match self.answer.0 {
            Value::Bool(value) => Expected::Boolean(value),
            Value::Number(value) => {
                let number = Decimal::try_from(&value);
                Expected::Number(number.map_err(|_| "The number has at most 28 digits.")?)
            }
            Value::String(value) => Expected::Text(value),
            _ => return Err("The answer is true or false, a number or a text."),
        };
        Ok(Condition { subject, operator, expected })
    }
}

impl FormCalculationView {
    fn read(self) -> Option<Calculation> {
        let bands = self.bands.into_iter().map(Into::into).collect();
        match self.method {
            MethodWord::Sum => Some(Calculation::Sum { of: self.inputs, bands }),
            MethodWord::BodyMassIndex => {
                let [height, weight] = <[String; 2]>::try_from(self.inputs).ok()?;
                Some(Calculation::BodyMassIndex { height, weight, bands })
            }
            MethodWord::AuditC => {
                Some(Calculation::AuditC { of: <[String; 3]>::try_from(self.inputs).ok()? })
            }
            MethodWord::Ascvd => {
                let [race, total, hdl, pressure, treated, diabetes, smoker] =
                    <[String; 7]>::try_from(self.inputs).ok()?;
                Some(Calculation::Ascvd(AscvdInputs {
                    race,
                    total_cholesterol: total,
                    hdl_cholesterol: hdl,
                    systolic_pressure: pressure,
                    treated_hypertension: treated,
                    diabetes,
                    smoker,
                }))
            }
        }
    }
}
