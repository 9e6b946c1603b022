//! The `Retry-After` header, as seconds or as a date.

use std::time::Duration;

use chrono::{DateTime, Utc};
use hyper::header::{HeaderMap, RETRY_AFTER};

/// Longest wait that is passed on; what asks for more asks for nonsense.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long the answer asks to wait; `None` if it does not, or not in words that mean anything.
pub(super) fn read(headers: &HeaderMap) -> Option<Duration> {
    parse(headers.get(RETRY_AFTER)?.to_str().ok()?, Utc::now())
}

/// A date that has passed means now. A negative number means nothing.
fn parse(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
        // More digits than fit are a very long time.
        return Some(text.parse().map_or(LONGEST, Duration::from_secs).min(LONGEST));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    Some((date.to_utc() - now).to_std().unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_nonsense_is_not() {
        let now = DateTime::parse_from_rfc3339("2026-11-20T12:00:00Z").unwrap().to_utc();
        let cases = [
            ("120", Some(120)),
            (" 5 ", Some(5)),
            ("0", Some(0)),
            ("86401", Some(86_400)),
            ("99999999999999999999999", Some(86_400)),
            ("Fri, 20 Nov 2026 12:01:00 GMT", Some(60)),
            ("Fri, 20 Nov 2026 11:00:00 GMT", Some(0)),
            ("Fri, 20 Nov 2099 11:00:00 GMT", Some(86_400)),
            ("-5", None),
            ("+5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse(text, now), seconds.map(Duration::from_secs), "{text:?}");
        }
    }
}
