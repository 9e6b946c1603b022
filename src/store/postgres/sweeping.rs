//! The marks on blobs that are about to be deleted, for all nodes.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::PgConnection;

use super::changes::now;
use crate::store::Result;
use crate::store::record::milliseconds;
use crate::store::sweeping::DOOM_LASTS;

/// More than a transaction lasts: a call is given up after 12 s, a statement that goes on without it ends 10 s after it
/// began. A commit that hangs, on a disk or a standby, may last longer; blobs are not condemned while there is one.
pub(super) const TRANSACTIONS_LAST: Duration = Duration::from_secs(30);

/// Whether nothing refers to the blob named by `asked.hash`.
macro_rules! unreferenced {
    () => {
        "NOT EXISTS (SELECT 1 FROM jobs WHERE source_hash = asked.hash) \
         AND NOT EXISTS (SELECT 1 FROM jobs WHERE result_hash = asked.hash) \
         AND NOT EXISTS (SELECT 1 FROM results WHERE result_hash = asked.hash) \
         AND NOT EXISTS (SELECT 1 FROM results WHERE source_hash = asked.hash)"
    };
}

/// Whether a row of `doomed` keeps who put the blob so many ms ago from referring to it: for an hour, as [`DOOM_LASTS`] has
/// it.
macro_rules! forbids {
    ($ago_ms:literal) => {
        concat!(
            "(doomed.since_ms > ",
            $crate::store::postgres::changes::now!(),
            " - 3600000 AND (doomed.gone_ms IS NULL OR doomed.gone_ms > ",
            $crate::store::postgres::changes::now!(),
            " - ",
            $ago_ms,
            "))"
        )
    };
}

pub(super) use forbids;

const FORGET: &str = concat!("DELETE FROM doomed WHERE since_ms <= ", now!(), " - $1");

pub(super) const DOOM: &str = concat!(
    "INSERT INTO doomed (hash, since_ms) SELECT asked.hash, ",
    now!(),
    " FROM unnest($1::text[]) AS asked (hash) WHERE ",
    unreferenced!(),
    " ON CONFLICT (hash) DO NOTHING RETURNING hash"
);

pub(super) async fn doom(db: &mut PgConnection, hashes: &[String]) -> Result<Vec<String>> {
    sqlx::query(FORGET).bind(milliseconds(DOOM_LASTS)).execute(&mut *db).await?;
    Ok(sqlx::query_scalar(DOOM).bind(hashes).fetch_all(db).await?)
}

pub(super) const CONDEMNED: &str = concat!(
    "SELECT asked.hash FROM unnest($1::text[]) AS asked (hash) JOIN doomed ON doomed.hash = asked.hash \
     WHERE doomed.gone_ms IS NULL AND doomed.since_ms > ",
    now!(),
    " - $2 AND NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
     AND application_name = 'spinelift' AND pid <> pg_backend_pid() \
     AND (extract(epoch FROM xact_start) * 1000)::bigint <= doomed.since_ms) AND ",
    unreferenced!()
);

pub(super) async fn condemned(db: &mut PgConnection, hashes: &[String]) -> Result<HashSet<String>> {
    let query = sqlx::query_scalar(CONDEMNED).bind(hashes).bind(milliseconds(DOOM_LASTS / 2));
    Ok(query.fetch_all(db).await?.into_iter().collect())
}

pub(super) async fn spare(db: &mut PgConnection, hashes: &[String]) -> Result<()> {
    sqlx::query("DELETE FROM doomed WHERE hash = ANY($1) AND gone_ms IS NULL").bind(hashes).execute(db).await?;
    Ok(())
}

pub(super) async fn gone(db: &mut PgConnection, hashes: &[String]) -> Result<()> {
    let sql = concat!("UPDATE doomed SET gone_ms = ", now!(), " WHERE hash = ANY($1)");
    sqlx::query(sql).bind(hashes).execute(db).await?;
    Ok(())
}

/// Whether one of these is doomed for who put it so many ms ago.
pub(super) async fn is_doomed(db: &mut PgConnection, hashes: &[&str], put_ago_ms: i64) -> Result<bool> {
    let sql = concat!("SELECT EXISTS (SELECT 1 FROM doomed WHERE hash = ANY($1) AND ", forbids!("$2"), ")");
    Ok(sqlx::query_scalar(sql).bind(hashes).bind(put_ago_ms).fetch_one(db).await?)
}

const TAKE_TURN: &str = concat!(
    "INSERT INTO duties (duty, until_ms) VALUES ($1, ",
    now!(),
    " + $2) ON CONFLICT (duty) DO UPDATE SET until_ms = excluded.until_ms WHERE duties.until_ms <= ",
    now!()
);

pub(super) async fn take_turn(db: &mut PgConnection, duty: &str, for_how_long: Duration) -> Result<bool> {
    let query = sqlx::query(TAKE_TURN).bind(duty).bind(milliseconds(for_how_long));
    Ok(query.execute(db).await?.rows_affected() > 0)
}
