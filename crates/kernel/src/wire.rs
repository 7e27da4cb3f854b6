//! Ids and words as the API's document describes them, for the surface that serves
//! them. Feature `wire`.

pub use poem_openapi;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
pub use serde_json;

/// An id is a UUID on the wire.
macro_rules! id {
    ($name:ident) => {
        impl poem_openapi::types::Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                <Uuid as poem_openapi::types::Type>::name()
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                <Uuid as poem_openapi::types::Type>::schema_ref()
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl poem_openapi::types::ParseFromJSON for $name {
            fn parse_from_json(
                value: Option<serde_json::Value>,
            ) -> poem_openapi::types::ParseResult<Self> {
                Uuid::parse_from_json(value)
                    .map(Self)
                    .map_err(poem_openapi::types::ParseError::propagate)
            }
        }

        impl poem_openapi::types::ParseFromParameter for $name {
            fn parse_from_parameter(value: &str) -> poem_openapi::types::ParseResult<Self> {
                value.parse().map_err(poem_openapi::types::ParseError::custom)
            }
        }

        impl poem_openapi::types::ToJSON for $name {
            fn to_json(&self) -> Option<serde_json::Value> {
                Some(self.0.to_string().into())
            }
        }
    };
}

pub(crate) use id;

/// The schema of an enumeration, as poem-openapi derives it.
pub fn word_schema(description: &'static str, words: &[&'static str]) -> MetaSchema {
    let mut schema = MetaSchema::new("string");
    schema.description = (!description.is_empty()).then_some(description);
    schema.enum_items = words.iter().map(|word| (*word).into()).collect();
    schema
}

pub fn reference(name: &str) -> MetaSchemaRef {
    MetaSchemaRef::Reference(name.to_owned())
}

/// A word is an enumeration on the wire.
#[doc(hidden)]
#[macro_export]
macro_rules! word_on_the_wire {
    ($name:ident, $wire:expr, $docs:expr) => {
        impl $crate::wire::poem_openapi::types::Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                $wire.into()
            }

            fn schema_ref() -> $crate::wire::poem_openapi::registry::MetaSchemaRef {
                $crate::wire::reference($wire)
            }

            fn register(registry: &mut $crate::wire::poem_openapi::registry::Registry) {
                registry.create_schema::<Self, _>($wire.to_owned(), |_| {
                    $crate::wire::word_schema($docs, Self::WORDS)
                });
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl $crate::wire::poem_openapi::types::ParseFromJSON for $name {
            fn parse_from_json(
                value: Option<$crate::wire::serde_json::Value>,
            ) -> $crate::wire::poem_openapi::types::ParseResult<Self> {
                let value = value.unwrap_or_default();
                let word = value.as_str().and_then(|word| word.parse().ok());
                word.ok_or_else(|| {
                    $crate::wire::poem_openapi::types::ParseError::expected_type(value)
                })
            }
        }

        impl $crate::wire::poem_openapi::types::ParseFromParameter for $name {
            fn parse_from_parameter(
                value: &str,
            ) -> $crate::wire::poem_openapi::types::ParseResult<Self> {
                value.parse().map_err($crate::wire::poem_openapi::types::ParseError::custom)
            }
        }

        impl $crate::wire::poem_openapi::types::ToJSON for $name {
            fn to_json(&self) -> Option<$crate::wire::serde_json::Value> {
                Some(self.word().into())
            }
        }
    };
}
