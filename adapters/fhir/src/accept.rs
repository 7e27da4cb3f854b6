//! In which form a client wants its answer.

use poem::{
    Request,
    http::{StatusCode, header},
};

use crate::outcome::Failure;

/// FHIR's JSON as media types name it.
const JSON: [&str; 4] =
    ["application/fhir+json", "application/json", "text/json", "application/json+fhir"];

/// Whether a `_format` asks for JSON. A plus that was not encoded arrives as a
/// blank.
pub(crate) fn format(value: &str) -> Result<(), Failure> {
    let essence = essence(&value.replace(' ', "+"));
    if essence == "json" || JSON.contains(&essence.as_str()) { Ok(()) } else { Err(only_json()) }
}

/// Checks that the client takes FHIR's JSON. A browser's `text/html` is
/// answered with it too.
pub(crate) fn json(request: &Request) -> Result<(), Failure> {
    let ranges = ranges(request);
    let takes = |kind: &str| quality(&ranges, kind).0 > 0;
    if JSON.iter().any(|kind| takes(kind)) || takes("text/html") {
        Ok(())
    } else {
        Err(only_json())
    }
}

/// Whether a file is wanted as a resource, and not as what it is. It is where
/// FHIR's JSON is asked for by name, and no less than the file's own type.
pub(crate) fn as_resource(request: &Request, content_type: &str) -> Result<bool, Failure> {
    let ranges = ranges(request);
    let named = JSON
        .iter()
        .map(|kind| quality(&ranges, kind))
        .filter(|(quality, exact)| *quality > 0 && *exact)
        .max();
    let native = quality(&ranges, content_type);
    if let Some(named) = named {
        return Ok(named >= native);
    }
    let only_xml = |(kind, _): &(String, u16)| kind.ends_with("fhir+xml");
    if ranges.iter().all(only_xml) { Err(only_json()) } else { Ok(false) }
}

fn only_json() -> Failure {
    Failure::new(StatusCode::NOT_ACCEPTABLE, "not-supported", "Only JSON is served.")
}

fn essence(range: &str) -> String {
    range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The media ranges that are accepted with their qualities in thousandths.
/// Without the header everything is.
fn ranges(request: &Request) -> Vec<(String, u16)> {
    let headers = request.headers().get_all(header::ACCEPT).iter();
    let ranges: Vec<_> = headers
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|range| !range.trim().is_empty())
        .map(|range| {
            let quality = range
                .split(';')
                .skip(1)
                .filter_map(|parameter| parameter.split_once('='))
                .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
                .and_then(|(_, value)| value.trim().parse::<f32>().ok())
                .unwrap_or(1.0);
            (essence(range), (quality.clamp(0.0, 1.0) * 1000.0) as u16)
        })
        .collect();
    if ranges.is_empty() { vec![("*/*".to_owned(), 1000)] } else { ranges }
}

/// How much a media type is wanted, and whether it was named itself.
fn quality(ranges: &[(String, u16)], kind: &str) -> (u16, bool) {
    let family = kind.split('/').next().unwrap_or_default();
    let rank = |range: &str| match range {
        "*/*" => Some(0),
        _ if range == kind => Some(2),
        _ => (range.strip_suffix("/*") == Some(family)).then_some(1),
    };
    // The most specific range that covers the type decides.
    ranges
        .iter()
        .filter_map(|(range, quality)| rank(range).map(|rank| (rank, *quality)))
        .max()
        .map_or((0, false), |(rank, quality)| (quality, rank == 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(accept: &[&str]) -> Request {
        accept
            .iter()
            .fold(Request::builder(), |request, value| request.header(header::ACCEPT, *value))
            .finish()
    }

    #[test]
    fn json_is_taken_by_its_names_and_by_wildcards() {
        for accept in [
            &[] as &[&str],
            &["*/*"],
            &["application/fhir+json; fhirVersion=4.0"],
            &["application/fhir+xml, application/*;q=0.5"],
            &["application/xml", "application/json"],
            &["text/html,application/xhtml+xml"],
        ] {
            assert!(json(&request(accept)).is_ok(), "{accept:?}");
        }
        for accept in ["application/fhir+xml", "image/*", "application/json;q=0, text/csv"] {
            assert!(json(&request(&[accept])).is_err(), "{accept}");
        }
        for value in ["json", "application/fhir+json", "application/fhir json", "JSON"] {
            assert!(format(value).is_ok(), "{value}");
        }
        assert!(format("xml").is_err() && format("application/fhir xml").is_err());
    }

    #[test]
    fn a_file_is_a_resource_where_fhir_is_asked_for_by_name() {
        let wanted = |accept: &str| as_resource(&request(&[accept]), "image/jpeg").map_err(|_| ());
        for (accept, expected) in [
            ("*/*", Ok(false)),
            ("image/jpeg", Ok(false)),
            ("image/*;q=0.5, application/fhir+json", Ok(true)),
            ("image/*, application/fhir+json;q=0.5", Ok(false)),
            ("application/fhir+json, */*;q=0.1", Ok(true)),
            ("image/png, application/json;q=0.1", Ok(true)),
            ("application/pdf", Ok(false)),
            ("application/fhir+xml", Err(())),
        ] {
            assert_eq!(wanted(accept), expected, "{accept}");
        }
        assert_eq!(as_resource(&request(&[]), "image/jpeg").ok(), Some(false));
    }
}
