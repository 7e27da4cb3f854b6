//! Text of a kind, as requests carry it. The schema says what the kind takes,
//! and [`super::Body`] names every fault by that schema.

use std::{borrow::Cow, fmt, marker::PhantomData, ops::Deref, str::FromStr};

use kernel::{
    FieldError, Icd10, Ndc, RxNorm, TextKind,
    text::{DiagnosisCode, DrugCode, PackageCode, Rule, Shape},
};
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::Value;

use super::{Problem, body::invalid};

/// A text that its kind has taken, or one that was kept earlier and is shown.
pub struct Text<K> {
    text: String,
    kind: PhantomData<fn() -> K>,
}

impl<K: TextKind> Text<K> {
    /// What the domain reads of a text that its kind has taken.
    pub fn read<T: FromStr>(&self, path: &str) -> Result<T, Problem> {
        self.text.parse().map_err(|_| misread(path))
    }
}

impl Text<PackageCode> {
    pub fn ndc(&self, path: &str) -> Result<Ndc, Problem> {
        Ndc::printed(&self.text).map_err(|_| misread(path))
    }
}

fn misread(path: &str) -> Problem {
    invalid(&[FieldError::new(path, "invalid", "This is not of the field's form.")])
}

impl<K> Clone for Text<K> {
    fn clone(&self) -> Self {
        self.text.clone().into()
    }
}

impl<K> Default for Text<K> {
    fn default() -> Self {
        String::new().into()
    }
}

impl<K> fmt::Debug for Text<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl<K> PartialEq for Text<K> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<K> Deref for Text<K> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl<K> From<String> for Text<K> {
    fn from(text: String) -> Self {
        Self { text, kind: PhantomData }
    }
}

impl<K> From<&str> for Text<K> {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl<K> From<Text<K>> for String {
    fn from(text: Text<K>) -> Self {
        text.text
    }
}

/// A code of the domain, as it is shown.
macro_rules! shown {
    ($($code:ident as $kind:ident),+) => {$(
        impl From<$code> for Text<$kind> {
            fn from(code: $code) -> Self {
                String::from(code).into()
            }
        }
    )+};
}

shown!(Icd10 as DiagnosisCode, Ndc as PackageCode, RxNorm as DrugCode);

impl<K: TextKind> Type for Text<K> {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;

    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        format!("string_{}", K::RULE.shape.word()).into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let Rule { shape, least, most } = K::RULE;
        let mut schema = MetaSchema::new_with_format("string", shape.word());
        schema.min_length = (least > 0).then_some(least);
        schema.max_length = Some(most);
        MetaSchemaRef::Inline(Box::new(schema))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl<K: TextKind> ParseFromJSON for Text<K> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value.unwrap_or_default() {
            Value::String(text) => K::take("", &text)
                .map(Self::from)
                .map_err(|error| ParseError::custom(error.message)),
            other => Err(ParseError::expected_type(other)),
        }
    }
}

impl<K: TextKind> ToJSON for Text<K> {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.text.clone()))
    }
}

/// The rule of the kind that a schema describes.
pub fn rule_of(schema: &MetaSchema) -> Option<Rule> {
    let shape = Shape::from_word(schema.format?)?;
    let least = schema.min_length.unwrap_or_default();
    Some(Rule { shape, least, most: schema.max_length.unwrap_or(usize::MAX) })
}
