//! The outbox: callbacks that are owed, and what became of each attempt.

use std::time::Duration;

use sqlx::{PgConnection, Row};

use super::changes::{now, set_callback_aside};
use super::reads::listed;
use crate::store::record::milliseconds;
use crate::store::rows::{self, integer};
use crate::store::{
    Attempt, Delivery, DeliveryOutcome, DeliveryToken, Held, KEEPS_UP, MOST_ATTEMPTS, Result, Timing, To,
};

/// Whether a callback is passed over if it comes back: a progress callback that finds something newer, or the end; a
/// final one only by the end of a later run.
macro_rules! is_passed_over {
    () => {
        "EXISTS (SELECT 1 FROM deliveries AS newer WHERE newer.job = deliveries.job \
         AND newer.sequence > deliveries.sequence AND newer.state <> 'superseded' \
         AND newer.is_final >= deliveries.is_final)"
    };
}

/// The state of a callback that comes back.
macro_rules! back_or_passed_over {
    () => {
        concat!(
            "CASE WHEN ",
            $crate::store::postgres::deliveries::is_passed_over!(),
            " THEN 'superseded' ELSE 'waiting' END"
        )
    };
}

pub(super) use is_passed_over;

pub(super) const TAKE_BACK_EXPIRED: &str = concat!(
    "UPDATE deliveries SET state = ",
    back_or_passed_over!(),
    ", lease_until_ms = NULL, worker = NULL WHERE state = 'sending' AND lease_until_ms <= ",
    now!()
);

/// Callbacks of one sort that are due, the longest due first: of each job the earliest, and none while another of the
/// job is in flight. An end that has been due for a second waits for no progress: with many ends to be sent, it has no
/// turn. Nor is any sent beside it, or it could arrive after the end. What other nodes are claiming is passed over.
macro_rules! due {
    ($is_final:literal) => {
        concat!(
            "SELECT * FROM (SELECT id, is_final, due_at_ms FROM deliveries AS due WHERE due.state = 'waiting' \
             AND due.is_final = ",
            $is_final,
            " AND due.due_at_ms <= ",
            now!(),
            " AND (due.host = ANY($4)) = $5 \
             AND NOT EXISTS (SELECT 1 FROM deliveries AS other WHERE other.job = due.job \
             AND (other.state = 'sending' OR other.state = 'waiting' AND other.is_final > due.is_final \
             AND other.sequence > due.sequence AND other.due_at_ms <= ",
            now!(),
            " - 1000 OR other.state = 'waiting' AND other.sequence < due.sequence AND other.due_at_ms <= ",
            now!(),
            " AND (other.is_final >= due.is_final OR due.due_at_ms > ",
            now!(),
            " - 1000))) ORDER BY due.due_at_ms, due.id LIMIT $3 FOR UPDATE OF due SKIP LOCKED) AS sort"
        )
    };
}

/// Each sort apart, so that neither reads the final callbacks that wait for a later attempt: with a receiver that is
/// down for hours they are many. Should two nodes take two callbacks of one job at the same moment, an index refuses the
/// second, and its call is made again.
pub(super) const CLAIM: &str = concat!(
    "WITH picked AS MATERIALIZED (SELECT id FROM (",
    due!("TRUE"),
    " UNION ALL ",
    due!("FALSE"),
    ") AS both_sorts ORDER BY is_final DESC, due_at_ms, id LIMIT $3) \
     UPDATE deliveries SET state = 'sending', fence = fence + 1, worker = $1, lease_until_ms = ",
    now!(),
    " + $2 FROM picked WHERE deliveries.id = picked.id AND deliveries.state = 'waiting' RETURNING deliveries.id"
);

pub(super) const CLAIMED: &str = "SELECT deliveries.id AS delivery, deliveries.job, deliveries.fence, deliveries.url, deliveries.host, \
     deliveries.attempts, deliveries.is_final, deliveries.due_at_ms, jobs.id AS job_id, jobs.owner, jobs.request_id, events.sequence, \
     events.at_ms, events.state, events.progress, events.message, events.error \
     FROM deliveries JOIN jobs ON jobs.key = deliveries.job \
     JOIN events ON events.job = deliveries.job AND events.sequence = deliveries.sequence \
     WHERE deliveries.id = ANY($1) AND deliveries.state = 'sending' AND deliveries.worker = $2 \
     ORDER BY deliveries.is_final DESC, deliveries.due_at_ms, deliveries.id";

/// Leases callbacks that are due.
pub(super) async fn claim(
    db: &mut PgConnection,
    worker: &str,
    most: usize,
    to: To<'_>,
    timing: Timing,
) -> Result<Vec<Delivery>> {
    sqlx::query(TAKE_BACK_EXPIRED).execute(&mut *db).await?;
    let (names, only) = listed(to);
    let ids: Vec<i64> = sqlx::query_scalar(CLAIM)
        .bind(worker)
        .bind(milliseconds(timing.lease))
        .bind(integer(most as u64))
        .bind(names)
        .bind(only)
        .fetch_all(&mut *db)
        .await?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let claimed = sqlx::query(CLAIMED).bind(&ids).bind(worker).fetch_all(&mut *db).await?;
    let mut deliveries = Vec::with_capacity(claimed.len());
    for row in &claimed {
        match rows::delivery(row) {
            Ok(delivery) => deliveries.push(delivery),
            Err(cause) => {
                tracing::error!(%cause, "an event or a job's name cannot be read");
                set_callback_aside(db, row.try_get("delivery")?).await?;
            }
        }
    }
    Ok(deliveries)
}

/// The attempt and what follows from it, if the callback is still the token's: the callback's new state, the attempt's
/// record, of which the newest are kept so that whoever asks for a callback again and again does not make it grow, and
/// what is not told any more: progress older than what was tried, and progress behind which something newer waits if the
/// attempt was slow or failed, or if the end has waited long enough for it.
pub(super) const DELIVERED: &str = concat!(
    "WITH tried AS (UPDATE deliveries SET attempts = attempts + 1, lease_until_ms = NULL, worker = NULL, \
     state = CASE WHEN $6 <> 'waiting' THEN $6 ELSE ",
    back_or_passed_over!(),
    " END, due_at_ms = CASE WHEN $6 = 'waiting' THEN ",
    now!(),
    " + $7 ELSE due_at_ms END \
     WHERE id = $1 AND fence = $2 AND state = 'sending' RETURNING id, job, sequence), \
     recorded AS (INSERT INTO delivery_attempts (delivery, sequence, at_ms, status, error, took_ms) \
     SELECT id, sequence, ",
    now!(),
    ", $3, $4, $5 FROM tried), \
     forgotten AS (DELETE FROM delivery_attempts USING tried WHERE delivery_attempts.delivery = tried.id \
     AND delivery_attempts.id <= (SELECT id FROM delivery_attempts WHERE delivery = $1 ORDER BY id DESC \
     LIMIT 1 OFFSET $8 - 1)), \
     caught_up AS (UPDATE deliveries SET state = 'superseded' FROM tried WHERE deliveries.job = tried.job \
     AND deliveries.id <> tried.id AND deliveries.state = 'waiting' AND NOT deliveries.is_final \
     AND (deliveries.sequence < tried.sequence OR EXISTS (SELECT 1 FROM deliveries AS newer \
     WHERE newer.job = deliveries.job AND newer.sequence > deliveries.sequence AND newer.state = 'waiting' \
     AND ($9 OR newer.is_final AND newer.due_at_ms <= ",
    now!(),
    " - $10)))) SELECT count(*) FROM tried"
);

/// Records an attempt.
pub(super) async fn delivered(
    db: &mut PgConnection,
    token: DeliveryToken,
    attempt: &Attempt,
    outcome: DeliveryOutcome,
) -> Result<Held> {
    let (state, after) = match outcome {
        DeliveryOutcome::Delivered => ("delivered", Duration::ZERO),
        DeliveryOutcome::GivenUp => ("given_up", Duration::ZERO),
        DeliveryOutcome::RetryAfter(after) => ("waiting", after),
    };
    let is_behind = attempt.took > KEEPS_UP || outcome != DeliveryOutcome::Delivered;
    let query = sqlx::query_scalar(DELIVERED)
        .bind(token.id.0)
        .bind(token.fence)
        .bind(attempt.status.map(i64::from))
        .bind(attempt.error.as_deref().map(super::changes::text))
        .bind(milliseconds(attempt.took))
        .bind(state)
        .bind(milliseconds(after))
        .bind(i64::from(MOST_ATTEMPTS))
        .bind(is_behind)
        .bind(milliseconds(KEEPS_UP));
    held(query.fetch_one(db).await?)
}

const PUT_OFF: &str = concat!(
    "WITH back AS (UPDATE deliveries SET due_at_ms = ",
    now!(),
    " + $3, lease_until_ms = NULL, worker = NULL, state = ",
    back_or_passed_over!(),
    " WHERE id = $1 AND fence = $2 AND state = 'sending' RETURNING id) SELECT count(*) FROM back"
);

/// Gives a callback back unsent.
pub(super) async fn put_off(db: &mut PgConnection, token: DeliveryToken, after: Duration) -> Result<Held> {
    let query = sqlx::query_scalar(PUT_OFF).bind(token.id.0).bind(token.fence).bind(milliseconds(after));
    held(query.fetch_one(db).await?)
}

fn held(changed: i64) -> Result<Held> {
    Ok(if changed == 0 { Held::Lost } else { Held::Yes })
}
