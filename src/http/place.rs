//! The places that connections take, and who gives one up: whoever keeps the service waiting.
//!
//! A caller that drips its header, its body or its reading costs nothing but a place, and a thousand of them would leave
//! none. So once every place is taken, connections are let into the lobby, where a whole header earns a place: that of
//! the connection that has waited longest for a header of its own; if none waits for one, that of the slowest body or
//! reader, if it is slow indeed. A connection that waits for us, for its job or its mesh, keeps its place.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;

/// How long a header may take before its connection's place may be another's: any caller's first bytes are there by then.
const AT_LEAST: Duration = Duration::from_millis(100);

/// How long a body may come, or an answer be read, before its speed is judged.
const JUDGED_AFTER: Duration = Duration::from_millis(500);

/// Callers faster than this keep their places, bytes/s: to hold a thousand of them takes half a gigabit a second.
const FAST: u64 = 64 << 10;

/// A connection's place: what it waits for.
#[derive(Debug, Clone)]
pub(super) struct Place {
    state: Arc<Mutex<State>>,
    /// Tells the connection that the place is another's.
    lost: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    waits: Waits,
    /// The answer's last byte is on its way to the socket.
    has_answer: bool,
    /// In the lobby until then.
    is_seated: bool,
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
    /// Nothing: it has ended, or is about to as its place is another's.
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

impl State {
    /// For a connection that has lost its place it is too late to wait for anything else.
    fn wait(&mut self, waits: Waits) -> bool {
        let has_place = !matches!(self.waits, Waits::Nothing);
        if has_place {
            self.waits = waits;
        }
        has_place
    }
}

impl Place {
    fn new(is_seated: bool) -> Self {
        let waits = Waits::ForHeader { since: Instant::now() };
        Self { state: Arc::new(Mutex::new(State { waits, has_answer: false, is_seated })), lost: Arc::default() }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends when the connection has to go.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }

    /// A request has come; whether it may be worked on. Not if the place is another's by now: its connection is about to
    /// end, and nobody would hear the answer.
    pub(super) fn begin(&self) -> bool {
        self.with(|state| {
            state.has_answer = false;
            state.wait(Waits::ForUs)
        })
    }

    /// More of the body is waited for, of which so many bytes have come in the time waited so far.
    pub(super) fn waits_for_body(&self, waited: Duration, received: u64) {
        let now = Instant::now();
        let since = now.checked_sub(waited).unwrap_or(now);
        self.with(|state| state.wait(Waits::ForBody { since, received }));
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
                state.wait(Waits::ForReader { since: Instant::now(), read: 0 });
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
                state.wait(Waits::ForHeader { since: Instant::now() });
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
        let may_go = self.with(|state| {
            let may_go = !matches!(state.waits, Waits::ForUs);
            if may_go {
                state.waits = Waits::Nothing;
            }
            may_go
        });
        if may_go {
            self.lost.notify_one();
        }
        may_go
    }

    fn is_in_lobby(&self) -> bool {
        self.with(|state| !state.is_seated && !matches!(state.waits, Waits::Nothing))
    }
}

/// All places, and the lobby.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_in_lobby: usize,
    rooms: Mutex<Rooms>,
}

#[derive(Debug, Default)]
struct Rooms {
    newest: u64,
    seated: HashMap<u64, Place>,
    lobby: VecDeque<Place>,
}

/// A connection's ticket: it is let in while it has this.
#[derive(Debug)]
pub(super) struct Ticket {
    number: u64,
    pub(super) place: Place,
    places: Arc<Places>,
}

/// Whether there was a place for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seat {
    /// It has one.
    Taken,
    /// It has that of another.
    TakenOver,
    /// Everybody is being served.
    None,
}

impl Places {
    /// So many places, and room for so many in the lobby.
    pub(super) fn new(most: usize, most_in_lobby: usize) -> Arc<Self> {
        Arc::new(Self { most, most_in_lobby, rooms: Mutex::default() })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Rooms) -> T) -> T {
        change(&mut self.rooms.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets a connection in: to a place if one is free, else into the lobby, whose oldest has to go if it is full.
    pub(super) fn let_in(self: &Arc<Self>) -> Ticket {
        let (number, place) = self.with(|rooms| {
            rooms.newest += 1;
            let is_seated = rooms.seated.len() < self.most;
            let place = Place::new(is_seated);
            if is_seated {
                rooms.seated.insert(rooms.newest, place.clone());
            } else {
                rooms.lobby.retain(Place::is_in_lobby);
                rooms.lobby.push_back(place.clone());
                while rooms.lobby.len() > self.most_in_lobby {
                    if let Some(oldest) = rooms.lobby.pop_front() {
                        oldest.lost.notify_one();
                    }
                }
            }
            (rooms.newest, place)
        });
        Ticket { number, place, places: Arc::clone(self) }
    }
}

impl Ticket {
    /// Whether the connection is in the lobby.
    pub(super) fn is_in_lobby(&self) -> bool {
        self.place.is_in_lobby()
    }

    /// A place for a request whose header is there, from whoever keeps us waiting if none is free.
    pub(super) fn take_seat(&self) -> Seat {
        if self.place.with(|state| state.is_seated) {
            return Seat::Taken;
        }
        self.places.with(|rooms| {
            let mut seat = Seat::Taken;
            if rooms.seated.len() >= self.places.most {
                let now = Instant::now();
                let holds = rooms.seated.iter().filter_map(|(number, place)| Some((place.hold(now)?, *number)));
                let Some((_, first)) = holds.min() else { return Seat::None };
                if !rooms.seated.get(&first).is_some_and(Place::give_up) {
                    return Seat::None;
                }
                rooms.seated.remove(&first);
                seat = Seat::TakenOver;
            }
            self.place.with(|state| state.is_seated = true);
            rooms.seated.insert(self.number, self.place.clone());
            seat
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.place.with(|state| state.waits = Waits::Nothing);
        self.places.with(|rooms| rooms.seated.remove(&self.number));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_comes_when_the_place_is_anothers_is_not_begun() {
        let place = Place::new(true);
        assert!(place.begin());
        assert!(!place.give_up(), "it is being worked on");
        place.with(|state| state.has_answer = true);
        place.flushed();
        assert!(place.give_up());
        assert!(!place.begin());
        // Nor when what was before it ends meanwhile.
        place.waits_for_reader();
        place.waits_for_body(Duration::ZERO, 1);
        place.with(|state| state.has_answer = true);
        place.flushed();
        assert!(!place.begin() && place.hold(Instant::now() + JUDGED_AFTER).is_none());
    }
}
