//! JSON bodies whose errors name every field at fault. The framework itself
//! stops at the first and says only its type, so when it refuses a body, the
//! body is held against its schema to find the paths.

use kernel::FieldError;
use poem::{FromRequest as _, Request, RequestBody};
use poem_openapi::{
    payload::{Json, ParsePayload, Payload},
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseFromJSON, Type},
};
use serde_json::Value;

use super::{
    Problem,
    input::{find_unfit, may_hold_far_date},
    json,
    text::rule_of,
};

/// A JSON request body.
#[derive(Clone, Debug)]
pub struct Body<T>(pub T);

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        Json::<T>::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ParseFromJSON> ParsePayload for Body<T> {
    const IS_REQUIRED: bool = T::IS_REQUIRED;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        let bytes = Vec::<u8>::from_request(request, body).await?;
        let (value, repeated) = json::read(&bytes).map_err(|error| {
            // The reader's own message can quote the input, so only the place
            // is passed on.
            let (line, column) = (error.line(), error.column());
            let detail = format!("The body is no JSON: line {line}, column {column}.");
            Problem::bad_request("malformed_json", detail, &[])
        })?;
        let mut errors: Vec<FieldError> = repeated
            .into_iter()
            .map(|path| FieldError::new(path, "repeated", "A name stands once in an object."))
            .collect();
        find_unfit(&value, "", &mut errors);
        if !errors.is_empty() || may_hold_far_date(&value) {
            let others = faults::<T>(&value).into_iter();
            let news: Vec<_> =
                others.filter(|one| errors.iter().all(|known| known.path != one.path)).collect();
            errors.extend(news);
        }
        if !errors.is_empty() {
            return Err(invalid(&errors).into());
        }
        match T::parse_from_json(Some(value.clone())) {
            Ok(parsed) => Ok(Self(parsed)),
            Err(_) => Err(refuse::<T>(&value).into()),
        }
    }
}

poem_openapi::impl_apirequest_for_payload!(Body<T>, T: ParseFromJSON);

/// What the schema finds at fault.
fn faults<T: Type>(value: &Value) -> Vec<FieldError> {
    let mut registry = Registry::new();
    T::register(&mut registry);
    let mut errors = Vec::new();
    examine(&registry, &T::schema_ref(), value, "", &mut errors);
    errors
}

fn refuse<T: Type>(value: &Value) -> Problem {
    let mut errors = faults::<T>(value);
    if errors.is_empty() {
        errors.push(FieldError::new("", "invalid", "The body does not have the operation's form."));
    }
    invalid(&errors)
}

pub(super) fn invalid(errors: &[FieldError]) -> Problem {
    Problem::with_fields(
        kernel::ErrorKind::Invalid,
        "invalid_body",
        "The body does not have the operation's form.",
        errors,
    )
}

fn examine(
    registry: &Registry,
    reference: &MetaSchemaRef,
    value: &Value,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    let schema = match reference {
        MetaSchemaRef::Inline(schema) => schema.as_ref(),
        MetaSchemaRef::Reference(name) => match registry.schemas.get(name) {
            Some(schema) => schema,
            None => return,
        },
    };
    let before = errors.len();
    for part in &schema.all_of {
        examine(registry, part, value, path, errors);
    }
    let alternatives = if schema.any_of.is_empty() { &schema.one_of } else { &schema.any_of };
    if !alternatives.is_empty() {
        examine_alternatives(registry, alternatives, value, path, errors);
    }
    match (schema.ty, value) {
        ("object", Value::Object(object)) => {
            for name in &schema.required {
                if object.get(*name).is_none_or(Value::is_null) {
                    errors.push(FieldError::required(join(path, name)));
                }
            }
            for (name, property) in &schema.properties {
                if let Some(inner) = object.get(*name).filter(|inner| !inner.is_null()) {
                    examine(registry, property, inner, &join(path, name), errors);
                }
            }
            if let Some(additional) = &schema.additional_properties {
                let known = |name: &str| schema.properties.iter().any(|(known, _)| *known == name);
                for (name, inner) in object.iter().filter(|(name, _)| !known(name)) {
                    examine(registry, additional, inner, &join(path, name), errors);
                }
            }
        }
        ("array", Value::Array(list)) => {
            let out = |bound: Option<usize>, wrong: fn(usize, usize) -> bool| {
                bound.is_some_and(|bound| wrong(list.len(), bound))
            };
            if out(schema.max_items, |n, bound| n > bound) || out(schema.min_items, |n, b| n < b) {
                errors.push(FieldError::new(path, "length", "The list's length is out of bounds."));
            }
            if let Some(items) = &schema.items {
                for (index, inner) in list.iter().enumerate() {
                    examine(registry, items, inner, &format!("{path}[{index}]"), errors);
                }
            }
        }
        (ty, value) => examine_plain(schema, ty, value, path, errors),
    }
    if errors.len() == before && !schema.enum_items.is_empty() && !schema.enum_items.contains(value)
    {
        let choices: Vec<String> = schema.enum_items.iter().map(ToString::to_string).collect();
        let message = format!("One of {}.", choices.join(", "));
        errors.push(FieldError::new(path, "not_a_choice", message));
    }
}

/// The alternative that the value comes closest to speaks for all.
fn examine_alternatives(
    registry: &Registry,
    alternatives: &[MetaSchemaRef],
    value: &Value,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    let closest = alternatives
        .iter()
        .map(|alternative| {
            let mut errors = Vec::new();
            examine(registry, alternative, value, path, &mut errors);
            errors
        })
        .min_by_key(Vec::len)
        .unwrap_or_default();
    errors.extend(closest);
}

fn examine_plain(
    schema: &MetaSchema,
    ty: &str,
    value: &Value,
    path: &str,
    errors: &mut Vec<FieldError>,
) {
    let fits = match ty {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => is_integer(value),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        _ => true,
    };
    if !fits {
        errors.push(FieldError::new(path, "wrong_type", format!("This is a {ty}.")));
        return;
    }
    if let Some(message) = schema.format.and_then(|format| number_misfit(format, value)) {
        errors.push(FieldError::new(path, "out_of_range", message));
        return;
    }
    if let (Value::String(text), Some(rule)) = (value, rule_of(schema)) {
        errors.extend(rule.check(path, text).err());
        return;
    }
    if let Value::String(text) = value {
        let length = text.chars().count();
        if schema.max_length.is_some_and(|most| length > most)
            || schema.min_length.is_some_and(|least| length < least)
        {
            errors.push(FieldError::new(path, "length", "The text's length is out of bounds."));
        }
        if let Some(format) = schema.format
            && !format_fits(format, text)
        {
            errors.push(FieldError::new(path, "format", format!("This is a {format}.")));
        }
        if let Some(pattern) = &schema.pattern
            && !regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(text))
        {
            errors.push(FieldError::new(path, "pattern", format!("This must match {pattern}.")));
        }
    }
    if let Some(number) = value.as_f64()
        && (schema.maximum.is_some_and(|most| number > most)
            || schema.minimum.is_some_and(|least| number < least))
    {
        errors.push(FieldError::new(path, "out_of_range", "The number is out of bounds."));
    }
}

/// Whether a number is written without a fraction, however large it is.
fn is_integer(value: &Value) -> bool {
    let Value::Number(number) = value else { return false };
    number.to_string().trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit())
}

/// Why a format cannot hold a number.
fn number_misfit(format: &str, value: &Value) -> Option<String> {
    let Value::Number(number) = value else { return None };
    let (least, most) = match format {
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "int64" => (i64::MIN.into(), i64::MAX.into()),
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        "uint64" => (0, u64::MAX.into()),
        "decimal" => {
            let misfit = kernel::Decimal::try_from(number).err();
            return misfit.map(|_| "A number has at most 28 digits.".to_owned());
        }
        _ => return None,
    };
    let fits = number.to_string().parse().is_ok_and(|whole: i128| (least..=most).contains(&whole));
    (!fits).then(|| format!("This is an integer from {least} to {most}."))
}

/// Whether a text fits a format; a format that is not known here passes.
fn format_fits(format: &str, text: &str) -> bool {
    match format {
        "uuid" => text.parse::<kernel::Uuid>().is_ok(),
        "naive-date" => {
            text.parse::<chrono::NaiveDate>().is_ok_and(|date| kernel::year_fits(&date))
        }
        "date-time" => text
            .parse::<chrono::DateTime<chrono::FixedOffset>>()
            .is_ok_and(|time| kernel::year_fits(&time.date_naive())),
        _ => true,
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use poem_openapi::Object;
    use serde_json::json;

    use super::*;
    use crate::Text;

    #[derive(Debug, Object)]
    struct Inner {
        #[oai(validator(maximum(value = "10")))]
        count: i32,
    }

    #[derive(Debug, Object)]
    struct Outer {
        id: kernel::Uuid,
        inner: Inner,
        list: Vec<Inner>,
        note: Option<String>,
        small: Option<u8>,
        large: Option<i64>,
        exact: Option<crate::Exact>,
        reason: Option<Text<kernel::text::GraveReason>>,
    }

    fn paths(value: Value) -> Vec<String> {
        let Problem::Invalid(Json(body)) = refuse::<Outer>(&value) else { panic!("not invalid") };
        body.errors.into_iter().map(|field| format!("{} {}", field.path, field.code)).collect()
    }

    #[test]
    fn every_field_at_fault_is_named_by_its_path() {
        let value = json!({
            "id": "x", "inner": {}, "list": [{"count": 1}, {"count": 11}, {"count": "1"}], "note": 5,
            "reason": "It is \u{200B} needed.", "small": 256, "large": -1e30, "exact": 1e300,
        });
        assert_eq!(
            paths(value),
            [
                "id format",
                "inner.count required",
                "list[1].count out_of_range",
                "list[2].count wrong_type",
                "note wrong_type",
                "small out_of_range",
                "large wrong_type",
                "exact out_of_range",
                "reason character"
            ]
        );
        assert_eq!(paths(json!([])), [" wrong_type"]);
        let body = r#"{"id": "0192f0c1-a0b0-7c00-8000-00000000000a", "list": [],
            "inner": {"count": 99999999999}, "large": 99999999999999999999, "small": -1,
            "exact": 12345678901234567890123456789}"#;
        assert_eq!(
            paths(serde_json::from_str(body).unwrap()),
            [
                "inner.count out_of_range",
                "small out_of_range",
                "large out_of_range",
                "exact out_of_range"
            ]
        );
    }

    #[derive(Debug, Object)]
    struct Dated {
        on: chrono::NaiveDate,
        note: String,
    }

    #[test]
    fn a_far_year_is_refused_in_a_date_and_not_in_a_text() {
        let found = |value: Value| {
            assert!(may_hold_far_date(&value));
            faults::<Dated>(&value).into_iter().map(|field| field.path).collect::<Vec<_>>()
        };
        assert_eq!(found(json!({"on": "-0044-03-15", "note": ""})), ["on"]);
        assert_eq!(found(json!({"on": "2026-03-15", "note": "-0044-03-15"})), [""; 0]);
    }
}
