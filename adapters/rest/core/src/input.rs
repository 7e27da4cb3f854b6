//! What no operation takes, wherever it stands in a request: characters that no
//! field can keep, and years that the database or a calendar on paper has no
//! room for.

use chrono::{DateTime, FixedOffset, NaiveDate};
use kernel::{
    FieldError,
    text::{is_refused_everywhere, refusal},
};
use poem::{Endpoint, IntoResponse as _, Middleware, Request, Response, http::StatusCode};
use serde_json::Value;

use super::Problem;

/// A date or a time whose year does not fit.
fn is_far_date(text: &str) -> bool {
    let text = text.trim();
    let date = text.parse::<NaiveDate>().ok();
    let date = date.or_else(|| Some(text.parse::<DateTime<FixedOffset>>().ok()?.date_naive()));
    date.is_some_and(|date| !kernel::year_fits(&date))
}

/// Passwords have a rule of their own: a new one is refused with its reasons,
/// and another is simply not the right one.
const PASSWORDS: [&str; 3] = ["password", "current_password", "new_password"];

/// What a text holds that no field can keep.
fn unfit(text: &str) -> Option<char> {
    text.chars().find(|c| is_refused_everywhere(*c))
}

/// Finds in a JSON value every text and every name that holds a character that
/// no field can keep, and every number beyond what a client or the database
/// computes with.
pub fn find_unfit(value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::String(text) => {
            let found = match PASSWORDS.contains(&path) {
                true => text.contains('\0').then_some('\0'),
                false => unfit(text),
            };
            errors.extend(found.map(|c| refusal(path, c)));
        }
        Value::Number(number) if number.as_f64().is_none_or(|number| !number.is_finite()) => {
            errors.push(FieldError::new(path, "out_of_range", "The number is too large."));
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                find_unfit(inner, &format!("{path}[{index}]"), errors);
            }
        }
        Value::Object(object) => {
            for (name, inner) in object {
                if let Some(c) = unfit(name) {
                    errors.push(refusal(path, c));
                    continue;
                }
                let inside = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                find_unfit(inner, &inside, errors);
            }
        }
        _ => {}
    }
}

/// Whether a text of the value looks like a date with a far year. Only the
/// schema says whether it is meant as one, and asking it costs more.
pub fn may_hold_far_date(value: &Value) -> bool {
    match value {
        Value::String(text) => is_far_date(text),
        Value::Array(list) => list.iter().any(may_hold_far_date),
        Value::Object(object) => object.values().any(may_hold_far_date),
        _ => false,
    }
}

/// Holds the path and the query of every request against it.
pub struct SoundInput;

impl<E: Endpoint> Middleware<E> for SoundInput {
    type Output = Sound<E>;

    fn transform(&self, endpoint: E) -> Self::Output {
        Sound(endpoint)
    }
}

pub struct Sound<E>(E);

impl<E: Endpoint> Endpoint for Sound<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if request.uri().path().contains("%00") {
            return Err(poem::Error::from_status(StatusCode::NOT_FOUND));
        }
        let errors = request.params::<Vec<(String, String)>>().map_or_else(
            |_| Vec::new(),
            |parameters| parameters.iter().filter_map(|(name, value)| fault(name, value)).collect(),
        );
        if errors.is_empty() {
            return Ok(self.0.call(request).await?.into_response());
        }
        let detail = "The query does not have the operation's form.";
        let problem =
            Problem::with_fields(kernel::ErrorKind::Invalid, "invalid_query", detail, &errors);
        Ok(problem.into_response())
    }
}

fn fault(name: &str, value: &str) -> Option<FieldError> {
    if let Some(c) = unfit(name).or_else(|| unfit(value)) {
        return Some(refusal(&name.replace(is_refused_everywhere, ""), c));
    }
    is_far_date(value)
        .then(|| FieldError::new(name, "out_of_range", "The year is one of 1 to 9999."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_no_field_keeps_is_found_where_it_stands() {
        for c in ['\0', '\r', '\u{7}', '\u{85}', '\u{202E}', '\u{2066}', '\u{2028}', '\u{FFFF}'] {
            let mut errors = Vec::new();
            let value = json!({
                "a": format!("x{c}"), "b": [{"c": c.to_string()}, "fine\n\t\u{200D}"],
                (format!("d{c}")): 1,
            });
            find_unfit(&value, "", &mut errors);
            let mut paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
            paths.sort_unstable();
            assert_eq!(paths, ["", "a", "b[0].c"]);
        }
    }

    #[test]
    fn a_password_has_its_own_rule() {
        let found = |value: Value| {
            let mut errors = Vec::new();
            find_unfit(&value, "", &mut errors);
            errors.len()
        };
        assert_eq!(found(json!({"password": "a\u{202E}", "new_password": "\r"})), 0);
        assert_eq!(found(json!({"password": "a\0"})), 1);
        assert_eq!(found(json!({"inner": {"password": "\r"}})), 1);
    }

    #[test]
    fn a_year_has_four_digits() {
        for far in ["-262143-01-01", "+12345-01-01", "0000-12-31", "+10000-01-01T00:00:00Z"] {
            assert!(is_far_date(far), "{far}");
        }
        for near in ["0001-01-01", "9999-12-31T23:59:59Z", "2026-02-30", "+1 555 0100", "-5", ""] {
            assert!(!is_far_date(near), "{near}");
        }
    }
}
