//! Versions as entity tags: a reader gets one as `ETag` and sends it back as
//! `If-Match`, so that a change meets the version that was seen (RFC 9110,
//! 13.1.1).

use kernel::{FieldError, Seen};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    param::Header,
    registry::{MetaParamIn, MetaSchemaRef, Registry},
};

use super::Problem;

/// The `If-Match` header of a change: `#[oai(name = "If-Match")] seen: IfMatch`.
pub struct IfMatch(pub Seen);

impl<'a> ApiExtractor<'a> for IfMatch {
    const TYPES: &'static [ApiExtractorType] = Header::<String>::TYPES;
    const PARAM_IS_REQUIRED: bool = Header::<String>::PARAM_IS_REQUIRED;

    type ParamType = String;
    type ParamRawType = String;

    fn register(registry: &mut Registry) {
        Header::<String>::register(registry);
    }

    fn param_in() -> Option<MetaParamIn> {
        Header::<String>::param_in()
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Header::<String>::param_schema_ref()
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<String>,
    ) -> poem::Result<Self> {
        let header = Header::<String>::from_request(request, body, options).await?;
        Ok(Self(seen_version(&header.0)?))
    }
}

/// What an `If-Match` header asks for: `*`, or a list of entity tags. A weak
/// tag never matches strongly, nor does one that is no version of ours. A bare
/// number is taken for the tag that it should be.
pub fn seen_version(if_match: &str) -> Result<Seen, Problem> {
    let value = if_match.trim();
    if value == "*" {
        return Ok(Seen::Any);
    }
    if let Ok(version) = value.parse::<i64>() {
        return Ok(Seen::from(version));
    }
    tags(value).map(Seen::OneOf).ok_or_else(|| {
        let message = "The ETag that it was read with, as in \"3\", or * for any version.";
        let field = FieldError::new("header.If-Match", "invalid", message);
        Problem::bad_request("if_match_invalid", message, &[field])
    })
}

/// The versions in a list of entity tags; `None` where it is no such list.
fn tags(mut rest: &str) -> Option<Vec<i64>> {
    let mut versions = Vec::new();
    loop {
        let (weak, tag) = match rest.strip_prefix("W/") {
            Some(tag) => (true, tag),
            None => (false, rest),
        };
        let (opaque, after) = tag.strip_prefix('"')?.split_once('"')?;
        let allowed = |c: char| c == '!' || ('#'..='~').contains(&c) || c >= '\u{80}';
        if !opaque.chars().all(allowed) {
            return None;
        }
        if let (false, Ok(version)) = (weak, opaque.parse()) {
            versions.push(version);
        }
        let after = after.trim_start();
        if after.is_empty() {
            return Some(versions);
        }
        rest = after.strip_prefix(',')?.trim_start();
    }
}

/// For what is changed by one version only: the one that was named, or the
/// current one where that is admitted. Versions count from one, so 0 is that
/// of nothing.
pub async fn one_version<E>(
    seen: Seen,
    current: impl Future<Output = Result<i64, E>>,
) -> Result<i64, E> {
    if let Seen::OneOf(versions) = &seen
        && versions.len() < 2
    {
        return Ok(versions.first().copied().unwrap_or(0));
    }
    let current = current.await?;
    Ok(if seen.admits(current) { current } else { 0 })
}

/// The same for what takes no version as any.
pub fn any_or_one(if_match: Option<&str>) -> Result<Option<i64>, Problem> {
    Ok(match if_match.map(seen_version).transpose()? {
        None | Some(Seen::Any) => None,
        Some(seen) => Some(seen.newest().unwrap_or(0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(header: &str) -> Option<Seen> {
        seen_version(header).ok()
    }

    #[test]
    fn a_tag_a_list_and_a_star_are_what_rfc_9110_says() {
        assert_eq!(seen("\"3\""), Some(Seen::from(3)));
        assert_eq!(seen(" \"3\" , \"4\""), Some(Seen::OneOf(vec![3, 4])));
        assert_eq!(seen("*"), Some(Seen::Any));
        assert_eq!(seen("3"), Some(Seen::from(3)), "the tag without its quotes");
    }

    #[test]
    fn a_weak_tag_and_a_foreign_one_match_nothing() {
        assert_eq!(seen("W/\"3\""), Some(Seen::OneOf(vec![])));
        assert_eq!(seen("W/\"3\", \"4\""), Some(Seen::OneOf(vec![4])));
        assert_eq!(seen("\"latest\""), Some(Seen::OneOf(vec![])));
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for bad in ["", "seven", "\"3", "\"3\" \"4\"", "\"3\",", "w/\"3\"", "*, \"3\"", "\"a b\""] {
            assert_eq!(seen(bad), None, "{bad}");
        }
    }
}
