//! The places that connections take, and who gives one up: whoever keeps the service waiting.
//!
//! A caller that drips its header, its body or its reading costs nothing but a place, and a thousand of them would leave
//! none. So once every place is taken, a newcomer gets that of the connection that has waited longest for a header; if
//! none waits for one, that of the slowest body or reader, if it is slow indeed. A connection that waits for us, for its
//! job or its mesh, keeps its place.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::task::{AbortHandle, Id};

/// How long a header may take before its connection's place may be another's: any caller's first bytes are there by then.
const AT_LEAST: Duration = Duration::from_millis(100);

/// How long a body may come, or an answer be read, before its speed is judged.
const JUDGED_AFTER: Duration = Duration::from_secs(1);

/// Callers faster than this keep their places, bytes/s: to hold a thousand of them takes half a gigabit a second.
const FAST: u64 = 64 << 10;

/// A connection's place: what it waits for.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    waits: Waits,
    /// The answer's last byte is on its way to the socket.
    has_answer: bool,
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy)]
enum Waits {
    /// Its request is being worked on.
    ForUs,
    /// A header, the first or the next.
    ForHeader { since: Instant },
    /// More of a body; time waited until then, all pauses together, and bytes that came.
    ForBody { since: Instant, received: u64 },
    /// A full socket to be read, and bytes that were.
    ForReader { since: Instant, read: u64 },
    /// Its end: the place is another's.
    Nothing,
}

/// How readily a place is given to another: the least goes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hold {
    /// No header yet, since then.
    Idle(Instant),
    /// Bytes/s.
    Slow(u64),
}

impl Place {
    /// Of a connection that has sent nothing yet.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { waits: Waits::ForHeader { since: Instant::now() }, has_answer: false })))
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A request has come.
    pub(super) fn begin(&self) {
        self.with(|state| *state = State { waits: Waits::ForUs, has_answer: false });
    }

    /// More of the body is waited for, of which so many bytes have come in the time waited so far.
    pub(super) fn waits_for_body(&self, waited: Duration, received: u64) {
        let now = Instant::now();
        let since = now.checked_sub(waited).unwrap_or(now);
        self.with(|state| state.waits = Waits::ForBody { since, received });
    }

    /// More of the body has come, or nobody waits for it any longer.
    pub(super) fn has_body(&self) {
        self.with(|state| {
            if let Waits::ForBody { .. } = state.waits {
                state.waits = Waits::ForUs;
            }
        });
    }

    /// The caller has to read before more can be written.
    pub(super) fn waits_for_reader(&self) {
        self.with(|state| {
            if !matches!(state.waits, Waits::ForReader { .. }) {
                state.waits = Waits::ForReader { since: Instant::now(), read: 0 };
            }
        });
    }

    /// So many bytes were written.
    pub(super) fn wrote(&self, bytes: u64) {
        self.with(|state| {
            if let Waits::ForReader { read, .. } = &mut state.waits {
                *read += bytes;
            }
        });
    }

    /// Everything that there was to write is written.
    pub(super) fn flushed(&self) {
        self.with(|state| {
            if std::mem::take(&mut state.has_answer) {
                state.waits = Waits::ForHeader { since: Instant::now() };
            } else if let Waits::ForReader { .. } = state.waits {
                state.waits = Waits::ForUs;
            }
        });
    }

    /// An answer's body that tells when it ends.
    pub(super) fn answering(self, body: Body) -> Body {
        Body::new(Answering { body, place: self })
    }

    /// `None` for a place that nobody can have.
    fn hold(&self, now: Instant) -> Option<Hold> {
        match self.with(|state| state.waits) {
            Waits::ForUs | Waits::Nothing => None,
            Waits::ForHeader { since } => {
                (now.saturating_duration_since(since) >= AT_LEAST).then_some(Hold::Idle(since))
            }
            Waits::ForBody { since, received: bytes } | Waits::ForReader { since, read: bytes } => {
                let waited = now.saturating_duration_since(since);
                let speed = (bytes as f64 / waited.as_secs_f64()) as u64;
                (waited >= JUDGED_AFTER && speed < FAST).then_some(Hold::Slow(speed))
            }
        }
    }

    /// Gives the place up, unless a request has come meanwhile.
    fn give_up(&self) -> bool {
        self.with(|state| {
            let may_go = !matches!(state.waits, Waits::ForUs);
            if may_go {
                state.waits = Waits::Nothing;
            }
            may_go
        })
    }
}

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: HashMap<Id, (Place, AbortHandle)>,
}

/// Where a newcomer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There was a place.
    Free,
    /// Another's place.
    Vacated,
    /// Everybody is being served.
    None,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: HashMap::new() }
    }

    pub(super) fn take(&mut self, place: Place, connection: AbortHandle) {
        self.taken.insert(connection.id(), (place, connection));
    }

    pub(super) fn leave(&mut self, connection: Id) {
        self.taken.remove(&connection);
    }

    /// Looks for a place for one more, and closes the connection that has to go for it.
    pub(super) fn make_room(&mut self) -> Room {
        if self.taken.len() < self.most {
            return Room::Free;
        }
        let now = Instant::now();
        let holds = self.taken.iter().filter_map(|(id, (place, _))| Some((place.hold(now)?, *id)));
        let Some((_, first)) = holds.min_by(|(one, _), (other, _)| one.cmp(other)) else { return Room::None };
        match self.taken.remove(&first) {
            Some((place, connection)) if place.give_up() => {
                connection.abort();
                Room::Vacated
            }
            kept => {
                self.taken.extend(kept.map(|kept| (first, kept)));
                Room::None
            }
        }
    }
}

/// An answer's body.
struct Answering {
    body: Body,
    place: Place,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.place.with(|state| state.has_answer = true);
    }
}
