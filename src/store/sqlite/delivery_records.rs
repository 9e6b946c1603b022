//! Callbacks as their job's caller sees them, and sent again at the caller's wish.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::{Row, SqliteConnection};

use super::rows::{self, now};
use super::writer::{Command, Work};
use crate::store::{DeliveryRecord, DeliveryState, JobKey, MOST_ATTEMPTS, PastAttempt, Redelivery, Result};

pub(super) const OF_JOB: &str = "SELECT id, sequence, url, state, due_at_ms FROM deliveries \
     WHERE job = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3";

/// Of the events that the callbacks tell of now. At most [`MOST_ATTEMPTS`] are kept of each.
pub(super) const ATTEMPTS: &str = "SELECT delivery_attempts.delivery, at_ms, status, error, took_ms FROM json_each($1) AS shown \
     JOIN delivery_attempts ON delivery_attempts.delivery = shown.value ->> 0 \
     WHERE delivery_attempts.sequence = shown.value ->> 1 ORDER BY delivery_attempts.id LIMIT $2";

/// A job's callbacks, newest first, each with its attempts.
pub(super) async fn of_job(
    db: &mut SqliteConnection,
    job: JobKey,
    before: u64,
    limit: usize,
) -> Result<Vec<DeliveryRecord>> {
    let query = sqlx::query(OF_JOB).bind(job.0).bind(rows::integer(before)).bind(rows::integer(limit as u64));
    let found = query.fetch_all(&mut *db).await?;
    let shown: Result<Vec<(i64, i64)>> =
        found.iter().map(|row| Ok((row.try_get("id")?, row.try_get("sequence")?))).collect();
    let most = found.len() as u64 * u64::from(MOST_ATTEMPTS);
    let query = sqlx::query(ATTEMPTS).bind(rows::json(&shown?)?).bind(rows::integer(most));
    let mut attempts: HashMap<i64, Vec<PastAttempt>> = HashMap::new();
    for row in query.fetch_all(db).await? {
        attempts.entry(row.try_get("delivery")?).or_default().push(rows::attempt(&row)?);
    }
    found
        .iter()
        .map(|row| rows::delivery_record(row, attempts.remove(&row.try_get("id")?).unwrap_or_default()))
        .collect()
}

/// Makes a callback due again.
pub(super) struct Redeliver {
    pub(super) job: JobKey,
    pub(super) sequence: u64,
}

/// Whether a callback is passed over if it comes back, as the sender's writes have it.
macro_rules! is_passed_over {
    () => {
        "EXISTS (SELECT 1 FROM deliveries AS newer WHERE newer.job = deliveries.job \
         AND newer.sequence > deliveries.sequence AND newer.state <> 'superseded' \
         AND newer.is_final >= deliveries.is_final)"
    };
}

pub(super) use is_passed_over;

pub(super) const REDELIVER: &str = concat!(
    "UPDATE deliveries SET state = 'waiting', attempts = 0, due_at_ms = ",
    now!(),
    " WHERE job = $1 AND sequence = $2 AND state IN ('waiting', 'delivered', 'given_up') AND NOT ",
    is_passed_over!()
);

pub(super) const STATE: &str = "SELECT state FROM deliveries WHERE job = $1 AND sequence = $2";

#[async_trait]
impl Command for Redeliver {
    type Answer = Redelivery;

    async fn run(&self, work: &mut Work) -> Result<Redelivery> {
        let sequence = rows::integer(self.sequence);
        let due = sqlx::query(REDELIVER).bind(self.job.0).bind(sequence).execute(&mut work.db).await?;
        if due.rows_affected() > 0 {
            work.effects.due = true;
            return Ok(Redelivery::Due);
        }
        let found: Option<String> =
            sqlx::query_scalar(STATE).bind(self.job.0).bind(sequence).fetch_optional(&mut work.db).await?;
        Ok(match found.as_deref().map(rows::delivery_state).transpose()? {
            None => Redelivery::Unknown,
            Some(DeliveryState::Sending) => Redelivery::InFlight,
            Some(_) => Redelivery::Superseded,
        })
    }
}
