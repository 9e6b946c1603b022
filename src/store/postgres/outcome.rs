//! What happens to a running job: progress, its end, and its caller's wish to end it.

use sqlx::PgConnection;

use super::changes::{Effects, Kept, Loaded, TRIES, loaded, record_columns, save};
use super::lease::{change_held, contended, held};
use super::sweeping;
use crate::job::{JobId, JobState};
use crate::store::sweeping::{is_late, put_ago_ms};
use crate::store::{Cancel, Held, JobKey, Outcome, Progress, Result, Retry, Token};

/// Records progress. What is no news writes nothing.
pub(super) async fn tell(db: &mut PgConnection, token: Token, news: &[Progress]) -> Result<(Held, Effects)> {
    let Some(mut job) = held(db, token).await? else { return Ok((Held::Lost, Effects::default())) };
    job.record.told(news);
    if job.record.events.is_empty() {
        return Ok((Held::Yes, Effects::default()));
    }
    if let Some(effects) = save(db, &mut job).await? {
        return Ok((Held::Yes, effects));
    }
    answer(change_held(db, token, |job| job.record.told(news)).await?)
}

/// Ends an attempt.
pub(super) async fn finish(
    db: &mut PgConnection,
    token: Token,
    news: &[Progress],
    outcome: &Outcome,
) -> Result<(Held, Effects)> {
    let Outcome::Completed { result, cache_key, put_since } = outcome else {
        let ended = change_held(db, token, |job| {
            job.record.told(news);
            job.record.ended(outcome);
        });
        return answer(ended.await?);
    };
    let mut is_doomed = is_late(*put_since);
    for _ in 0..TRIES {
        let Some(mut job) = held(db, token).await? else { return answer(None) };
        job.record.told(news);
        if is_doomed {
            job.record.postponed();
        } else {
            job.record.ended(outcome);
            job.kept = Some(Kept { cache_key: cache_key.clone(), result: result.clone(), put_since: *put_since });
        }
        if let Some(effects) = save(db, &mut job).await? {
            return answer(Some(effects));
        }
        let hashes = [result.hash.as_str(), result.source_hash.as_str()];
        is_doomed |= sweeping::is_doomed(db, &hashes, put_ago_ms(*put_since)).await?;
    }
    Err(contended())
}

fn answer(effects: Option<Effects>) -> Result<(Held, Effects)> {
    let held = if effects.is_some() { Held::Yes } else { Held::Lost };
    Ok((held, effects.unwrap_or_default()))
}

/// A job that somebody names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Meant<'a> {
    /// By its owner and its id.
    Named(&'a str, &'a JobId),
    /// By its row.
    Row(JobKey),
}

impl Meant<'_> {
    /// The job as it is now.
    async fn load(self, db: &mut PgConnection) -> Result<Option<Loaded>> {
        let named = concat!("SELECT ", record_columns!(), " FROM jobs WHERE owner = $1 AND id = $2");
        let by_row = concat!("SELECT ", record_columns!(), " FROM jobs WHERE key = $1");
        let query = match self {
            Self::Named(owner, id) => sqlx::query(named).bind(owner).bind(id.as_str()),
            Self::Row(key) => sqlx::query(by_row).bind(key.0),
        };
        query.fetch_optional(db).await?.as_ref().map(loaded).transpose()
    }
}

/// Ends a job by hand, or asks its worker to.
pub(super) async fn cancel(db: &mut PgConnection, meant: Meant<'_>) -> Result<(Option<Cancel>, Effects)> {
    for _ in 0..TRIES {
        let Some(mut found) = meant.load(db).await? else { return Ok((None, Effects::default())) };
        let before = found.record.job.state;
        if before.is_final() {
            return Ok((Some(Cancel::AlreadyFinal(found.record.job)), Effects::default()));
        }
        found.record.job.cancel_requested = true;
        if before == JobState::Queued {
            found.record.cancelled();
        }
        if let Some(effects) = save(db, &mut found).await? {
            let job = found.record.job;
            let done = if before == JobState::Queued { Cancel::Done(job) } else { Cancel::Requested(job) };
            return Ok((Some(done), effects));
        }
    }
    Err(contended())
}

/// Starts a job again by hand.
pub(super) async fn retry(db: &mut PgConnection, key: JobKey) -> Result<(Option<Retry>, Effects)> {
    for _ in 0..TRIES {
        let Some(mut found) = Meant::Row(key).load(db).await? else { return Ok((None, Effects::default())) };
        let Some(retried) = found.record.retried() else {
            return Ok((Some(Retry::LeftAlone(found.record.job)), Effects::default()));
        };
        if let Some(effects) = save(db, &mut found).await? {
            return Ok((Some(retried(found.record.job)), effects));
        }
    }
    Err(contended())
}

/// Whether a job has ended as a token's holder wanted it to, and nobody has claimed it since.
pub(super) async fn has_ended_so(db: &mut PgConnection, token: Token, outcome: &Outcome) -> Result<bool> {
    let (state, hash) = match outcome {
        Outcome::Completed { result, .. } => (JobState::Completed, Some(&result.hash)),
        Outcome::Failed(_) => (JobState::Failed, None),
        Outcome::Cancelled => (JobState::Cancelled, None),
        Outcome::Retry { .. } => (JobState::Queued, None),
    };
    // One that died of its worker meanwhile has failed too, or waits, and counts the death.
    let sql = "SELECT EXISTS (SELECT 1 FROM jobs WHERE key = $1 AND fence = $2 AND state = $3 \
               AND result_hash IS NOT DISTINCT FROM $4 AND (state = 'completed' OR deaths = 0))";
    let query = sqlx::query_scalar(sql).bind(token.job.0).bind(token.fence).bind(state.as_str()).bind(hash);
    Ok(query.fetch_one(db).await?)
}
