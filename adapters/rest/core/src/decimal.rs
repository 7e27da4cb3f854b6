use std::borrow::Cow;

use kernel::Decimal;
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::Value;

/// A number that comes and goes with the digits that were written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exact(pub Decimal);

impl From<Decimal> for Exact {
    fn from(value: Decimal) -> Self {
        Self(value)
    }
}

impl From<Exact> for Decimal {
    fn from(value: Exact) -> Self {
        value.0
    }
}

impl Type for Exact {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;

    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "number_decimal".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("number", "decimal")))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for Exact {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value.unwrap_or_default() {
            Value::Number(number) => {
                Decimal::try_from(&number).map(Self).map_err(ParseError::custom)
            }
            other => Err(ParseError::expected_type(other)),
        }
    }
}

impl ToJSON for Exact {
    fn to_json(&self) -> Option<Value> {
        Some(Value::Number(self.0.to_number()))
    }
}
