//! `GET /mesh/{job_id}/callbacks` and `POST /mesh/{job_id}/callbacks/{webhook_id}/redeliver`: what was sent to a job's
//! caller, with what success, and sending it again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Owner;
use super::codes::Code;
use super::error::ApiError;
use super::extract::{PathCallback, PathId, Query};
use super::face::Shared;
use super::request::Reader;
use crate::job::{FailureCode, JobId, public_url, timestamp};
use crate::store::{DeliveryRecord, DeliveryState, PastAttempt, Redelivery, message_id, message_sequence};

/// Callbacks on a page unless asked otherwise.
const USUAL_PAGE: usize = 20;

/// Most callbacks on a page: with 50 attempts each still a small answer.
const LARGEST_PAGE: usize = 50;

/// One page of a job's callbacks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CallbackList {
    /// Newest first.
    callbacks: Vec<Callback>,
    /// What to send as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// What was, is or will be sent of one event.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Callback {
    /// The `webhook-id`, the same in every attempt.
    #[schema(example = "msg_hero-42_10")]
    id: String,
    /// The event's.
    sequence: u64,
    /// Where it goes, without its query: `?...` stands for that, as there may be a token in it.
    #[schema(format = "uri", example = "https://example.com/callbacks/mesh")]
    url: String,
    state: CallbackState,
    /// When it is sent next, while it waits; else null.
    #[schema(format = DateTime)]
    next_attempt_at: Option<String>,
    /// The newest 50, oldest first.
    attempts: Vec<CallbackAttempt>,
}

/// `waiting` to be sent, `sending` at this moment, `delivered` and answered with 2xx, `given_up` after 410, a refused URL
/// or the last attempt, `superseded` by a later callback.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CallbackState {
    Waiting,
    Sending,
    Delivered,
    GivenUp,
    Superseded,
}

impl From<DeliveryState> for CallbackState {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Waiting => Self::Waiting,
            DeliveryState::Sending => Self::Sending,
            DeliveryState::Delivered => Self::Delivered,
            DeliveryState::GivenUp => Self::GivenUp,
            DeliveryState::Superseded => Self::Superseded,
        }
    }
}

/// One attempt to send.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CallbackAttempt {
    /// When it ended.
    #[schema(format = DateTime)]
    at: String,
    /// The receiver's HTTP status; null if it did not answer.
    status: Option<u16>,
    /// What went wrong; null if nothing did.
    #[schema(example = "the receiver did not answer within 15 s")]
    error: Option<String>,
    /// How long it took, ms.
    took_ms: u64,
}

impl Callback {
    fn new(job: &JobId, record: DeliveryRecord) -> Self {
        Self {
            id: message_id(job, record.sequence),
            sequence: record.sequence,
            url: public_url(&record.url),
            state: record.state.into(),
            next_attempt_at: record.next_attempt_at_ms.map(timestamp),
            attempts: record.attempts.into_iter().map(CallbackAttempt::from).collect(),
        }
    }
}

impl From<PastAttempt> for CallbackAttempt {
    fn from(PastAttempt { at_ms, attempt }: PastAttempt) -> Self {
        let took_ms = u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX);
        Self { at: timestamp(at_ms), status: attempt.status, error: attempt.error, took_ms }
    }
}

/// A job's callbacks with every attempt.
#[utoipa::path(
    get, path = "/mesh/{job_id}/callbacks", operation_id = "callbacks", tag = "jobs",
    params(
        ("job_id" = String, Path, description = "The job's id"),
        ("limit" = Option<u64>, Query, description = "Callbacks on a page, 20 unless given", minimum = 1, maximum = 50),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, body = CallbackList, description = "A page of callbacks, newest first")),
)]
pub(super) async fn list(
    State(face): State<Shared>,
    owner: Owner,
    PathId(id): PathId,
    query: Query,
) -> Result<Response, ApiError> {
    let (before, size) = read_page(query)?;
    let job = face.app.store.job(&owner.0, &id).await?.ok_or_else(ApiError::job_not_found)?;
    // One more than is shown tells whether there is a next page.
    let mut records = face.app.store.deliveries(job.key, before, size + 1).await?;
    let has_more = records.len() > size;
    records.truncate(size);
    let next_cursor = records.last().filter(|_| has_more).map(|record| cursor(record.sequence));
    let callbacks = records.into_iter().map(|record| Callback::new(&id, record)).collect();
    Ok(Json(CallbackList { callbacks, next_cursor }).into_response())
}

/// From which sequence on, and how many.
fn read_page(mut query: Query) -> Result<(u64, usize), ApiError> {
    let mut reader = Reader::default();
    let (mut before, mut size) = (u64::MAX, USUAL_PAGE);
    if let Some(limit) = query.take("limit") {
        match limit.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit)) {
            Some(limit) => size = limit,
            None => reader.refuse("limit", &limit.into(), format_args!("a whole number from 1 to {LARGEST_PAGE}")),
        }
    }
    if let Some(text) = query.take("cursor") {
        match read_cursor(&text) {
            Some(sequence) => before = sequence,
            None => reader.refuse("cursor", &text.into(), "next_cursor of an earlier page"),
        }
    }
    reader.finish()?;
    Ok((before, size))
}

/// Opaque, as every cursor is.
fn cursor(sequence: u64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("below {sequence}"))
}

fn read_cursor(text: &str) -> Option<u64> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    text.strip_prefix("below ")?.parse().ok()
}

/// Send a callback again.
///
/// It goes out at once, with the same `webhook-id` and body and a new `webhook-timestamp`, and is tried again by the
/// schedule from its start if it fails. Progress can be sent again until something newer is to be told.
#[utoipa::path(
    post, path = "/mesh/{job_id}/callbacks/{webhook_id}/redeliver", operation_id = "redeliver", tag = "jobs",
    params(
        ("job_id" = String, Path, description = "The job's id"),
        ("webhook_id" = String, Path, description = "The callback's id"),
    ),
    responses((status = 202, body = Callback, description = "It is due now")),
)]
pub(super) async fn redeliver(
    State(face): State<Shared>,
    owner: Owner,
    PathCallback(id, webhook_id): PathCallback,
) -> Result<Response, ApiError> {
    let not_found = || ApiError::new(Code::CallbackNotFound, "the job has no callback of this id; list them first");
    let store = &face.app.store;
    let job = store.job(&owner.0, &id).await?.ok_or_else(ApiError::job_not_found)?;
    let sequence = message_sequence(&id, &webhook_id).ok_or_else(not_found)?;
    let find = async || {
        let newest = store.deliveries(job.key, sequence.saturating_add(1), 1).await?;
        newest.into_iter().find(|record| record.sequence == sequence).ok_or_else(not_found)
    };
    // As at the job's submission; what may be reached can have changed since.
    if let Err(refusal) = face.app.net.check(&find().await?.url) {
        return Err(ApiError::new(Code::Failure(FailureCode::UrlNotAllowed), format!("callback_url: {refusal}")));
    }
    match store.redeliver(job.key, sequence).await? {
        Redelivery::Due => {}
        Redelivery::Unknown => return Err(not_found()),
        Redelivery::InFlight => {
            let message = "the callback is being sent at this moment; wait for its end, at most 15 s";
            return Err(ApiError::new(Code::CallbackInFlight, message));
        }
        Redelivery::Superseded => {
            let message = "a later callback of the job tells more; send that again";
            return Err(ApiError::new(Code::CallbackSuperseded, message));
        }
    }
    Ok((StatusCode::ACCEPTED, Json(Callback::new(&id, find().await?))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_nothing_else_is() {
        assert_eq!(read_cursor(&cursor(7)), Some(7));
        for bad in ["", "7", "!!", &BASE64_URL_SAFE_NO_PAD.encode("below -1"), &BASE64_URL_SAFE_NO_PAD.encode("7")] {
            assert_eq!(read_cursor(bad), None, "{bad}");
        }
    }
}
