//! What happens to a running job: progress, its end, and its caller's wish to end it.

use async_trait::async_trait;

use super::rows::{self, now, record_columns};
use super::writer::{Command, Work};
use crate::crash_point;
use crate::job::{JobId, JobState};
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
        let Some(mut record) = rows::held(work, self.token).await? else { return Ok(Held::Lost) };
        record.told(&self.news);
        record.ended(&self.outcome);
        rows::save(work, &mut record).await?;
        if let Outcome::Completed { result, cache_key } = &self.outcome {
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
        let Some(mut record) = row.as_ref().map(rows::record).transpose()? else { return Ok(None) };
        match record.job.state {
            JobState::Queued => {
                record.job.cancel_requested = true;
                record.cancelled();
                rows::save(work, &mut record).await?;
                Ok(Some(Cancel::Done(record.job)))
            }
            JobState::Running => {
                record.job.cancel_requested = true;
                rows::save(work, &mut record).await?;
                work.effects.cancel = true;
                Ok(Some(Cancel::Requested(record.job)))
            }
            JobState::Completed | JobState::Failed | JobState::Cancelled => Ok(Some(Cancel::AlreadyFinal(record.job))),
        }
    }
}
