//! Sends callbacks: signed, within limits, each receiver at its own pace, every attempt recorded.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::Utc;
use futures_util::FutureExt;
use tokio::task::JoinSet;

use super::receivers::{Receivers, Unsent};
use super::shift::{Phase, Shift};
use super::slots::{self, SendId};
use crate::crash_point;
use crate::job::announcement;
use crate::net::{Answer, SendError};
use crate::retry;
use crate::signature;
use crate::store::{Attempt, Delivery, DeliveryOutcome, Held, message_id};

/// Callbacks that are claimed at a time.
const CLAIMED_AT_ONCE: usize = 64;

/// Callbacks held here at most that wait for their turn, all receivers together.
const WAITING: usize = 1024;

/// How long a receiver may take over a final event.
const FINAL_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a receiver may take over a progress event: later ones are on their way.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(5);

/// How often the store is asked where no signal comes.
const LOOK: Duration = Duration::from_secs(5);

/// How often is looked for what has been held for too long.
const TIDY: Duration = Duration::from_secs(1);

/// How many times as long as a claim took is rested after it. Claims read past all that waits for receivers without a
/// turn: with ten thousand of them that is milliseconds, for every callback that ends, of a writer that all share.
const REST: u32 = 2;

/// How long to wait after the store failed.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// What the record says of an attempt that was not made.
const NOT_SENT: &str = "not sent: the receiver does not answer";

/// An attempt that ended: whose, and whether anything was answered.
struct Sent {
    id: SendId,
    host: String,
    answered: bool,
}

/// Sends what is due until everything ends, then waits for what is being sent.
pub(super) async fn run(shift: Arc<Shift>) {
    if !shift.has_recovered(Phase::Closing).await {
        return;
    }
    let mut receivers = Receivers::within(slots::most_open_files());
    let mut sending = JoinSet::new();
    let (mut look_at, mut rest_until, mut tidy_at) = (Instant::now(), Instant::now(), Instant::now());
    loop {
        let mut unsent = Unsent::default();
        while let Some((id, delivery)) = receivers.next(Instant::now()) {
            sending.spawn(deliver_contained(Arc::clone(&shift), id, delivery));
        }
        tokio::select! {
            biased;
            () = shift.until(Phase::Closing) => break,
            Some(sent) = sending.join_next() => if let Ok(Sent { id, host, answered }) = sent {
                receivers.done(id, &host, answered, &mut unsent);
            },
            () = room(receivers.room_at()) => {}
            () = due(&shift, rest_until, look_at), if receivers.waiting() < WAITING => {
                let began = Instant::now();
                let wait = claim(&shift, &mut receivers, &mut unsent).await;
                look_at = Instant::now() + wait;
                rest_until = Instant::now() + began.elapsed() * REST;
            }
        }
        if tidy_at <= Instant::now() {
            tidy(&shift, &mut receivers, &mut unsent);
            tidy_at = Instant::now() + TIDY.min(shift.pace.lease / 16);
        }
        give_back(&shift, unsent).await;
    }
    while sending.join_next().await.is_some() {}
}

/// Ends when there is room for another send, if that comes by itself.
async fn room(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Lets go of what has been held for too long.
fn tidy(shift: &Shift, receivers: &mut Receivers, unsent: &mut Unsent) {
    let now = Instant::now();
    // A lease outlasts the wait here, a quarter of it, and the longest answer, which is half.
    if let Some(then) = now.checked_sub(shift.pace.lease / 4) {
        receivers.claimed_before(then, unsent);
    }
    receivers.forget_idle(now);
}

/// Ends when a callback may be due. It rests before it listens, or a signal would be heard by nobody.
async fn due(shift: &Shift, rest_until: Instant, look_at: Instant) {
    tokio::time::sleep_until(rest_until.into()).await;
    tokio::select! {
        () = shift.app.store.signals().due() => {}
        () = tokio::time::sleep_until(look_at.into()) => {}
    }
}

/// Takes in what is due; how long to wait before asking again.
async fn claim(shift: &Shift, receivers: &mut Receivers, unsent: &mut Unsent) -> Duration {
    let (claimed_at, not_to) = (Instant::now(), receivers.without_turn());
    let deliveries = match shift.app.store.claim_deliveries(&shift.name, CLAIMED_AT_ONCE, &not_to).await {
        Ok(deliveries) => deliveries,
        Err(cause) => {
            tracing::warn!(%cause, "cannot claim callbacks; trying again");
            return AFTER_ERROR;
        }
    };
    let more = deliveries.len() == CLAIMED_AT_ONCE;
    for delivery in deliveries {
        receivers.take(claimed_at, delivery, unsent);
    }
    if more {
        return Duration::ZERO;
    }
    // An attempt that ends is signalled, and gives its receiver a turn.
    match shift.app.store.next_delivery(&receivers.without_turn()).await {
        Ok(next) => next.unwrap_or(LOOK).min(LOOK),
        Err(cause) => {
            tracing::warn!(%cause, "cannot see when the next callback is due; trying again");
            AFTER_ERROR
        }
    }
}

/// Tells the store what is not sent now, all at a time so that the writes share a commit. Where one fails, its lease ends
/// by itself.
async fn give_back(shift: &Arc<Shift>, unsent: Unsent) {
    let mut writes = JoinSet::new();
    for delivery in unsent.put_off {
        let shift = Arc::clone(shift);
        writes.spawn(async move {
            if let Err(cause) = shift.app.store.put_off(delivery.token, Duration::ZERO).await {
                tracing::warn!(%cause, "cannot put a callback off; it is due again when its lease ends");
            }
        });
    }
    for delivery in unsent.failed {
        let shift = Arc::clone(shift);
        writes.spawn(async move {
            let attempt = Attempt { status: None, error: Some(NOT_SENT.into()), took: Duration::ZERO };
            let (outcome, word) = later(&delivery, None);
            record(&shift, &delivery, attempt, outcome, word).await;
        });
    }
    while writes.join_next().await.is_some() {}
}

/// One attempt. A panic is no answer: its receiver's turn must end with it, and the callback's lease ends by itself.
async fn deliver_contained(shift: Arc<Shift>, id: SendId, delivery: Delivery) -> Sent {
    let host = delivery.host.clone();
    let answered = AssertUnwindSafe(deliver(&shift, delivery)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("sending a callback panicked");
        false
    });
    Sent { id, host, answered }
}

/// One attempt, and its record; whether anything was answered.
async fn deliver(shift: &Shift, delivery: Delivery) -> bool {
    crash_point::reached("before_callback");
    let began = Instant::now();
    let answer = send(shift, &delivery).await;
    let took = began.elapsed();
    crash_point::reached("after_callback");
    if delivery.event.state.is_final() {
        crash_point::reached("after_final_callback");
    }
    let (outcome, word) = follows(&delivery, &answer);
    let attempt = Attempt {
        status: answer.as_ref().ok().map(|answer| answer.status),
        error: match &answer {
            Ok(_) if outcome == DeliveryOutcome::Delivered => None,
            Ok(answer) => Some(format!("the receiver answers {}", answer.status)),
            Err(error) => Some(error.to_string()),
        },
        took,
    };
    if let Err(SendError::Failed(cause)) = &answer {
        tracing::info!(job = %delivery.job_id, receiver = delivery.host, ?cause, "a callback was not answered");
    }
    record(shift, &delivery, attempt, outcome, word).await;
    !matches!(answer, Err(SendError::TimedOut(_) | SendError::Failed(_) | SendError::NoSuchHost))
}

/// Writes an attempt down, and counts it.
async fn record(shift: &Shift, delivery: &Delivery, attempt: Attempt, outcome: DeliveryOutcome, word: &'static str) {
    shift.app.metrics.delivery(word);
    match shift.app.store.delivered(delivery.token, attempt, outcome).await {
        Ok(Held::Yes) => {}
        Ok(Held::Lost) => shift.app.metrics.stale_write(),
        // It stays leased, and is sent again under the same id when that ends.
        Err(cause) => tracing::warn!(job = %delivery.job_id, %cause, "cannot record an attempt to call back"),
    }
}

/// Posts what is told of the event, signed if there are secrets.
async fn send(shift: &Shift, delivery: &Delivery) -> Result<Answer, SendError> {
    let event = &delivery.event;
    let result_url = shift.links.url(&delivery.owner, &delivery.job_id, event.at_ms);
    let body = Bytes::from(announcement(&delivery.job_id, event, result_url.as_deref()).to_string());
    let id = message_id(&delivery.job_id, event.sequence);
    // Of this attempt, as receivers refuse what is old.
    let timestamp = Utc::now().timestamp();
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("x-request-id", delivery.request_id.clone()),
        ("webhook-id", id.clone()),
        ("webhook-timestamp", timestamp.to_string()),
    ];
    if !shift.secrets.is_empty() {
        headers.push(("webhook-signature", signature::sign(&shift.secrets, &id, timestamp, &body)));
    }
    let timeout = if event.state.is_final() { FINAL_TIMEOUT } else { PROGRESS_TIMEOUT };
    shift.app.net.post(&delivery.url, &headers, body, timeout).await
}

/// What follows from an answer, or from none.
fn follows(delivery: &Delivery, answer: &Result<Answer, SendError>) -> (DeliveryOutcome, &'static str) {
    let asked = match answer {
        Ok(Answer { status: 200..=299, .. }) => return (DeliveryOutcome::Delivered, "delivered"),
        // 410: the receiver wants no more of it.
        Ok(Answer { status: 410, .. }) | Err(SendError::Refused(_)) => return (DeliveryOutcome::GivenUp, "given_up"),
        Ok(answer) => answer.retry_after,
        Err(_) => None,
    };
    later(delivery, asked)
}

/// The next attempt by the schedule, if there is one.
fn later(delivery: &Delivery, asked: Option<Duration>) -> (DeliveryOutcome, &'static str) {
    let attempts = delivery.attempts.saturating_add(1);
    let Delivery { job_id, event, .. } = delivery;
    let id = message_id(job_id, event.sequence);
    let backoff = retry::callback_backoff(&id, event.state.is_final(), attempts, asked);
    backoff.map_or((DeliveryOutcome::GivenUp, "given_up"), |after| (DeliveryOutcome::RetryAfter(after), "retried"))
}
