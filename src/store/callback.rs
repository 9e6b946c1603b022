//! A callback that is owed: what is sent, and what became of each attempt.

use std::time::Duration;

use url::Url;

use super::JobKey;
use crate::job::{Event, JobId};

/// A callback's row in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveryId(pub i64);

/// The right to write to a callback that is being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveryToken {
    /// The callback.
    pub id: DeliveryId,
    /// Grows with every claim of it.
    pub fence: i64,
}

/// A callback to be sent now.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The right to write to it.
    pub token: DeliveryToken,
    /// The job that it tells of.
    pub job: JobKey,
    /// The job's id.
    pub job_id: JobId,
    /// The API key's name; empty where keys are off.
    pub owner: String,
    /// Where it goes.
    pub url: String,
    /// The receiver, as [`receiver`] names it.
    pub host: String,
    /// The id of the request that submitted the job.
    pub request_id: String,
    /// What it tells.
    pub event: Event,
    /// How often it has been tried before.
    pub attempts: u32,
}

/// Most attempts of one callback that are kept, the newest: five schedules' worth.
pub const MOST_ATTEMPTS: u32 = 50;

/// How long a receiver may take over a progress event and still count as keeping up, and how long the end of a job waits
/// for what came before it. Of what is left then only the newest is told.
pub const KEEPS_UP: Duration = Duration::from_millis(500);

/// Where a callback stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is sent when it is due.
    Waiting,
    /// It is being sent.
    Sending,
    /// The receiver has it.
    Delivered,
    /// It is never tried again by itself.
    GivenUp,
    /// A later one of the job has taken its place.
    Superseded,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Sending, Self::Delivered, Self::GivenUp, Self::Superseded];

    /// Its name in the database and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
            Self::Superseded => "superseded",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A callback as its job's caller may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// The sequence of the event that it tells of.
    pub sequence: u64,
    /// Where it goes.
    pub url: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// When it is sent next, ms since 1970-01-01 UTC; only while it waits.
    pub next_attempt_at_ms: Option<i64>,
    /// The newest [`MOST_ATTEMPTS`], oldest first.
    pub attempts: Vec<PastAttempt>,
}

/// An attempt that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastAttempt {
    /// When it ended, ms since 1970-01-01 UTC.
    pub at_ms: i64,
    /// What came of it.
    pub attempt: Attempt,
}

/// What became of the wish to send a callback again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redelivery {
    /// It is due now, and its schedule begins anew.
    Due,
    /// It is being sent at this moment.
    InFlight,
    /// A later callback of the job tells more: the newest progress, or the end.
    Superseded,
    /// The job has no such callback.
    Unknown,
}

/// The same for every attempt, so that a receiver can tell a repeat: the `webhook-id`.
#[must_use]
pub fn message_id(job: &JobId, sequence: u64) -> String {
    format!("msg_{job}_{sequence}")
}

/// The sequence of the event that a job's callback of this id tells of.
#[must_use]
pub fn message_sequence(job: &JobId, id: &str) -> Option<u64> {
    let sequence = id.rsplit('_').next()?.parse().ok()?;
    // Not another spelling of the number.
    (message_id(job, sequence) == id).then_some(sequence)
}

/// What counts as one receiver: host and port of the URL, or all of a text that is no URL. Each owner's apart, so that
/// nobody can make another's receiver seem down.
#[must_use]
pub fn receiver(owner: &str, url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    let name = host.map_or_else(
        || url.to_owned(),
        // The dot of the root names the same host.
        |(host, port)| format!("{}:{port}", host.trim_end_matches('.')),
    );
    if owner.is_empty() { name } else { format!("{owner}@{name}") }
}

/// The receivers whose callbacks are asked for, as [`receiver`] names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To<'a> {
    /// Everybody but these.
    AllBut(&'a [String]),
    /// These and nobody else.
    Only(&'a [String]),
}

impl To<'_> {
    /// Whoever it is.
    pub const ANYBODY: To<'static> = To::AllBut(&[]);
}

/// One attempt to deliver, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The receiver's HTTP status, if it answered.
    pub status: Option<u16>,
    /// What went wrong, in words fit for the job's caller.
    pub error: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The receiver has it.
    Delivered,
    /// It is tried again after so long.
    RetryAfter(Duration),
    /// It is never tried again by itself.
    GivenUp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_is_read_back_and_nothing_else_is() {
        let job = JobId::parse("a_1").unwrap();
        assert_eq!(message_id(&job, 10), "msg_a_1_10");
        assert_eq!(message_sequence(&job, "msg_a_1_10"), Some(10));
        for other in ["", "10", "msg_a_1_", "msg_a_1_010", "msg_a_1_+10", "msg_a_2_10", "msg_a_1_99999999999999999999"]
        {
            assert_eq!(message_sequence(&job, other), None, "{other}");
        }
    }

    #[test]
    fn a_receiver_is_a_host_and_port_of_one_owner() {
        let name = "acme@example.com:443";
        for url in ["https://example.com/a", "https://example.com./b?c=d", "https://EXAMPLE.com:443"] {
            assert_eq!(receiver("acme", url), name, "{url}");
        }
        for (owner, url) in
            [("bob", "https://example.com/a"), ("acme", "http://example.com/a"), ("", "https://example.com")]
        {
            assert_ne!(receiver(owner, url), name, "{owner} {url}");
        }
        assert_eq!(receiver("", "https://example.com./"), "example.com:443");
        assert_eq!(receiver("acme", "no URL"), "acme@no URL");
    }

    #[test]
    fn a_state_is_read_back() {
        for state in DeliveryState::ALL {
            assert_eq!(DeliveryState::named(state.as_str()), Some(state));
        }
        assert_eq!(DeliveryState::named("lost"), None);
    }
}
