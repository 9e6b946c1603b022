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

/// What counts as one receiver: host and port of the URL, or all of a text that is no URL.
#[must_use]
pub fn receiver(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    host.map_or_else(|| url.to_owned(), |(host, port)| format!("{host}:{port}"))
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
