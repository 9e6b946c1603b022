//! Sends callbacks: signed, within limits, each receiver at its own pace, every attempt recorded.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::Utc;
use futures_util::FutureExt;
use tokio::task::JoinSet;

use super::receivers::{Heard, Receivers, Unsent};
use super::shift::{Phase, Shift};
use super::slots::{self, SendId};
use crate::crash_point;
use crate::job::{JobState, announcement};
use crate::net::{Answer, SendError};
use crate::result_link::Completed;
use crate::retry;
use crate::signature;
use crate::store::{Attempt, Delivery, DeliveryOutcome, Held, message_id};

/// Callbacks that are claimed at a time.
const CLAIMED_AT_ONCE: usize = 64;

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

/// For how long an end is owed to a receiver that is down without an attempt counting that is not made: longer than the
/// whole schedule. Then it does, so that what is owed ends some day however much there is.
const OWED: Duration = Duration::from_secs(4 * 86_400);

/// What the record says of an attempt that was not made.
const NOT_SENT: &str = "not sent: the receiver does not answer";

/// An attempt that ended: whose, and what it told of its receiver.
struct Sent {
    id: SendId,
    host: String,
    heard: Heard,
}

/// Sends what is due until everything ends, then waits for what is being sent.
pub(super) async fn run(shift: Arc<Shift>) {
    if !shift.has_recovered(Phase::Closing).await {
        return;
    }
    let mut receivers = Receivers::within(slots::most_open_files());
    let mut sending = JoinSet::new();
    let (mut look_at, mut rest_until, mut tidy_at) = (Instant::now(), Instant::now(), Instant::now());
    let mut were_crowded = false;
    loop {
        let mut unsent = Unsent::default();
        while let Some((id, delivery)) = receivers.next(Instant::now()) {
            sending.spawn(deliver_contained(Arc::clone(&shift), id, delivery));
        }
        let are_crowded = receivers.are_crowded();
        if were_crowded && !are_crowded {
            // Strangers were not asked for, and no signal tells that there is room for them.
            look_at = Instant::now();
        }
        were_crowded = are_crowded;
        tokio::select! {
            biased;
            () = shift.until(Phase::Closing) => break,
            Some(sent) = sending.join_next() => if let Ok(Sent { id, host, heard }) = sent {
                receivers.done(id, &host, heard, &mut unsent);
            },
            () = room(receivers.room_at()) => {}
            () = due(&shift, rest_until, look_at), if receivers.have_room() => {
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
    let claimed_at = Instant::now();
    let wanted = receivers.wanted(claimed_at);
    let deliveries = match shift.app.store.claim_deliveries(&shift.name, CLAIMED_AT_ONCE, wanted.to()).await {
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
    match shift.app.store.next_delivery(receivers.wanted(Instant::now()).to()).await {
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
    let now_ms = Utc::now().timestamp_millis();
    let (failed, waits): (Vec<_>, Vec<_>) =
        unsent.down.into_iter().partition(|delivery| fails_unsent(delivery, now_ms));
    for delivery in waits.into_iter().chain(unsent.put_off) {
        let shift = Arc::clone(shift);
        writes.spawn(async move {
            if let Err(cause) = shift.app.store.put_off(delivery.token, Duration::ZERO).await {
                tracing::warn!(%cause, "cannot put a callback off; it is due again when its lease ends");
            }
        });
    }
    for delivery in failed {
        let shift = Arc::clone(shift);
        writes.spawn(async move {
            let attempt = Attempt { status: None, error: Some(NOT_SENT.into()), took: Duration::ZERO };
            let (outcome, word) = later(&delivery, None);
            record(&shift, &delivery, attempt, outcome, word).await;
        });
    }
    while writes.join_next().await.is_some() {}
}

/// Whether an attempt counts that is not made as the receiver is down. An end waits instead for what others of its
/// receiver's find out; progress is soon past.
fn fails_unsent(delivery: &Delivery, now_ms: i64) -> bool {
    let age_ms = u64::try_from(now_ms.saturating_sub(delivery.event.at_ms)).unwrap_or_default();
    !delivery.event.state.is_final() || Duration::from_millis(age_ms) > OWED
}

/// One attempt. A panic is no answer: its receiver's turn must end with it, and the callback's lease ends by itself.
async fn deliver_contained(shift: Arc<Shift>, id: SendId, delivery: Delivery) -> Sent {
    let host = delivery.host.clone();
    let heard = AssertUnwindSafe(deliver(&shift, delivery)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("sending a callback panicked");
        Heard::Silence
    });
    Sent { id, host, heard }
}

/// One attempt, and its record; what it told of the receiver.
async fn deliver(shift: &Shift, delivery: Delivery) -> Heard {
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
    heard(&delivery, &answer)
}

/// What an attempt tells of its receiver.
fn heard(delivery: &Delivery, answer: &Result<Answer, SendError>) -> Heard {
    match answer {
        Ok(_) => Heard::Answer,
        Err(SendError::Refused(_)) => Heard::Uncalled,
        Err(SendError::TimedOut(_)) if !delivery.event.state.is_final() => Heard::Late,
        Err(SendError::TimedOut(_) | SendError::Failed(_) | SendError::NoSuchHost | SendError::NotPublic) => {
            Heard::Silence
        }
    }
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
    let result_url = result_url(shift, delivery).await;
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

/// Where the result is, if there is one.
async fn result_url(shift: &Shift, delivery: &Delivery) -> Option<String> {
    let Delivery { owner, job_id, event, .. } = delivery;
    if event.state != JobState::Completed {
        return None;
    }
    // A callback's row does not have the result, which only some links need.
    let job =
        if shift.links.lead_to_storage(owner) { shift.app.store.job(owner, job_id).await.ok().flatten() } else { None };
    let hash = job.as_ref().and_then(|job| job.result.as_ref()).map(|result| result.hash.as_str());
    shift.links.url(None, Completed { owner, job: job_id, at_ms: event.at_ms, hash }).await
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Event, JobId};
    use crate::store::{DeliveryId, DeliveryToken, JobKey};

    fn delivery(state: JobState) -> Delivery {
        let event = Event { sequence: 1, at_ms: 1_000, state, progress: 0, message: String::new(), error: None };
        Delivery {
            token: DeliveryToken { id: DeliveryId(1), fence: 1 },
            job: JobKey(1),
            job_id: JobId::parse("a").unwrap(),
            owner: String::new(),
            request_id: String::new(),
            url: String::new(),
            host: String::new(),
            event,
            attempts: 0,
        }
    }

    #[test]
    fn only_an_answer_proves_a_receiver_and_only_silence_that_is_not_hurried_tells_against_it() {
        let (end, progress) = (delivery(JobState::Completed), delivery(JobState::Running));
        let timed_out = || Err(SendError::TimedOut(Duration::from_secs(5)));
        let not_called = Err(SendError::Refused(crate::net::Refusal::Scheme("ftp".into())));
        assert_eq!(heard(&end, &Ok(Answer { status: 500, retry_after: None })), Heard::Answer);
        assert_eq!(heard(&end, &not_called), Heard::Uncalled);
        assert_eq!((heard(&end, &timed_out()), heard(&progress, &timed_out())), (Heard::Silence, Heard::Late));
        for error in [SendError::NotPublic, SendError::NoSuchHost, SendError::Failed("refused".into())] {
            assert_eq!(heard(&progress, &Err(error)), Heard::Silence);
        }
    }

    #[test]
    fn an_end_waits_for_a_receiver_that_is_down_and_progress_does_not() {
        let (end, progress) = (delivery(JobState::Completed), delivery(JobState::Running));
        let owed_ms = i64::try_from(OWED.as_millis()).unwrap();
        assert!(fails_unsent(&progress, 1_000));
        assert!(!fails_unsent(&end, 1_000 + owed_ms));
        assert!(fails_unsent(&end, 1_001 + owed_ms), "or it would be owed for ever");
        assert!(!fails_unsent(&end, 0), "a clock may be set back");
    }
}
