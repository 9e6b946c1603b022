//! Callbacks as their job's caller sees them, and sent again at the caller's wish.

use std::collections::HashMap;

use sqlx::{PgConnection, Row};

use super::changes::now;
use super::deliveries::is_passed_over;
use crate::store::rows::{self, integer};
use crate::store::{DeliveryRecord, DeliveryState, JobKey, MOST_ATTEMPTS, PastAttempt, Redelivery, Result};

pub(super) const OF_JOB: &str = "SELECT id, sequence, url, state, due_at_ms FROM deliveries \
     WHERE job = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3";

/// Of the events that the callbacks tell of. At most [`MOST_ATTEMPTS`] are kept of each.
pub(super) const ATTEMPTS: &str = "SELECT delivery_attempts.delivery, at_ms, status, error, took_ms FROM delivery_attempts \
     WHERE delivery = ANY($1) ORDER BY delivery_attempts.id LIMIT $2";

/// A job's callbacks, newest first, each with its attempts.
pub(super) async fn of_job(
    db: &mut PgConnection,
    job: JobKey,
    before: u64,
    limit: usize,
) -> Result<Vec<DeliveryRecord>> {
    let query = sqlx::query(OF_JOB).bind(job.0).bind(integer(before)).bind(integer(limit as u64));
    let found = query.fetch_all(&mut *db).await?;
    let shown: Vec<i64> = found.iter().map(|row| row.try_get("id")).collect::<std::result::Result<_, _>>()?;
    let most = found.len() as u64 * u64::from(MOST_ATTEMPTS);
    let mut attempts: HashMap<i64, Vec<PastAttempt>> = HashMap::new();
    for row in sqlx::query(ATTEMPTS).bind(shown).bind(integer(most)).fetch_all(db).await? {
        attempts.entry(row.try_get("delivery")?).or_default().push(rows::attempt(&row)?);
    }
    found
        .iter()
        .map(|row| rows::delivery_record(row, attempts.remove(&row.try_get("id")?).unwrap_or_default()))
        .collect()
}

pub(super) const REDELIVER: &str = concat!(
    "UPDATE deliveries SET state = 'waiting', attempts = 0, due_at_ms = ",
    now!(),
    " WHERE job = $1 AND sequence = $2 AND state IN ('waiting', 'delivered', 'given_up') AND NOT ",
    is_passed_over!()
);

pub(super) const STATE: &str = "SELECT state FROM deliveries WHERE job = $1 AND sequence = $2";

/// Makes a callback due again.
pub(super) async fn redeliver(db: &mut PgConnection, job: JobKey, sequence: u64) -> Result<Redelivery> {
    let sequence = integer(sequence);
    let due = sqlx::query(REDELIVER).bind(job.0).bind(sequence).execute(&mut *db).await?;
    if due.rows_affected() > 0 {
        return Ok(Redelivery::Due);
    }
    let found: Option<String> = sqlx::query_scalar(STATE).bind(job.0).bind(sequence).fetch_optional(db).await?;
    Ok(match found.as_deref().map(rows::delivery_state).transpose()? {
        None => Redelivery::Unknown,
        Some(DeliveryState::Sending) => Redelivery::InFlight,
        Some(_) => Redelivery::Superseded,
    })
}
