//! What happens to a running job: progress, its end, and its caller's wish to end it.

use async_trait::async_trait;
use sqlx::Row;

use super::rows::{self, now, record_columns};
use super::sweeping::forbids;
use super::writer::{Command, Work};
use crate::crash_point;
use crate::job::{JobId, JobState};
use crate::store::record::Record;
use crate::store::sweeping::{is_late, put_ago_ms};
use crate::store::{Cancel, Held, Outcome, Progress, Result, Token};

/// Progress of a running job.
pub(super) struct Tell {
    pub(super) token: Token,
    pub(super) news: Vec<Progress>,
}

#[async_trait]
impl Command for Tell {
    type Answer = Held;

    async fn run(&self, work: &mut Work) -> Result<Held> {
        let Some(mut record) = rows::held(work, self.token).await? else { return Ok(Held::Lost) };
        record.told(&self.news);
        if !record.events.is_empty() {
            rows::save(work, &mut record).await?;
        }
        Ok(Held::Yes)
    }
}

/// The end of an attempt.
pub(super) struct Finish {
    pub(super) token: Token,
    pub(super) news: Vec<Progress>,
    pub(super) outcome: Outcome,
}

pub(super) const HELD: &str = concat!(
    "SELECT ",
    record_columns!(),
    ", EXISTS (SELECT 1 FROM doomed WHERE hash IN ($3, $4) AND ",
    forbids!("$5"),
    ") AS is_doomed FROM jobs WHERE key = $1 AND fence = $2 AND state = 'running'"
);

/// The running job of the token, if it is still the job's, and whether a blob that it is to refer to is doomed.
async fn held(work: &mut Work, finish: &Finish) -> Result<Option<(Record, bool)>> {
    let Outcome::Completed { result, put_since, .. } = &finish.outcome else {
        return Ok(rows::held(work, finish.token).await?.map(|record| (record, false)));
    };
    let query = sqlx::query(HELD)
        .bind(finish.token.job.0)
        .bind(finish.token.fence)
        .bind(&result.hash)
        .bind(&result.source_hash)
        .bind(put_ago_ms(*put_since));
    let Some(row) = query.fetch_optional(&mut work.db).await? else { return Ok(None) };
    Ok(Some((rows::record(&row)?, row.try_get("is_doomed")? || is_late(*put_since))))
}

const KEEP_RESULT: &str = concat!(
    "INSERT INTO results (cache_key, result_hash, result_bytes, source_hash, used_at_ms) VALUES ($1, $2, $3, $4, ",
    now!(),
    ") ON CONFLICT (cache_key) DO UPDATE SET result_hash = excluded.result_hash, \
     result_bytes = excluded.result_bytes, source_hash = excluded.source_hash, used_at_ms = excluded.used_at_ms"
);

#[async_trait]
impl Command for Finish {
    type Answer = Held;

    async fn run(&self, work: &mut Work) -> Result<Held> {
        let Some((mut record, is_doomed)) = held(work, self).await? else { return Ok(Held::Lost) };
        record.told(&self.news);
        if is_doomed {
            record.postponed();
            rows::save(work, &mut record).await?;
            return Ok(Held::Yes);
        }
        record.ended(&self.outcome);
        rows::save(work, &mut record).await?;
        if let Outcome::Completed { result, cache_key, .. } = &self.outcome {
            sqlx::query(KEEP_RESULT)
                .bind(cache_key)
                .bind(&result.hash)
                .bind(rows::integer(result.bytes))
                .bind(&result.source_hash)
                .execute(&mut work.db)
                .await?;
        }
        crash_point::reached("inside_final_transaction");
        Ok(Held::Yes)
    }
}

/// A caller's wish to end its job.
pub(super) struct CancelJob {
    pub(super) owner: String,
    pub(super) id: JobId,
}

#[async_trait]
impl Command for CancelJob {
    type Answer = Option<Cancel>;

    async fn run(&self, work: &mut Work) -> Result<Option<Cancel>> {
        let sql = concat!("SELECT ", record_columns!(), " FROM jobs WHERE owner = $1 AND id = $2");
        let row = sqlx::query(sql).bind(&self.owner).bind(self.id.as_str()).fetch_optional(&mut work.db).await?;
        let Some(record) = row.as_ref().map(rows::record).transpose()? else { return Ok(None) };
        Ok(Some(cancel(work, record).await?))
    }
}

/// Ends a job, or asks its worker to.
pub(super) async fn cancel(work: &mut Work, mut record: Record) -> Result<Cancel> {
    match record.job.state {
        JobState::Queued => {
            record.job.cancel_requested = true;
            record.cancelled();
            rows::save(work, &mut record).await?;
            Ok(Cancel::Done(record.job))
        }
        JobState::Running => {
            record.job.cancel_requested = true;
            rows::save(work, &mut record).await?;
            work.effects.cancel = true;
            Ok(Cancel::Requested(record.job))
        }
        JobState::Completed | JobState::Failed | JobState::Cancelled => Ok(Cancel::AlreadyFinal(record.job)),
    }
}
