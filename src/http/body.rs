//! Limits on a request's body, in bytes and in time: refused by its header where that says enough, and cut off where not.
//!
//! A layer per route, as routes differ in what they take:
//! `middleware::from_fn_with_state(BodyGuard { .. }, limit_body)`. axum's own `DefaultBodyLimit` is to be disabled beneath
//! it, or the smaller one wins.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

use super::place::Place;
use super::socket::UnreadBody;
use crate::metrics::Metrics;

/// How long a body may pause.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Slowest body, bytes/s: well under a poor mobile link. Without it a byte every 9 s, which never idles, holds a connection
/// for as long as a request may take.
const LEAST_RATE: u64 = 8 << 10;

/// Time waited for a body before its rate is judged.
const GRACE: Duration = Duration::from_secs(10);

/// Bodies of up to this many bytes come without a share of the memory: all that connections can send of them is less
/// than one large upload, and the small requests are those that must not wait.
const SMALL: u64 = 64 << 10;

/// The unit in which memory is shared out, bytes: the semaphore counts in 32 bits.
const UNIT: u64 = 1 << 10;

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

/// Memory for the bodies of all requests together.
#[derive(Debug, Clone)]
pub struct UploadMemory {
    units: Arc<Semaphore>,
    total: u32,
    metrics: Arc<Metrics>,
}

impl UploadMemory {
    /// So many bytes. One body always has room, however large the route lets it be.
    #[must_use]
    pub fn new(bytes: u64, metrics: Arc<Metrics>) -> Self {
        let most = Semaphore::MAX_PERMITS.min(u32::MAX as usize) as u64;
        let total = u32::try_from((bytes / UNIT).clamp(1, most)).unwrap_or(u32::MAX);
        Self { units: Arc::new(Semaphore::new(total as usize)), total, metrics }
    }

    /// A share for a body of so many bytes, or more for one that has grown; whether there was room.
    fn grow(&self, held: &BodyShare, bytes: u64) -> bool {
        if bytes <= SMALL {
            return true;
        }
        let wanted = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.total);
        let mut held = held.0.lock().unwrap_or_else(PoisonError::into_inner);
        let more = (wanted as usize).saturating_sub(held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(&self.units).try_acquire_many_owned(more) else {
            self.metrics.rejected("uploads");
            return false;
        };
        match held.as_mut() {
            Some(held) => held.merge(permit),
            None => *held = Some(permit),
        }
        true
    }
}

/// A request's share of the memory for bodies, given back when the request has been answered, or once a handler is done
/// with the body and goes on to wait.
#[derive(Debug, Clone, Default)]
pub(super) struct BodyShare(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl BodyShare {
    /// The body's bytes are no longer held.
    pub(super) fn give_back(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// How long a request has waited for its caller to send the body: time that is not the handler's.
#[derive(Debug, Clone, Default)]
pub(super) struct BodyClock(Arc<Mutex<Waited>>);

#[derive(Debug, Default)]
struct Waited {
    ended: Duration,
    since: Option<Instant>,
}

impl BodyClock {
    /// Time waited so far.
    pub(super) fn waited(&self) -> Duration {
        let waited = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waited.ended + waited.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn begin(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).since = Some(Instant::now());
    }

    fn end(&self) {
        let mut waited = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = waited.since.take() {
            waited.ended += since.elapsed();
        }
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
    /// There is no memory for it now: 503.
    #[error("too many uploads are under way; try again later")]
    NoRoom,
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
#[derive(Debug, Clone)]
pub struct BodyGuard {
    /// What a body may be.
    pub limits: BodyLimits,
    /// Where the bytes of all bodies have room.
    pub memory: UploadMemory,
    /// How a fault is answered.
    pub refuse: fn(BodyFault) -> Response,
}

/// The middleware. Whatever a handler makes of a body that was cut off, the answer says why it was. An answer that comes
/// before its request has been read says that the connection ends, so that its caller does not try the next one on it.
pub async fn limit_body(State(guard): State<BodyGuard>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let unread = request.extensions().get::<UnreadBody>().cloned().unwrap_or_default();
    let mut response = limited(guard, request, next, unread.clone()).await;
    if unread.is_left() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn limited(guard: BodyGuard, mut request: Request, next: Next, unread: UnreadBody) -> Response {
    let clock = request.extensions().get::<BodyClock>().cloned().unwrap_or_default();
    let limit = guard.limits.max_bytes;
    let declared = declared_bytes(request.headers());
    if declared.is_some_and(|bytes| bytes > limit) {
        unread.leave();
        return (guard.refuse)(BodyFault::TooLarge { declared, limit });
    }
    let place = request.extensions().get::<Place>().cloned();
    let share = BodyShare::default();
    if !guard.memory.grow(&share, declared.unwrap_or(0)) {
        unread.leave();
        return (guard.refuse)(BodyFault::NoRoom);
    }
    request.extensions_mut().insert(share.clone());
    let fault = Arc::new(OnceLock::new());
    let (limits, memory, fault_of_body, share_of_body) =
        (guard.limits, guard.memory.clone(), Arc::clone(&fault), share.clone());
    let limited = |body| {
        Body::new(LimitedBody {
            body,
            limits,
            memory,
            share: share_of_body,
            fault: fault_of_body,
            received: 0,
            clock,
            waiting: None,
            is_slow: false,
            has_ended: false,
            unread,
            place,
        })
    };
    let response = next.run(request.map(limited)).await;
    share.give_back();
    fault.get().map_or(response, |fault| (guard.refuse)(*fault))
}

fn declared_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body that ends with an error at the first limit it breaks.
struct LimitedBody {
    body: Body,
    limits: BodyLimits,
    memory: UploadMemory,
    share: BodyShare,
    fault: Arc<OnceLock<BodyFault>>,
    received: u64,
    /// Time waited for the caller; not that which the handler took between two reads.
    clock: BodyClock,
    /// Ends a pause in the body.
    waiting: Option<Pin<Box<Sleep>>>,
    /// Whether its end would be that of the caller's time in all.
    is_slow: bool,
    has_ended: bool,
    unread: UnreadBody,
    /// None where no server has accepted the connection.
    place: Option<Place>,
}

impl LimitedBody {
    fn break_off(&self, fault: BodyFault) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let _ = self.fault.set(fault);
        Poll::Ready(Some(Err(axum::Error::new(fault))))
    }

    fn end_wait(&self) {
        self.clock.end();
        if let Some(place) = &self.place {
            place.has_body();
        }
    }

    /// Ready with the fault once the caller has paused too long, or used up its time.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<BodyFault> {
        let idle = self.limits.idle;
        if self.waiting.is_none() {
            let left = self.limits.patience(self.received).saturating_sub(self.clock.waited());
            self.is_slow = left < idle;
            self.waiting = Some(Box::pin(sleep_until(Instant::now() + left.min(idle))));
            if let Some(place) = &self.place {
                place.waits_for_body(self.clock.waited(), self.received);
            }
            self.clock.begin();
        }
        if let Some(timer) = &mut self.waiting {
            ready!(timer.as_mut().poll(cx));
        }
        let received = self.received;
        let least_rate = self.limits.least_rate;
        Poll::Ready(if self.is_slow {
            BodyFault::Slow { received, least_rate }
        } else {
            BodyFault::Idle { received, idle }
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
        if this.waiting.take().is_some() {
            this.end_wait();
        }
        this.has_ended |= frame.is_none();
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            this.received = this.received.saturating_add(data.len() as u64);
        }
        if this.received > this.limits.max_bytes {
            return this.break_off(BodyFault::TooLarge { declared: None, limit: this.limits.max_bytes });
        }
        if !this.memory.grow(&this.share, this.received) {
            return this.break_off(BodyFault::NoRoom);
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

impl Drop for LimitedBody {
    /// Whoever refuses without reading, for the key or the route, has a caller that is still sending.
    fn drop(&mut self) {
        self.end_wait();
        if !self.has_ended && !self.body.is_end_stream() {
            self.unread.leave();
        }
    }
}
