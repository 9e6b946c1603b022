//! Accepting jobs. Submissions that arrive while one transaction is on its way share the next.
//!
//! Nearly all jobs are new, so all of a group are first tried as new ones, in one statement. What is left, as its id or its
//! key is taken, is then looked at one by one.

use std::collections::{HashMap, HashSet};

use sqlx::{PgConnection, Row};

use super::changes::{self, Effects, Loaded, TRIES, job_columns, loaded, now, record_columns};
use super::lease::contended;
use super::news::News;
use super::sweeping::{self, forbids};
use crate::job::JobState;
use crate::store::record::QUEUED;
use crate::store::rows::{self, json};
use crate::store::sweeping::put_ago_ms;
use crate::store::{Job, JobKey, NewJob, Result, Submitted, receiver};

/// All of these that are new, each with its first event, its callback and its idempotency key.
pub(super) const CREATE: &str = concat!(
    "WITH asked AS (SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], \
     $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $14::bigint[]) WITH ORDINALITY AS asked \
     (owner, id, kind, request, request_hash, source_hash, batch, callback_url, request_id, idempotency_key, covers, \
     host, put_ago_ms, place)), \
     made AS (INSERT INTO jobs (owner, id, kind, request, request_hash, source_hash, batch, callback_url, request_id, \
     state, run_after_ms, sequence, progress, message, created_at_ms, updated_at_ms) \
     SELECT owner, id, kind, request, request_hash, source_hash, batch, callback_url, request_id, 'queued', ",
    now!(),
    ", 1, 0, $13, ",
    now!(),
    ", ",
    now!(),
    " FROM asked WHERE (idempotency_key IS NULL OR NOT EXISTS (SELECT 1 FROM idempotency \
     WHERE idempotency.owner = asked.owner AND idempotency.key = asked.idempotency_key)) \
     AND (source_hash IS NULL OR NOT EXISTS (SELECT 1 FROM doomed WHERE doomed.hash = asked.source_hash AND ",
    forbids!("asked.put_ago_ms"),
    ")) ORDER BY place ON CONFLICT (owner, id) DO NOTHING RETURNING key, owner, id, created_at_ms), \
     told AS (INSERT INTO events (job, sequence, at_ms, state, progress, message) \
     SELECT key, 1, created_at_ms, 'queued', 0, $13 FROM made), \
     owed AS (INSERT INTO deliveries (job, sequence, is_final, url, host, state, due_at_ms) \
     SELECT key, 1, FALSE, callback_url, host, 'waiting', created_at_ms FROM made JOIN asked USING (owner, id) \
     WHERE callback_url IS NOT NULL), \
     remembered AS (INSERT INTO idempotency (owner, key, job, request_hash) \
     SELECT owner, idempotency_key, key, covers FROM made JOIN asked USING (owner, id) \
     WHERE idempotency_key IS NOT NULL) \
     SELECT key, owner, id, created_at_ms FROM made"
);

/// Jobs to be accepted, and how many more may be queued.
pub(super) struct Asked<'a> {
    pub(super) jobs: &'a [NewJob],
    pub(super) room: i64,
    /// Whether these may have been accepted already by a call whose answer was lost.
    pub(super) is_repeat: bool,
}

/// Accepts jobs, and answers in their order.
pub(super) async fn submit(db: &mut PgConnection, asked: &Asked<'_>) -> Result<(Vec<Submitted>, Effects)> {
    let mut effects = Effects::default();
    let reused = reused(db, asked.jobs).await?;
    let mut room = asked.room;
    let mut fresh = Vec::new();
    let (mut ids, mut keys) = (HashSet::new(), HashSet::new());
    for new in asked.jobs {
        // The second of two equal ones finds the first.
        let is_first = ids.insert((&new.owner, &new.id)) && idempotency(new).is_none_or(|key| keys.insert(key));
        if is_first && room > 0 && !new.is_late() && !is_of(&reused, new) {
            fresh.push(new);
            room -= 1;
        }
    }
    let mut made = create(db, &fresh, &mut effects).await?;
    let mut room = asked.room - effects.queue_growth;
    let mut answers = Vec::with_capacity(asked.jobs.len());
    for new in asked.jobs {
        let answer = match made.remove(&(new.owner.as_str(), new.id.as_str())) {
            Some(job) => Submitted::Created(job),
            None if is_of(&reused, new) => Submitted::KeyReused,
            None => {
                let mut own = Effects::default();
                let answer = settle(db, new, room, &mut own).await?;
                room -= own.queue_growth;
                effects.add(own);
                first_answer(answer, new, asked.is_repeat)
            }
        };
        answers.push(answer);
    }
    Ok((answers, effects))
}

/// What the answer would have been, had the first call's not been lost.
fn first_answer(answer: Submitted, new: &NewJob, is_repeat: bool) -> Submitted {
    match answer {
        Submitted::Existing(job) | Submitted::Replayed(job) if is_repeat && job.request_id == new.request_id => {
            Submitted::Created(job)
        }
        answer => answer,
    }
}

fn idempotency(new: &NewJob) -> Option<(&str, &str)> {
    new.idempotency_key.as_ref().map(|key| (new.owner.as_str(), key.text.as_str()))
}

/// What a key covers of several jobs, by owner.
type Covered<'a> = HashSet<(&'a str, &'a str)>;

fn is_of(reused: &Covered<'_>, new: &NewJob) -> bool {
    covers(new).is_some_and(|covers| reused.contains(&(new.owner.as_str(), covers)))
}

fn covers(new: &NewJob) -> Option<&str> {
    new.idempotency_key.as_ref().and_then(|key| key.covers.as_deref())
}

/// A key that covers several jobs is another request's for all of them, or for none: those that are.
async fn reused<'a>(db: &mut PgConnection, jobs: &'a [NewJob]) -> Result<Covered<'a>> {
    let asked: Vec<(&NewJob, (&str, &str))> =
        jobs.iter().filter(|new| covers(new).is_some()).filter_map(|new| Some((new, idempotency(new)?))).collect();
    if asked.is_empty() {
        return Ok(Covered::new());
    }
    let (owners, keys): (Vec<&str>, Vec<&str>) = asked.iter().map(|(_, key)| *key).unzip();
    let sql = "SELECT idempotency.owner, idempotency.key, request_hash FROM idempotency \
               JOIN unnest($1::text[], $2::text[]) AS asked (owner, key) USING (owner, key)";
    let mut seen = HashMap::new();
    for row in sqlx::query(sql).bind(owners).bind(keys).fetch_all(db).await? {
        let key: (String, String) = (row.try_get("owner")?, row.try_get("key")?);
        seen.insert(key, row.try_get::<String, _>("request_hash")?);
    }
    let is_other = |new: &NewJob, (owner, key): (&str, &str)| {
        seen.get(&(owner.to_owned(), key.to_owned())).is_some_and(|hash| Some(hash.as_str()) != covers(new))
    };
    let other = asked.into_iter().filter(|(new, key)| is_other(new, *key));
    Ok(other.filter_map(|(new, (owner, _))| Some((owner, covers(new)?))).collect())
}

/// Those that are new, by owner and id.
async fn create<'a>(
    db: &mut PgConnection,
    jobs: &[&'a NewJob],
    effects: &mut Effects,
) -> Result<HashMap<(&'a str, &'a str), Job>> {
    if jobs.is_empty() {
        return Ok(HashMap::new());
    }
    let requests = jobs.iter().map(|new| json(&new.request)).collect::<Result<Vec<_>>>()?;
    let column = |of: fn(&NewJob) -> &str| jobs.iter().map(|new| of(new)).collect::<Vec<_>>();
    let optional = |of: fn(&NewJob) -> Option<&str>| jobs.iter().map(|new| of(new)).collect::<Vec<_>>();
    let hosts: Vec<Option<String>> =
        jobs.iter().map(|new| new.callback_url.as_deref().map(|url| receiver(&new.owner, url))).collect();
    let query = sqlx::query(CREATE)
        .bind(column(|new| &new.owner))
        .bind(column(|new| new.id.as_str()))
        .bind(column(|new| &new.kind))
        .bind(requests)
        .bind(column(|new| &new.request_hash))
        .bind(optional(|new| new.source_hash.as_deref()))
        .bind(optional(|new| new.batch.as_deref()))
        .bind(optional(|new| new.callback_url.as_deref()))
        .bind(column(|new| &new.request_id))
        .bind(optional(|new| new.idempotency_key.as_ref().map(|key| key.text.as_str())))
        .bind(column(covered))
        .bind(hosts)
        .bind(QUEUED)
        .bind(jobs.iter().map(|new| put_ago_ms(new.put_since)).collect::<Vec<_>>());
    let mut rows = HashMap::new();
    for row in query.fetch_all(db).await? {
        let name: (String, String) = (row.try_get("owner")?, row.try_get("id")?);
        let key: (i64, i64) = (row.try_get("key")?, row.try_get("created_at_ms")?);
        rows.insert(name, key);
    }
    let mut made = HashMap::new();
    for new in jobs {
        let Some((key, now_ms)) = rows.get(&(new.owner.clone(), new.id.as_str().to_owned())) else { continue };
        made.insert((new.owner.as_str(), new.id.as_str()), new.created(JobKey(*key), *now_ms));
        let news = News { queued: true, due: new.callback_url.is_some(), ..News::default() };
        effects.add(Effects { news, queue_growth: 1 });
    }
    Ok(made)
}

/// What must be the same in a repeat by the idempotency key.
fn covered(new: &NewJob) -> &str {
    covers(new).unwrap_or(&new.request_hash)
}

/// The answer for a job whose id or key is taken, or for which there is no room.
async fn settle(db: &mut PgConnection, new: &NewJob, room: i64, effects: &mut Effects) -> Result<Submitted> {
    for _ in 0..TRIES {
        if let Some(seen) = by_idempotency_key(db, new).await? {
            return Ok(seen);
        }
        let Some((found, hash)) = by_id(db, new).await? else {
            if room <= 0 {
                return Ok(Submitted::QueueFull);
            }
            if is_doomed(db, new).await? {
                return Ok(Submitted::Doomed);
            }
            // Who had the id or the key has been deleted meanwhile, or is being written at this moment.
            match create(db, &[new], effects).await?.into_values().next() {
                Some(job) => return Ok(Submitted::Created(job)),
                None => continue,
            }
        };
        if hash != new.request_hash {
            return Ok(Submitted::IdConflict);
        }
        if !found.record.may_restart() {
            remember(db, found.record.job.key, new).await?;
            return Ok(Submitted::Existing(found.record.job));
        }
        if room <= 0 {
            return Ok(Submitted::QueueFull);
        }
        if let Some(restarted) = restart(db, found, new, effects).await? {
            return Ok(restarted);
        }
    }
    Err(contended())
}

/// Whether its image keeps it from being accepted.
async fn is_doomed(db: &mut PgConnection, new: &NewJob) -> Result<bool> {
    let Some(hash) = new.source_hash.as_deref() else { return Ok(false) };
    Ok(new.is_late() || sweeping::is_doomed(db, &[hash], put_ago_ms(new.put_since)).await?)
}

async fn by_idempotency_key(db: &mut PgConnection, new: &NewJob) -> Result<Option<Submitted>> {
    let Some((owner, key)) = idempotency(new) else { return Ok(None) };
    let sql = concat!(
        "SELECT idempotency.request_hash AS seen_hash, ",
        job_columns!(),
        " FROM idempotency JOIN jobs ON jobs.key = idempotency.job \
         WHERE idempotency.owner = $1 AND idempotency.key = $2"
    );
    let row = sqlx::query(sql).bind(owner).bind(key).fetch_optional(db).await?;
    let Some(row) = row else { return Ok(None) };
    let seen: &str = row.try_get("seen_hash")?;
    Ok(Some(if seen == covered(new) { Submitted::Replayed(rows::job(&row)?) } else { Submitted::KeyReused }))
}

async fn by_id(db: &mut PgConnection, new: &NewJob) -> Result<Option<(Loaded, String)>> {
    let sql = concat!("SELECT ", record_columns!(), ", request_hash FROM jobs WHERE owner = $1 AND id = $2");
    let row = sqlx::query(sql).bind(&new.owner).bind(new.id.as_str()).fetch_optional(db).await?;
    row.map(|row| Ok((loaded(&row)?, row.try_get("request_hash")?))).transpose()
}

/// Starts it anew; `None` if somebody has changed it meanwhile.
async fn restart(
    db: &mut PgConnection,
    mut found: Loaded,
    new: &NewJob,
    effects: &mut Effects,
) -> Result<Option<Submitted>> {
    found.record.restarted();
    let job = &mut found.record.job;
    debug_assert!(job.state == JobState::Queued);
    job.batch = new.batch.clone().or(job.batch.take());
    job.request_id.clone_from(&new.request_id);
    let Some(own) = changes::save(db, &mut found).await? else { return Ok(None) };
    effects.add(own);
    remember(db, found.record.job.key, new).await?;
    Ok(Some(Submitted::Restarted(found.record.job)))
}

/// A job may be asked for under several idempotency keys.
async fn remember(db: &mut PgConnection, job: JobKey, new: &NewJob) -> Result<()> {
    let Some((owner, key)) = idempotency(new) else { return Ok(()) };
    let sql = "INSERT INTO idempotency (owner, key, job, request_hash) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    sqlx::query(sql).bind(owner).bind(key).bind(job.0).bind(covered(new)).execute(db).await?;
    Ok(())
}
