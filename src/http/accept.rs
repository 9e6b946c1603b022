//! Which of several media types a caller wants, by RFC 9110, section 12.5.1.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// The best of `offers` for `Accept`, by weight, then in the offers' order; `None` if it wants none of them. Without the
/// header any will do.
pub(super) fn best(headers: &HeaderMap, offers: &[&str]) -> Option<usize> {
    let ranges: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if ranges.is_empty() {
        return (!offers.is_empty()).then_some(0);
    }
    let weights = offers.iter().map(|offer| weight(&ranges, offer));
    // Of equal weights the first wins, therefore not `max_by`, which takes the last.
    let mut found = (None, 0.0);
    for (index, weight) in weights.enumerate() {
        if weight > found.1 {
            found = (Some(index), weight);
        }
    }
    found.0
}

/// Whether `Accept` names the media type itself, rather than a wildcard that covers it.
pub(super) fn names(headers: &HeaderMap, media_type: &str) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| is(range, media_type))
}

/// Whether `Accept` names the media type and no other.
pub(super) fn names_only(headers: &HeaderMap, media_type: &str) -> bool {
    let mut values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    headers.contains_key(ACCEPT) && values.all(|value| value.split(',').all(|range| is(range, media_type)))
}

fn is(range: &str, media_type: &str) -> bool {
    range.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(media_type))
}

/// What the most specific range that covers the offer says, 0 to 1.
fn weight(values: &[&str], offer: &str) -> f32 {
    let family = offer.split('/').next().unwrap_or(offer);
    let mut found = (0, 0.0);
    for range in values.iter().flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let specificity = match name.split_once('/') {
            Some(("*", "*")) => 1,
            Some((range_family, "*")) if range_family.eq_ignore_ascii_case(family) => 2,
            _ if name.eq_ignore_ascii_case(offer) => 3,
            _ => continue,
        };
        if specificity > found.0 {
            found = (specificity, parts.find_map(quality).unwrap_or(1.0));
        }
    }
    found.1
}

/// The value of `q=`; what is no number in range counts as 0, as its sender did not ask for it.
fn quality(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    let value = value.trim().parse().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0);
    name.trim().eq_ignore_ascii_case("q").then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERS: [&str; 4] = ["application/json", "application/json", "image/svg+xml", "image/png"];

    fn best_for(accept: &str) -> Option<usize> {
        best(&HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]), &OFFERS)
    }

    #[test]
    fn weights_decide_and_order_breaks_ties() {
        assert_eq!(best(&HeaderMap::new(), &OFFERS), Some(0));
        assert_eq!(best_for("*/*"), Some(0));
        assert_eq!(best_for("image/*"), Some(2));
        assert_eq!(best_for("image/png, image/svg+xml;q=0.9"), Some(3));
        assert_eq!(best_for("image/*;q=0.5, image/png;q=0.1"), Some(2));
        assert_eq!(best_for("text/html, application/xhtml+xml, */*;q=0.8"), Some(0));
        assert_eq!(best_for("IMAGE/PNG;Q=1.0"), Some(3));
    }

    #[test]
    fn a_weight_of_zero_means_never() {
        assert_eq!(best_for("image/*, image/svg+xml;q=0"), Some(3));
        assert_eq!(best_for("*/*;q=0"), None);
        assert_eq!(best_for("text/html"), None);
        assert_eq!(best_for("image/png;q=nonsense"), None);
    }

    #[test]
    fn a_wildcard_names_nothing() {
        let headers = HeaderMap::from_iter([(ACCEPT, "*/*, application/problem+json;q=0.9".parse().unwrap())]);
        assert!(names(&headers, "application/problem+json"));
        assert!(!names(&headers, "application/json"));
    }
}
