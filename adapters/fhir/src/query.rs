//! Parses a search query. A parameter that is not supported is refused, because
//! ignoring it would return records that the client did not ask for.

use chrono::{
    DateTime, Days, FixedOffset, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Utc,
};
use kernel::{PatientId, text::is_refused_everywhere};
use records::{ResourceType, Search, Sought, Token, resource::SEARCHED};
use uuid::Uuid;

use crate::{outcome::Failure, shape::Shape};

const DEFAULT_COUNT: u32 = 50;
pub(crate) const MAX_COUNT: u32 = 200;
/// How many values a parameter may list.
const MAX_VALUES: usize = 200;
/// The cursor of the next page; its meaning is ours.
const PAGE: &str = "_page";

/// A search as it was understood.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) search: Search,
    pub(crate) shape: Shape,
    /// Whether the bundle includes the total.
    pub(crate) total: bool,
    /// The parameters that were used, for the links.
    used: Vec<(String, String)>,
}

impl Query {
    /// Reads the parameters of a search on the server at `base`. The client
    /// may ask that names which are not known are left out; then they do not
    /// stand in the self link.
    pub(crate) fn parse(
        kind: ResourceType,
        base: &str,
        parameters: &[(String, String)],
        lenient: bool,
    ) -> Result<Self, Failure> {
        let mut query = Self {
            search: Search::of(kind, DEFAULT_COUNT),
            shape: Shape::default(),
            total: true,
            used: Vec::new(),
        };
        for (at, (name, value)) in parameters.iter().enumerate() {
            // Below a name stand a modifier, as in `name:exact`, or a chain,
            // as in `subject.name`.
            let plain = name.split([':', '.']).next().unwrap_or_default();
            if !is_known(kind, plain) {
                if lenient {
                    continue;
                }
                let name = shown(name);
                return Err(Failure::unsupported(format!("{kind} is not searched by {name}.")));
            }
            if plain != name {
                let name = shown(name);
                return Err(Failure::unsupported(format!(
                    "{plain} takes no modifier and no chain, as in {name}."
                )));
            }
            if value.is_empty() || value.contains(is_refused_everywhere) {
                return Err(Failure::invalid(format!("{plain} has no value that can be sought.")));
            }
            check_once(&parameters[..at], name, value)?;
            query.apply(plain, value, base)?;
            query.used.push((name.clone(), value.clone()));
        }
        if query.shape.count {
            query.search.limit = 0;
        }
        query.shape.count = query.search.limit == 0;
        // A panel is asked about patients, and the id of a Patient is one.
        if kind == ResourceType::Patient
            && let Some(ids) = &query.search.ids
        {
            query.search.patients = Some(ids.iter().copied().map(PatientId).collect());
        }
        Ok(query)
    }

    fn apply(&mut self, name: &str, value: &str, base: &str) -> Result<(), Failure> {
        let kind = self.search.kind;
        match name {
            "_id" => {
                // Nothing has an id that is none of ours.
                let ids = values(name, value)?.iter().filter_map(|id| id.parse().ok()).collect();
                narrow(&mut self.search.ids, ids);
            }
            "_lastUpdated" => self.updated(value)?,
            "_count" => {
                if !value.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(Failure::invalid("_count is a number that is not negative."));
                }
                // Digits that overflow are a large number as well.
                self.search.limit = value.parse().unwrap_or(MAX_COUNT).min(MAX_COUNT);
            }
            // How fhirpy asks for a total that is counted, as ours always is.
            "_totalMethod" if value == "count" => {}
            "_totalMethod" => return Err(Failure::unsupported("_totalMethod takes count.")),
            "_total" => {
                self.total = match value {
                    "none" => false,
                    "estimate" | "accurate" => true,
                    _ => {
                        return Err(Failure::unsupported(
                            "_total takes none, estimate and accurate.",
                        ));
                    }
                }
            }
            PAGE => {
                let after =
                    value.parse().map_err(|_| Failure::invalid("This page does not exist."))?;
                self.search.after = Some(after);
            }
            "patient" | "subject" if by_patient(kind, name) => {
                let of = values(name, value)?;
                let patients = of.iter().filter_map(|value| patient(value, base)).collect();
                narrow(&mut self.search.patients, patients);
            }
            _ => {
                if self.shape.apply(name, value)? {
                    return Ok(());
                }
                let sought = split(value, ',');
                check_values(name, &sought)?;
                let tokens = sought.iter().filter(|value| !value.is_empty());
                let tokens = tokens.filter_map(|value| Token::sought(kind, name, &coded(value)));
                self.search.tokens.push(tokens.collect());
            }
        }
        Ok(())
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

/// Whether the client asks that names which are not known are left out.
pub(crate) fn is_lenient<'a>(prefer: impl Iterator<Item = &'a str>) -> bool {
    let wants = |preference: &str| {
        preference.split_once('=').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("handling")
                && value.trim().trim_matches('"').eq_ignore_ascii_case("lenient")
        })
    };
    prefer.flat_map(|header| header.split([',', ';'])).any(wants)
}

/// Refuses a second value of what says how the answer looks.
pub(crate) fn check_once(
    before: &[(String, String)],
    name: &str,
    value: &str,
) -> Result<(), Failure> {
    let differs = before.iter().any(|(other, given)| other == name && given != value);
    if is_of_result(name) && differs {
        return Err(Failure::invalid(format!("{name} is given once.")));
    }
    Ok(())
}

/// What a search says of its result and not of what is sought.
fn is_of_result(name: &str) -> bool {
    matches!(
        name,
        "_format"
            | "_pretty"
            | "_summary"
            | "_elements"
            | "_total"
            | "_totalMethod"
            | "_count"
            | PAGE
    )
}

fn is_known(kind: ResourceType, name: &str) -> bool {
    is_of_result(name)
        || matches!(name, "_id" | "_lastUpdated")
        || (matches!(name, "patient" | "subject") && by_patient(kind, name))
        || SEARCHED.iter().any(|(of, searched)| *of == kind && *searched == name)
}

/// A name as a message repeats it.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// Of several parameters of a name each has to match.
fn narrow<T: PartialEq>(some: &mut Option<Vec<T>>, these: Vec<T>) {
    match some {
        Some(some) => some.retain(|one| these.contains(one)),
        None => *some = Some(these),
    }
}

/// The values of a list, of which any has to match.
fn values(name: &str, value: &str) -> Result<Vec<String>, Failure> {
    let values = split(value, ',');
    check_values(name, &values)?;
    Ok(values.iter().map(|value| unescape(value)).collect())
}

fn check_values(name: &str, values: &[&str]) -> Result<(), Failure> {
    if values.iter().all(|value| value.is_empty()) {
        return Err(Failure::invalid(format!("{name} has no value that can be sought.")));
    }
    if values.len() > MAX_VALUES {
        return Err(Failure::invalid(format!("{name} takes at most {MAX_VALUES} values.")));
    }
    Ok(())
}

/// The parts of a value around a mark that no backslash stands before.
fn split(value: &str, mark: char) -> Vec<&str> {
    let mut escaped = false;
    value
        .split(move |c: char| {
            let splits = c == mark && !escaped;
            escaped = c == '\\' && !escaped;
            splits
        })
        .collect()
}

fn unescape(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut rest = value.chars().peekable();
    while let Some(c) = rest.next() {
        match rest.peek() {
            Some(',' | '|' | '$' | '\\') if c == '\\' => plain.extend(rest.next()),
            _ => plain.push(c),
        }
    }
    plain
}

/// A coded value: `code`, `system|code`, `|code` or `system|`.
fn coded(value: &str) -> Sought {
    let parts = split(value, '|');
    let [system, code @ ..] = &parts[..] else { return Sought::Code(String::new()) };
    let first = unescape(system);
    if code.is_empty() {
        return Sought::Code(first);
    }
    match (first, unescape(&code.join("|"))) {
        (system, code) if system.is_empty() => Sought::Bare(code),
        (system, code) if code.is_empty() => Sought::System(system),
        (system, code) => Sought::Of { system, code },
    }
}

/// The patient whom a reference names: an id, `Patient/` with one, or its
/// address on this server.
fn patient(reference: &str, base: &str) -> Option<PatientId> {
    let below = reference.strip_prefix(base).and_then(|rest| rest.strip_prefix('/'));
    let relative = below.unwrap_or(reference);
    let id = match relative.strip_prefix("Patient/") {
        Some(id) => id,
        None if below.is_none() => relative,
        None => return None,
    };
    id.parse().ok().map(PatientId)
}

/// Whether resources of a type are searched by that name of their patient.
pub(crate) fn by_patient(kind: ResourceType, name: &str) -> bool {
    match (kind, name) {
        (ResourceType::Patient, _) => false,
        (ResourceType::AllergyIntolerance, name) => name == "patient",
        (_, name) => name == "patient" || name == "subject",
    }
}

/// The instants that a date or a time of some precision covers. A time without
/// a zone is one of UTC.
fn span(text: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    // The plus of a zone that was not encoded arrives as a blank.
    let text = text.replace(' ', "+");
    let Some((day, clock)) = text.split_once('T') else {
        let (day, end) = days(&text)?;
        return Some((midnight(day), midnight(end)));
    };
    let (time, zone) = match clock.find(['Z', '+', '-']) {
        Some(at) => clock.split_at(at),
        None => (clock, "Z"),
    };
    let (whole, fraction) = match time.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (time, None),
    };
    // What is stored has microseconds and what is asked for minutes, seconds,
    // or the milliseconds that a resource shows.
    let (pattern, precision) = match fraction {
        None if is_shaped(whole, "00:00") => ("%H:%M", TimeDelta::minutes(1)),
        None if is_shaped(whole, "00:00:00") => ("%H:%M:%S", TimeDelta::seconds(1)),
        Some(fraction)
            if is_shaped(whole, "00:00:00")
                && (1..=9).contains(&fraction.len())
                && fraction.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            ("%H:%M:%S%.f", TimeDelta::milliseconds(1))
        }
        _ => return None,
    };
    let (day, _) = days(day).filter(|_| day.len() == 10)?;
    let local = day.and_time(NaiveTime::parse_from_str(time, pattern).ok()?);
    let time = offset(zone)?.from_local_datetime(&local).single()?.to_utc();
    Some((time, time.checked_add_signed(precision)?))
}

fn offset(zone: &str) -> Option<FixedOffset> {
    if zone == "Z" {
        return FixedOffset::east_opt(0);
    }
    let (sign, text) = zone.split_at_checked(1)?;
    let (hours, minutes) = text.split_once(':').filter(|_| is_shaped(text, "00:00"))?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    FixedOffset::east_opt(if sign == "-" { -seconds } else { seconds })
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// The first of the days of a year, a month or a day, and the one after them.
fn days(text: &str) -> Option<(NaiveDate, NaiveDate)> {
    let whole = |text: &str| text.parse::<NaiveDate>().ok();
    let (day, end) = if is_shaped(text, "0000") {
        let day = whole(&format!("{text}-01-01"))?;
        (day, day.checked_add_months(Months::new(12))?)
    } else if is_shaped(text, "0000-00") {
        let day = whole(&format!("{text}-01"))?;
        (day, day.checked_add_months(Months::new(1))?)
    } else if is_shaped(text, "0000-00-00") {
        let day = whole(text)?;
        (day, day.checked_add_days(Days::new(1))?)
    } else {
        return None;
    };
    // There is no year 0.
    (!text.starts_with("0000")).then_some((day, end))
}

/// Whether a text has the shape of an example whose digits are noughts.
fn is_shaped(text: &str, example: &str) -> bool {
    text.len() == example.len()
        && text
            .bytes()
            .zip(example.bytes())
            .all(|(byte, like)| if like == b'0' { byte.is_ascii_digit() } else { byte == like })
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

    const BASE: &str = "https://salus.example/fhir";

    fn parse(kind: ResourceType, pairs: &[(&str, &str)], lenient: bool) -> Result<Query, Failure> {
        let pairs: Vec<_> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Query::parse(kind, BASE, &pairs, lenient)
    }

    fn id(number: u128) -> String {
        Uuid::from_u128(number).to_string()
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
            ("2026-03-02T10:00", at("2026-03-02T10:00:00Z"), at("2026-03-02T10:01:00Z")),
            ("2026-03-02T10:00 01:00", at("2026-03-02T09:00:00Z"), at("2026-03-02T09:01:00Z")),
            ("ge2026-03-02T10:00:30", at("2026-03-02T10:00:30Z"), None),
            ("ge9999-12-31T23:59:59.999-14:00", at("+10000-01-01T13:59:59.999Z"), None),
            ("le9999", None, at("+10000-01-01T00:00:00Z")),
            ("2026-03-02T10:00:00-05:00", at("2026-03-02T15:00:00Z"), at("2026-03-02T15:00:01Z")),
            (
                "2026-03-02T10:00:00.123Z",
                at("2026-03-02T10:00:00.123Z"),
                at("2026-03-02T10:00:00.124Z"),
            ),
        ] {
            let query = parse(ResourceType::Encounter, &[("_lastUpdated", value)], false).unwrap();
            assert_eq!(
                (query.search.updated_from, query.search.updated_before),
                (from, before),
                "{value}"
            );
        }
        let both = [("_lastUpdated", "ge2026-01"), ("_lastUpdated", "lt2026-02")];
        let query = parse(ResourceType::Encounter, &both, false).unwrap();
        assert_eq!(query.search.updated_from, at("2026-01-01T00:00:00Z"));
        assert_eq!(query.search.updated_before, at("2026-02-01T00:00:00Z"));
        for bad in [
            "yesterday",
            "2026-13",
            "2026-02-30",
            "ne2026",
            "2026-1-1",
            "gé2026",
            "20260101",
            "0000",
            "0000-01-01",
            "+262142-12-31T23:59:59Z",
            "2026-03-02T10",
            "2026-03-02T1:00",
            "2026-03-02T25:00",
            "2026-03-02T10:00:00.Z",
            "2026-03-02T10:00+1:00",
            "2026-03-02T10:00+15:00",
            "2026-03T10:00",
        ] {
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
        let query = parse(ResourceType::MedicationRequest, &pairs, true).unwrap();
        let first = "patient=Patient%2F00000000-0000-0000-0000-000000000001&code=http%3A%2F%2Fx%7C1%202&_count=2";
        assert_eq!(query.this(), format!("{first}&_page={}", Uuid::from_u128(9)));
        assert_eq!(query.next(Uuid::from_u128(7)), format!("{first}&_page={}", Uuid::from_u128(7)));
        assert_eq!(query.search.patients, Some(vec![PatientId(Uuid::from_u128(1))]));
        assert!(parse(ResourceType::MedicationRequest, &pairs, false).is_err());
    }

    #[test]
    fn what_is_not_understood_is_refused_and_only_an_unknown_name_is_left_out() {
        use ResourceType::{MedicationRequest, Patient};
        for (kind, name, value, lenient) in [
            (Patient, "name", "x", true),
            (Patient, "name:exact", "x", true),
            (Patient, "_sort", "name", true),
            (Patient, "_has:Encounter:patient:status", "planned", true),
            (MedicationRequest, "subject:Patient", "x", false),
            (MedicationRequest, "patient.name", "x", false),
            (MedicationRequest, "status:not", "active", false),
            (MedicationRequest, "patient", "", false),
            (MedicationRequest, "status", ",", false),
            (MedicationRequest, "status", "a\0", false),
            (MedicationRequest, "_id", "a\u{202E}", false),
            (MedicationRequest, "_id", "a\r", false),
            (MedicationRequest, "_lastUpdated", "ap2026", false),
            (MedicationRequest, "_total", "many", false),
            (MedicationRequest, "_totalMethod", "guess", false),
            (MedicationRequest, "_summary", "text", false),
            (MedicationRequest, "_count", "-1", false),
            (MedicationRequest, "_count", "+1", false),
            (MedicationRequest, "_format", "xml", false),
            (MedicationRequest, "_page", "2", false),
        ] {
            assert!(parse(kind, &[(name, value)], false).is_err(), "{name}");
            assert_eq!(parse(kind, &[(name, value)], true).is_ok(), lenient, "{name} leniently");
        }
        assert!(parse(Patient, &[("_count", "1"), ("_count", "2")], false).is_err());
        assert!(is_lenient(["return=minimal, Handling = \"lenient\""].into_iter()));
        assert!(!is_lenient(["handling=strict", "respond-async"].into_iter()));
    }

    #[test]
    fn of_repeated_parameters_each_matches_and_of_a_list_any() {
        let of = |pairs: &[(&str, &str)]| {
            let query = parse(ResourceType::Encounter, pairs, false).unwrap();
            query.search.patients.unwrap().iter().map(|id| id.uuid().as_u128()).collect::<Vec<_>>()
        };
        let (one, two) = (id(1), format!("Patient/{}", id(2)));
        let both = format!("{one},{two},no-such-id");
        let here = format!("{BASE}/Patient/{one}");
        let elsewhere = format!("https://other.example/fhir/Patient/{one}");
        assert_eq!(of(&[("patient", &both)]), [1, 2]);
        assert_eq!(of(&[("patient", &both), ("subject", &two)]), [2]);
        assert_eq!(of(&[("patient", &one), ("subject", &two)]), [0; 0]);
        assert_eq!(of(&[("subject", &here)]), [1]);
        assert_eq!(of(&[("subject", &elsewhere)]), [0; 0]);
        assert_eq!(of(&[("subject", &format!("Group/{one}"))]), [0; 0]);
        let query = parse(ResourceType::Encounter, &[("_id", &one), ("_id", &id(2))], false);
        assert_eq!(query.unwrap().search.ids, Some(vec![]));
        let tokens = [("status", "active,stopped"), ("status", "active")];
        let query = parse(ResourceType::MedicationRequest, &tokens, false).unwrap();
        assert_eq!(query.search.tokens.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn a_token_is_read_with_its_system_and_its_escapes() {
        let of = |system: &str, code: &str| Sought::Of { system: system.into(), code: code.into() };
        for (value, expected) in [
            ("a", Sought::Code("a".into())),
            ("s|a", of("s", "a")),
            ("|a", Sought::Bare("a".into())),
            ("s|", Sought::System("s".into())),
            (r"s\|a", Sought::Code("s|a".into())),
            (r"s|a\|b", of("s", "a|b")),
            (r"a\\|b", of(r"a\", "b")),
            (r"a\,b\$c\x", Sought::Code(r"a,b$c\x".into())),
        ] {
            assert_eq!(coded(value), expected, "{value}");
        }
        assert_eq!(split(r"a\,b,c\\,d", ','), [r"a\,b", r"c\\", "d"]);
    }

    #[test]
    fn a_count_shows_nothing_and_a_total_can_be_left_out() {
        let limit = |pairs: &[(&str, &str)]| {
            let query = parse(ResourceType::Encounter, pairs, false).unwrap();
            (query.search.limit, query.shape.count, query.total)
        };
        assert_eq!(limit(&[("_count", "0")]), (0, true, true));
        assert_eq!(limit(&[("_summary", "count"), ("_count", "5")]), (0, true, true));
        assert_eq!(limit(&[("_count", "1000"), ("_total", "none")]), (MAX_COUNT, false, false));
        assert_eq!(limit(&[("_count", "10000000000000000000000")]), (MAX_COUNT, false, true));
    }
}
