//! Limits on a request's body, in bytes and in time: refused by its header where that says enough, and cut off where not.
//!
//! A layer per route, as routes differ in what they take:
//! `middleware::from_fn_with_state(BodyGuard { .. }, limit_body)`. axum's own `DefaultBodyLimit` is to be disabled beneath
//! it, or the smaller one wins.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use thiserror::Error;
use tokio::time::{Instant, Sleep, sleep_until};

use super::socket::UnreadBody;

/// How long a body may pause.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Slowest body, bytes/s: well under a poor mobile link. Without it a byte every 9 s, which never idles, holds a connection
/// for as long as a request may take.
const LEAST_RATE: u64 = 8 << 10;

/// Time waited for a body before its rate is judged.
const GRACE: Duration = Duration::from_secs(10);

/// What a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Most bytes.
    pub max_bytes: u64,
    /// Longest pause.
    pub idle: Duration,
    /// Least bytes a second, over the time that we waited for them.
    pub least_rate: u64,
    /// Time waited before the rate is judged.
    pub grace: Duration,
}

impl BodyLimits {
    /// The usual time limits for a body of at most `max_bytes`.
    #[must_use]
    pub fn up_to(max_bytes: u64) -> Self {
        Self { max_bytes, idle: IDLE_TIMEOUT, least_rate: LEAST_RATE, grace: GRACE }
    }

    /// How long we may wait in all for a body that has come so far.
    fn patience(&self, received: u64) -> Duration {
        let earned =
            received.saturating_mul(1000).checked_div(self.least_rate).map_or(Duration::MAX, Duration::from_millis);
        earned.max(self.grace)
    }
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BodyFault {
    /// Larger than the route takes: 413.
    #[error("the body {} and may have at most {limit} bytes; send less", declared.map_or("goes on".into(), |n| format!("has {n} bytes")))]
    TooLarge {
        /// Content-Length, if there was one.
        declared: Option<u64>,
        /// Bytes allowed.
        limit: u64,
    },
    /// It stopped coming: 408.
    #[error("no part of the body came for {} s after {received} bytes; send it again", idle.as_secs())]
    Idle {
        /// Bytes that came.
        received: u64,
        /// The longest pause allowed.
        idle: Duration,
    },
    /// It comes too slowly: 408.
    #[error("the body came at less than {least_rate} bytes a second; send it again over a faster connection")]
    Slow {
        /// Bytes that came.
        received: u64,
        /// Least bytes a second.
        least_rate: u64,
    },
}

/// The state of [`limit_body`].
#[derive(Debug, Clone, Copy)]
pub struct BodyGuard {
    /// What a body may be.
    pub limits: BodyLimits,
    /// How a fault is answered.
    pub refuse: fn(BodyFault) -> Response,
}

/// The middleware. Whatever a handler makes of a body that was cut off, the answer says why it was.
pub async fn limit_body(State(guard): State<BodyGuard>, request: Request, next: Next) -> Response {
    let unread = request.extensions().get::<UnreadBody>().cloned().unwrap_or_default();
    let limit = guard.limits.max_bytes;
    let declared = declared_bytes(request.headers());
    if declared.is_some_and(|bytes| bytes > limit) {
        unread.leave();
        return (guard.refuse)(BodyFault::TooLarge { declared, limit });
    }
    let fault = Arc::new(OnceLock::new());
    let limited = |body| Body::new(LimitedBody::new(body, guard.limits, Arc::clone(&fault)));
    let response = next.run(request.map(limited)).await;
    match fault.get() {
        Some(fault) => {
            unread.leave();
            (guard.refuse)(*fault)
        }
        None => response,
    }
}

fn declared_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body that ends with an error at the first limit it breaks.
struct LimitedBody {
    body: Body,
    limits: BodyLimits,
    fault: Arc<OnceLock<BodyFault>>,
    received: u64,
    /// Time waited for the caller; not that which the handler took between two reads.
    waited: Duration,
    waiting: Option<Wait>,
}

/// A pause in the body, until its timer ends it.
struct Wait {
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl LimitedBody {
    fn new(body: Body, limits: BodyLimits, fault: Arc<OnceLock<BodyFault>>) -> Self {
        Self { body, limits, fault, received: 0, waited: Duration::ZERO, waiting: None }
    }

    fn break_off(&self, fault: BodyFault) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let _ = self.fault.set(fault);
        Poll::Ready(Some(Err(axum::Error::new(fault))))
    }

    /// Ready with the fault once the caller has paused too long, or used up its time.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<BodyFault> {
        let left = self.limits.patience(self.received).saturating_sub(self.waited);
        let idle = self.limits.idle;
        let wait = self.waiting.get_or_insert_with(|| {
            let since = Instant::now();
            Wait { since, timer: Box::pin(sleep_until(since + left.min(idle))) }
        });
        ready!(wait.timer.as_mut().poll(cx));
        let received = self.received;
        let least_rate = self.limits.least_rate;
        Poll::Ready(if idle <= left {
            BodyFault::Idle { received, idle }
        } else {
            BodyFault::Slow { received, least_rate }
        })
    }
}

impl HttpBody for LimitedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            let fault = ready!(this.poll_patience(cx));
            return this.break_off(fault);
        };
        if let Some(wait) = this.waiting.take() {
            this.waited += wait.since.elapsed();
        }
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            this.received = this.received.saturating_add(data.len() as u64);
        }
        if this.received > this.limits.max_bytes {
            return this.break_off(BodyFault::TooLarge { declared: None, limit: this.limits.max_bytes });
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
