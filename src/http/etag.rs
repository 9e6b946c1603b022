//! `If-None-Match`, by RFC 9110, section 13.1.2.

use axum::http::HeaderMap;
use axum::http::header::IF_NONE_MATCH;

/// Whether the header is there.
pub(super) fn given(headers: &HeaderMap) -> bool {
    headers.contains_key(IF_NONE_MATCH)
}

/// Whether the caller has what carries this tag. The comparison is weak, as it must be here: proxies that compress mark
/// strong tags as weak.
pub(super) fn matches(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    // No tag of ours holds a comma.
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|given| given == "*" || given.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list_weak_or_strong() {
        let headers = |text: &str| HeaderMap::from_iter([(IF_NONE_MATCH, text.parse().unwrap())]);
        for given in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(matches(&headers(given), "\"a\""), "{given}");
        }
        assert!(!matches(&headers("\"ab\""), "\"a\""));
        assert!(!matches(&headers("a"), "\"a\""));
        assert!(!matches(&HeaderMap::new(), "\"a\""));
    }
}
