//! What is told of an event: the one body that event streams and callbacks share, so that they cannot disagree.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{Event, JobId, JobState};

/// An event as it is told to callers. `result_url` goes along with a completed job only, `error` with a failed one.
#[must_use]
pub fn announcement(job_id: &JobId, event: &Event, result_url: Option<&str>) -> Value {
    let mut body = json!({
        "job_id": job_id.as_str(),
        "progress": event.progress,
        "message": event.message,
        "timestamp": timestamp(event.at_ms),
        "status": event.state.status(),
        "sequence": event.sequence,
    });
    if let (JobState::Completed, Some(url)) = (event.state, result_url) {
        body["result_url"] = url.into();
    }
    if let Some(error) = &event.error {
        body["error"] = json!({ "code": error.code, "message": error.message, "details": error.details });
    }
    body
}

/// A time as it is on the wire: RFC 3339, UTC, ms.
#[must_use]
pub fn timestamp(at_ms: i64) -> String {
    // Out of chrono's range only in a damaged database; the epoch is as wrong as any other answer.
    let time: DateTime<Utc> = DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A URL as it is shown: without its user info and its query, where secrets are.
#[must_use]
pub fn public_url(url: &str) -> String {
    let (rest, query) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
    let query = if query.is_empty() { "" } else { "?..." };
    match rest.rsplit_once('@') {
        Some((before, after)) => {
            let scheme = before.split(':').next().unwrap_or_default();
            format!("{scheme}://...@{after}{query}")
        }
        None => format!("{rest}{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Failure, FailureCode};
    use super::*;

    fn event(state: JobState, error: Option<Failure>) -> Event {
        Event { sequence: 7, at_ms: 1_795_132_800_123, state, progress: 40, message: "Loading image".into(), error }
    }

    #[test]
    fn progress_has_neither_result_nor_error() {
        let id = JobId::parse("hero").unwrap();
        let body = announcement(&id, &event(JobState::Queued, None), Some("https://example.com/r"));
        let expected = json!({
            "job_id": "hero", "progress": 40, "message": "Loading image", "timestamp": "2026-11-20T00:00:00.123Z",
            "status": "processing", "sequence": 7,
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        for (url, shown) in [
            ("https://example.com/a.png", "https://example.com/a.png"),
            ("https://example.com/a?token=s3cret", "https://example.com/a?..."),
            ("https://me:s3cret@example.com/a#s3cret", "https://...@example.com/a?..."),
        ] {
            assert_eq!(public_url(url), shown);
        }
    }

    #[test]
    fn the_end_has_its_result_or_its_error() {
        let id = JobId::parse("hero").unwrap();
        let done = announcement(&id, &event(JobState::Completed, None), Some("https://example.com/r"));
        assert_eq!(done["result_url"], "https://example.com/r");
        let failure = Failure::new(FailureCode::Cancelled, "the job was called off");
        let ended = announcement(&id, &event(JobState::Cancelled, Some(failure)), Some("https://example.com/r"));
        assert_eq!(ended["status"], "failed");
        assert_eq!(ended["error"]["code"], "CANCELLED");
        assert_eq!(ended.get("result_url"), None);
    }
}
