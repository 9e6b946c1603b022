//! `GET /mesh/{job_id}/events`: a job's events as they happen, from any of them on.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::auth::{Caller, Owner};
use super::error::ApiError;
use super::extract::PathId;
use super::face::{Place, Shared};
use super::schema::EventStream;
use crate::job::{self, JobState, announcement};
use crate::result_link::Completed;
use crate::store::{Job, JobSubscription, Result};

/// How often something is sent when nothing happens: proxies close what is silent for 30 to 60 s.
const PING: Duration = Duration::from_secs(15);

/// How often events are looked for while no signal comes. A thousand listeners then cost the database a hundred
/// lookups a second, a few per cent of what it can do; signals are what makes events timely.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Events read at a time. A job has about ten.
const PAGE: usize = 100;

/// Where a stream begins anew: the `id` of the last event that was seen.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A job's events, as server-sent events.
///
/// Each has its sequence as `id`, `progress`, `completed` or `failed` as `event`, and the body of a callback as `data`.
/// `Last-Event-ID` replays what came after it. The stream ends after the final event, and after
/// REQUEST_TIMEOUT; browsers come again by themselves. Who comes again after the final event is told so by 204, upon
/// which browsers stop.
#[utoipa::path(
    get, path = "/mesh/{job_id}/events", operation_id = "events", tag = "jobs",
    params(
        ("job_id" = String, Path, description = "The job's id"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen"),
    ),
    responses(
        (status = 200, description = "A stream of events", content_type = "text/event-stream", body = EventStream),
        (status = 204, description = "The caller has seen the final event"),
    ),
)]
pub(super) async fn events(
    State(face): State<Shared>,
    owner: Owner,
    caller: Caller,
    PathId(id): PathId,
    headers: HeaderMap,
) -> std::result::Result<Response, ApiError> {
    let job = face.app.store.job(&owner.0, &id).await?.ok_or_else(ApiError::job_not_found)?;
    // What is no number begins at the start; what is beyond the end waits for the next event.
    let seen = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()?.trim().parse().ok());
    let seen = seen.unwrap_or(0).min(job.sequence);
    if job.state.is_final() && seen == job.sequence {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let listener = Listener {
        _place: face.listen(&owner.0)?,
        end: Instant::now() + face.app.config.http.request_timeout,
        base: face.base(&headers),
        news: face.app.store.signals().subscribe(job.key),
        draining: face.app.draining(),
        unsent: VecDeque::new(),
        seen,
        // An earlier end of a job that was begun anew is not the last event.
        last_known: job.sequence,
        ended: false,
        caller,
        face,
        job,
    };
    let mut response = Sse::new(listener.stream()).keep_alive(KeepAlive::new().interval(PING)).into_response();
    // Keeps nginx from holding events back until a buffer is full.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// One open stream.
struct Listener {
    _place: Place,
    /// When the caller had better come again, so that one that has gone without a word does not hold its place for ever.
    end: Instant,
    caller: Caller,
    face: Shared,
    base: String,
    job: Job,
    news: JobSubscription,
    draining: watch::Receiver<bool>,
    unsent: VecDeque<job::Event>,
    seen: u64,
    last_known: u64,
    ended: bool,
}

impl Listener {
    fn stream(self) -> impl Stream<Item = std::result::Result<Event, Infallible>> {
        stream::unfold(self, |mut listener| async move {
            let event = listener.next().await?;
            Some((Ok(listener.written(&event).await), listener))
        })
    }

    /// The next event; `None` after the final one, or when the caller had better come again.
    async fn next(&mut self) -> Option<job::Event> {
        // Whose key was revoked has seen the last of it.
        while !self.ended && !self.caller.is_gone() {
            if let Some(event) = self.unsent.pop_front() {
                self.seen = event.sequence;
                self.ended = event.state.is_final() && event.sequence >= self.last_known;
                return Some(event);
            }
            let read = self.read().await;
            // Upon an error the stream is closed, and the caller's reconnect goes on from what it has seen.
            self.unsent = read.inspect_err(|error| tracing::error!(%error, "the store failed")).ok()?.into();
            if self.unsent.is_empty() {
                self.wait().await?;
            }
        }
        None
    }

    async fn read(&self) -> Result<Vec<job::Event>> {
        self.face.app.store.events(self.job.key, self.seen, PAGE).await
    }

    /// Until something may have happened; `None` once the service is about to stop, or the stream has been open for as
    /// long as a request may take.
    async fn wait(&mut self) -> Option<()> {
        if *self.draining.borrow() || Instant::now() >= self.end {
            return None;
        }
        let woken = async {
            tokio::select! {
                () = self.news.changed() => Some(()),
                _ = self.draining.changed() => None,
            }
        };
        timeout_at(self.end.min(Instant::now() + LOOK_AGAIN), woken).await.unwrap_or(Some(()))
    }

    async fn written(&self, event: &job::Event) -> Event {
        let name = if event.state.is_final() { event.state.status() } else { "progress" };
        let data = announcement(&self.job.id, event, self.result_url(event).await.as_deref());
        Event::default().id(event.sequence.to_string()).event(name).data(data.to_string())
    }

    async fn result_url(&self, event: &job::Event) -> Option<String> {
        if event.state != JobState::Completed {
            return None;
        }
        // The job was read before it ended, and its result is only asked for where a link needs it.
        let now = if self.face.links.lead_to_storage(&self.job.owner) {
            self.face.app.store.job(&self.job.owner, &self.job.id).await.ok().flatten()
        } else {
            None
        };
        let hash = now.as_ref().and_then(|job| job.result.as_ref()).map(|result| result.hash.as_str());
        let completed = Completed { owner: &self.job.owner, job: &self.job.id, at_ms: event.at_ms, hash };
        self.face.links.url(Some(&self.base), completed).await
    }
}
