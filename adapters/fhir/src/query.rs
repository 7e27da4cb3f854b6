//! The query of a search.

use chrono::{DateTime, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use kernel::PatientId;
use poem::http::StatusCode;
use records::{ResourceType, Search, Token};
use uuid::Uuid;

use crate::outcome::Failure;

const DEFAULT_COUNT: u32 = 50;
pub(crate) const MAX_COUNT: u32 = 200;
/// The cursor of the next page; its meaning is ours.
const PAGE: &str = "_page";

/// A search as it was understood.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) search: Search,
    /// Only the total was asked for.
    pub(crate) only_count: bool,
    /// The parameters that were used, for the links.
    used: Vec<(String, String)>,
}

impl Query {
    /// Reads the parameters. What is not known is left out and does not stand
    /// in the self link, unless the client asked to be refused.
    pub(crate) fn parse(
        kind: ResourceType,
        parameters: &[(String, String)],
        strict: bool,
    ) -> Result<Self, Failure> {
        let mut query =
            Self { search: Search::of(kind, DEFAULT_COUNT), only_count: false, used: Vec::new() };
        for (name, value) in parameters {
            if value.is_empty() {
                continue;
            }
            if query.apply(name, value)? {
                query.used.push((name.clone(), value.clone()));
            } else if strict {
                return Err(Failure::new(
                    StatusCode::BAD_REQUEST,
                    "not-supported",
                    format!("{kind} is not searched by {name}."),
                ));
            }
        }
        // A panel is asked about one patient, and the id of a Patient is one.
        if kind == ResourceType::Patient
            && let [id] = query.search.ids[..]
        {
            query.search.patient = Some(PatientId(id));
        }
        Ok(query)
    }

    fn apply(&mut self, name: &str, value: &str) -> Result<bool, Failure> {
        let kind = self.search.kind;
        match name {
            "_id" => {
                self.search.ids =
                    value.split(',').map(|id| id.parse().unwrap_or(Uuid::nil())).collect();
            }
            "_lastUpdated" => self.updated(value)?,
            "_count" => {
                let count: u32 = value
                    .parse()
                    .map_err(|_| Failure::invalid("_count is a number that is not negative."))?;
                self.only_count = count == 0;
                self.search.limit = count.clamp(1, MAX_COUNT);
            }
            "_format" => {
                if !matches!(value, "json" | "application/json" | "application/fhir+json") {
                    return Err(Failure::new(
                        StatusCode::NOT_ACCEPTABLE,
                        "not-supported",
                        "Only JSON is served.",
                    ));
                }
                return Ok(true);
            }
            PAGE => {
                let after =
                    value.parse().map_err(|_| Failure::invalid("This page does not exist."))?;
                self.search.after = Some(after);
            }
            "patient" | "subject" if by_patient(kind, name) => {
                let id = value.strip_prefix("Patient/").unwrap_or(value);
                // No patient has the nil id, so nothing is found for what is
                // no id of ours.
                let patient = PatientId(id.parse().unwrap_or(Uuid::nil()));
                match self.search.patient {
                    Some(other) if other != patient => {
                        self.search.patient = Some(PatientId(Uuid::nil()));
                    }
                    _ => self.search.patient = Some(patient),
                }
            }
            _ => {
                let tokens: Option<Vec<Token>> =
                    value.split(',').map(|value| Token::sought(kind, name, value)).collect();
                let Some(tokens) = tokens else { return Ok(false) };
                self.search.tokens.push(tokens);
            }
        }
        Ok(true)
    }

    /// Narrows the time of the last update; several narrow it further.
    fn updated(&mut self, value: &str) -> Result<(), Failure> {
        let (prefix, text) = match value.get(..2) {
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_lowercase()) => {
                value.split_at(2)
            }
            _ => ("eq", value),
        };
        let (low, high) = span(text).ok_or_else(|| {
            Failure::invalid("_lastUpdated is a date or a time, as in ge2026-01-31.")
        })?;
        let (from, before) = match prefix {
            "eq" => (Some(low), Some(high)),
            "gt" | "sa" => (Some(high), None),
            "ge" => (Some(low), None),
            "lt" | "eb" => (None, Some(low)),
            "le" => (None, Some(high)),
            _ => {
                return Err(Failure::invalid("_lastUpdated takes eq, gt, ge, lt, le, sa and eb."));
            }
        };
        let search = &mut self.search;
        search.updated_from = search.updated_from.into_iter().chain(from).max();
        search.updated_before = search.updated_before.into_iter().chain(before).min();
        Ok(())
    }

    pub(crate) fn this(&self) -> String {
        encode(&self.used)
    }

    pub(crate) fn next(&self, after: Uuid) -> String {
        let mut parameters: Vec<_> =
            self.used.iter().filter(|(name, _)| name != PAGE).cloned().collect();
        parameters.push((PAGE.to_owned(), after.to_string()));
        encode(&parameters)
    }
}

/// Whether resources of a type are searched by that name of their patient.
pub(crate) fn by_patient(kind: ResourceType, name: &str) -> bool {
    match (kind, name) {
        (ResourceType::Patient, _) => false,
        (ResourceType::AllergyIntolerance, name) => name == "patient",
        (_, name) => name == "patient" || name == "subject",
    }
}

/// The instants that a date or a time of some precision covers.
fn span(text: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    let first = |text: &str| format!("{text}-01").parse::<NaiveDate>().ok();
    if let Ok(time) = text.parse::<DateTime<chrono::FixedOffset>>() {
        let time = time.to_utc();
        // What is stored has microseconds and what is asked for seconds, or
        // the milliseconds that a resource shows.
        let precision =
            if text.contains('.') { TimeDelta::milliseconds(1) } else { TimeDelta::seconds(1) };
        return Some((time, time + precision));
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let (day, end) = match (text.len(), digits) {
        (4, 4) => {
            let day = first(&format!("{text}-01"))?;
            (day, day.checked_add_months(Months::new(12))?)
        }
        (7, 6) => {
            let day = first(text)?;
            (day, day.checked_add_months(Months::new(1))?)
        }
        (10, 8) => {
            let day = text.parse::<NaiveDate>().ok()?;
            (day, day.checked_add_days(Days::new(1))?)
        }
        _ => return None,
    };
    Some((midnight(day), midnight(end)))
}

fn encode(parameters: &[(String, String)]) -> String {
    let escape = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b',' => {
                    char::from(byte).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect()
    };
    let pairs: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: ResourceType, pairs: &[(&str, &str)], strict: bool) -> Result<Query, Failure> {
        let pairs: Vec<_> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Query::parse(kind, &pairs, strict)
    }

    fn at(text: &str) -> Option<DateTime<Utc>> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_time_covers_its_precision() {
        for (value, from, before) in [
            ("2026-03-02", at("2026-03-02T00:00:00Z"), at("2026-03-03T00:00:00Z")),
            ("eq2026-02", at("2026-02-01T00:00:00Z"), at("2026-03-01T00:00:00Z")),
            ("2026", at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")),
            ("gt2026-03-02", at("2026-03-03T00:00:00Z"), None),
            ("ge2026-03-02", at("2026-03-02T00:00:00Z"), None),
            ("lt2026-03-02", None, at("2026-03-02T00:00:00Z")),
            ("le2026-03-02", None, at("2026-03-03T00:00:00Z")),
            ("2026-03-02T10:00:00-05:00", at("2026-03-02T15:00:00Z"), at("2026-03-02T15:00:01Z")),
            (
                "2026-03-02T10:00:00.123Z",
                at("2026-03-02T10:00:00.123Z"),
                at("2026-03-02T10:00:00.124Z"),
            ),
        ] {
            let query = parse(ResourceType::Encounter, &[("_lastUpdated", value)], true).unwrap();
            assert_eq!(
                (query.search.updated_from, query.search.updated_before),
                (from, before),
                "{value}"
            );
        }
        let both = [("_lastUpdated", "ge2026-01"), ("_lastUpdated", "lt2026-02")];
        let query = parse(ResourceType::Encounter, &both, true).unwrap();
        assert_eq!(query.search.updated_from, at("2026-01-01T00:00:00Z"));
        assert_eq!(query.search.updated_before, at("2026-02-01T00:00:00Z"));
        for bad in
            ["yesterday", "2026-13", "2026-02-30", "ne2026", "2026-1-1", "gé2026", "20260101"]
        {
            let query = parse(ResourceType::Encounter, &[("_lastUpdated", bad)], false);
            assert!(query.is_err(), "{bad}");
        }
    }

    #[test]
    fn the_links_carry_what_was_understood() {
        let pairs = [
            ("patient", "Patient/00000000-0000-0000-0000-000000000001"),
            ("code", "http://x|1 2"),
            ("_sort", "-date"),
            ("_count", "2"),
            ("_page", "00000000-0000-0000-0000-000000000009"),
        ];
        let query = parse(ResourceType::MedicationRequest, &pairs, false).unwrap();
        let first = "patient=Patient%2F00000000-0000-0000-0000-000000000001&code=http%3A%2F%2Fx%7C1%202&_count=2";
        assert_eq!(query.this(), format!("{first}&_page={}", Uuid::from_u128(9)));
        assert_eq!(query.next(Uuid::from_u128(7)), format!("{first}&_page={}", Uuid::from_u128(7)));
        assert_eq!(query.search.patient, Some(PatientId(Uuid::from_u128(1))));
        assert!(parse(ResourceType::MedicationRequest, &pairs, true).is_err());
    }

    #[test]
    fn two_patients_at_once_are_nobody_and_an_unknown_format_is_refused() {
        let pairs = [
            ("patient", "00000000-0000-0000-0000-000000000001"),
            ("subject", "Patient/00000000-0000-0000-0000-000000000002"),
        ];
        let query = parse(ResourceType::Encounter, &pairs, true).unwrap();
        assert_eq!(query.search.patient, Some(PatientId(Uuid::nil())));
        assert!(parse(ResourceType::Encounter, &[("_format", "xml")], false).is_err());
        assert!(parse(ResourceType::Encounter, &[("_count", "-1")], false).is_err());
        let none = parse(ResourceType::Encounter, &[("_count", "0")], false).unwrap();
        assert!(none.only_count);
    }
}
