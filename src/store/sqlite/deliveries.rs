//! The outbox: callbacks that are owed, and what became of each attempt.

use std::time::Duration;

use async_trait::async_trait;

use super::delivery_records::is_passed_over;
use super::reads::{Listed, is_asked_for};
use super::rows::{self, now};
use super::writer::{Command, Work};
use crate::store::record::milliseconds;
use crate::store::{Attempt, Delivery, DeliveryOutcome, DeliveryToken, Held, KEEPS_UP, MOST_ATTEMPTS, Result};

/// Leases callbacks that are due.
pub(super) struct ClaimDeliveries {
    pub(super) worker: String,
    pub(super) most: usize,
    pub(super) to: Listed,
}

/// A progress callback that comes back finds a newer one waiting, or the end recorded, and is passed over; a final one
/// only by the end of a later run.
macro_rules! back_or_passed_over {
    () => {
        concat!(
            "state = CASE WHEN ",
            is_passed_over!(),
            " THEN 'superseded' ELSE 'waiting' END, lease_until_ms = NULL, worker = NULL"
        )
    };
}

pub(super) const TAKE_BACK_EXPIRED: &str = concat!(
    "UPDATE deliveries SET ",
    back_or_passed_over!(),
    " WHERE state = 'sending' AND lease_until_ms <= ",
    now!()
);

const TAKE_BACK_ALL: &str =
    concat!("UPDATE deliveries SET due_at_ms = ", now!(), ", ", back_or_passed_over!(), " WHERE state = 'sending'");

/// Callbacks of one sort that are due, the longest due first: of each job the earliest, and none while another of the
/// job is in flight. An end that has been due for a second waits for no progress: with many ends to be sent, it has no
/// turn. Nor is any sent beside it, or it could arrive after the end.
macro_rules! due {
    ($is_final:literal) => {
        concat!(
            "SELECT * FROM (SELECT id, is_final, due_at_ms FROM deliveries AS due WHERE due.state = 'waiting' \
             AND due.is_final = ",
            $is_final,
            " AND due.due_at_ms <= ",
            now!(),
            " AND ",
            is_asked_for!("$4", "$5"),
            " AND NOT EXISTS (SELECT 1 FROM deliveries AS other WHERE other.job = due.job \
             AND (other.state = 'sending' OR other.state = 'waiting' AND other.is_final > due.is_final \
             AND other.sequence > due.sequence AND other.due_at_ms <= ",
            now!(),
            " - 1000 OR other.state = 'waiting' AND other.sequence < due.sequence AND other.due_at_ms <= ",
            now!(),
            " AND (other.is_final >= due.is_final OR due.due_at_ms > ",
            now!(),
            " - 1000))) ORDER BY due.due_at_ms, due.id LIMIT $3)"
        )
    };
}

/// Each sort apart, so that neither reads the final callbacks that wait for a later attempt: with a receiver that is
/// down for hours they are many.
pub(super) const CLAIM: &str = concat!(
    "UPDATE deliveries SET state = 'sending', fence = fence + 1, worker = $1, lease_until_ms = ",
    now!(),
    " + $2 WHERE id IN (SELECT id FROM (",
    due!("1"),
    " UNION ALL ",
    due!("0"),
    ") ORDER BY is_final DESC, due_at_ms, id LIMIT $3) RETURNING id"
);

pub(super) const CLAIMED: &str = "SELECT deliveries.id AS delivery, deliveries.job, deliveries.fence, deliveries.url, deliveries.host, \
     deliveries.attempts, deliveries.is_final, deliveries.due_at_ms, jobs.id AS job_id, jobs.owner, jobs.request_id, events.sequence, \
     events.at_ms, events.state, events.progress, events.message, events.error \
     FROM deliveries JOIN jobs ON jobs.key = deliveries.job \
     JOIN events ON events.job = deliveries.job AND events.sequence = deliveries.sequence \
     WHERE deliveries.id IN (SELECT value FROM json_each($1)) \
     ORDER BY deliveries.is_final DESC, deliveries.due_at_ms, deliveries.id";

#[async_trait]
impl Command for ClaimDeliveries {
    type Answer = Vec<Delivery>;

    async fn run(&self, work: &mut Work) -> Result<Vec<Delivery>> {
        sqlx::query(TAKE_BACK_EXPIRED).execute(&mut work.db).await?;
        let ids: Vec<i64> = sqlx::query_scalar(CLAIM)
            .bind(&self.worker)
            .bind(milliseconds(work.timing.lease))
            .bind(rows::integer(self.most as u64))
            .bind(&self.to.names)
            .bind(self.to.only)
            .fetch_all(&mut work.db)
            .await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let claimed = sqlx::query(CLAIMED).bind(rows::json(&ids)?).fetch_all(&mut work.db).await?;
        let mut deliveries = Vec::with_capacity(claimed.len());
        for row in &claimed {
            match rows::delivery(row) {
                Ok(delivery) => deliveries.push(delivery),
                Err(cause) => tracing::error!(%cause, "an event or a job's name cannot be read"),
            }
        }
        for id in ids.into_iter().filter(|id| !deliveries.iter().any(|delivery| delivery.token.id.0 == *id)) {
            rows::set_callback_aside(work, id).await?;
        }
        Ok(deliveries)
    }
}

/// Makes every callback that an earlier process was sending due again.
pub(super) async fn take_back_all(work: &mut Work) -> Result<()> {
    let taken = sqlx::query(TAKE_BACK_ALL).execute(&mut work.db).await?;
    work.effects.due |= taken.rows_affected() > 0;
    Ok(())
}

/// Records an attempt.
pub(super) struct Delivered {
    pub(super) token: DeliveryToken,
    pub(super) attempt: Attempt,
    pub(super) outcome: DeliveryOutcome,
}

pub(super) const RECORD: &str = concat!(
    "INSERT INTO delivery_attempts (delivery, sequence, at_ms, status, error, took_ms) \
     SELECT id, sequence, ",
    now!(),
    ", $3, $4, $5 FROM deliveries WHERE id = $1 AND fence = $2 AND state = 'sending' RETURNING id"
);

const END: &str = "UPDATE deliveries SET state = $2, attempts = attempts + 1, lease_until_ms = NULL, worker = NULL \
     WHERE id = $1";

pub(super) const RETRY: &str = concat!(
    "UPDATE deliveries SET due_at_ms = ",
    now!(),
    " + $2, attempts = attempts + 1, ",
    back_or_passed_over!(),
    " WHERE id = $1"
);

/// Whoever asks for a callback again and again does not make the record grow.
pub(super) const KEEP_NEWEST_ATTEMPTS: &str = "DELETE FROM delivery_attempts WHERE delivery = $1 \
     AND id <= (SELECT id FROM delivery_attempts WHERE delivery = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)";

/// What is not told after an attempt: progress older than what was tried, and progress behind which something newer waits
/// if the attempt was slow or failed, or if the end has waited long enough for it.
pub(super) const CATCH_UP: &str = concat!(
    "UPDATE deliveries SET state = 'superseded' \
     WHERE job = (SELECT job FROM deliveries WHERE id = $1) AND state = 'waiting' AND is_final = 0 \
     AND (sequence < (SELECT sequence FROM deliveries WHERE id = $1) \
     OR EXISTS (SELECT 1 FROM deliveries AS newer WHERE newer.job = deliveries.job \
     AND newer.sequence > deliveries.sequence AND newer.state = 'waiting' \
     AND ($2 OR newer.is_final = 1 AND newer.due_at_ms <= ",
    now!(),
    " - $3)))"
);

#[async_trait]
impl Command for Delivered {
    type Answer = Held;

    async fn run(&self, work: &mut Work) -> Result<Held> {
        let (id, Attempt { status, error, took }) = (self.token.id.0, &self.attempt);
        let recorded = sqlx::query(RECORD)
            .bind(id)
            .bind(self.token.fence)
            .bind(*status)
            .bind(error)
            .bind(milliseconds(*took))
            .fetch_optional(&mut work.db)
            .await?;
        if recorded.is_none() {
            return Ok(Held::Lost);
        }
        match self.outcome {
            DeliveryOutcome::Delivered => sqlx::query(END).bind(id).bind("delivered"),
            DeliveryOutcome::GivenUp => sqlx::query(END).bind(id).bind("given_up"),
            DeliveryOutcome::RetryAfter(after) => sqlx::query(RETRY).bind(id).bind(milliseconds(after)),
        }
        .execute(&mut work.db)
        .await?;
        sqlx::query(KEEP_NEWEST_ATTEMPTS).bind(id).bind(MOST_ATTEMPTS).execute(&mut work.db).await?;
        let is_behind = *took > KEEPS_UP || self.outcome != DeliveryOutcome::Delivered;
        let caught_up = sqlx::query(CATCH_UP).bind(id).bind(is_behind).bind(milliseconds(KEEPS_UP));
        caught_up.execute(&mut work.db).await?;
        // Another callback of the job may have waited for this one.
        work.effects.due = true;
        Ok(Held::Yes)
    }
}

/// Gives a callback back unsent.
pub(super) struct PutOff {
    pub(super) token: DeliveryToken,
    pub(super) after: Duration,
}

const PUT_OFF: &str = concat!(
    "UPDATE deliveries SET due_at_ms = ",
    now!(),
    " + $3, ",
    back_or_passed_over!(),
    " WHERE id = $1 AND fence = $2 AND state = 'sending'"
);

#[async_trait]
impl Command for PutOff {
    type Answer = Held;

    async fn run(&self, work: &mut Work) -> Result<Held> {
        let put_off = sqlx::query(PUT_OFF).bind(self.token.id.0).bind(self.token.fence);
        let put_off = put_off.bind(milliseconds(self.after)).execute(&mut work.db).await?;
        work.effects.due = true;
        Ok(if put_off.rows_affected() == 0 { Held::Lost } else { Held::Yes })
    }
}
