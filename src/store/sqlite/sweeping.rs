//! The marks on blobs that are about to be deleted. There is one writer, so a reference was made before a mark, and is
//! seen, or comes after it, and is refused: nobody has to wait in between.

use std::time::Duration;

use async_trait::async_trait;

use super::rows::{self, now};
use super::writer::{Command, Work};
use crate::store::Result;
use crate::store::record::milliseconds;
use crate::store::sweeping::DOOM_LASTS;

/// Whether nothing refers to the blob named by `value`.
macro_rules! unreferenced {
    () => {
        "NOT EXISTS (SELECT 1 FROM jobs WHERE source_hash = value) \
         AND NOT EXISTS (SELECT 1 FROM jobs WHERE result_hash = value) \
         AND NOT EXISTS (SELECT 1 FROM results WHERE result_hash = value) \
         AND NOT EXISTS (SELECT 1 FROM results WHERE source_hash = value)"
    };
}

/// Whether a row of `doomed` keeps who put the blob so many ms ago, which is in the parameter, from referring to it: for
/// an hour, as [`DOOM_LASTS`] has it.
macro_rules! forbids {
    ($ago_ms:literal) => {
        concat!(
            "(since_ms > ",
            $crate::store::sqlite::rows::now!(),
            " - 3600000 AND (gone_ms IS NULL OR gone_ms > ",
            $crate::store::sqlite::rows::now!(),
            " - ",
            $ago_ms,
            "))"
        )
    };
}

pub(super) use forbids;

/// Marks blobs.
pub(super) struct Doom(pub(super) Vec<String>);

pub(super) const FORGET: &str = concat!("DELETE FROM doomed WHERE since_ms <= ", now!(), " - $1");

pub(super) const DOOM: &str = concat!(
    "INSERT INTO doomed (hash, since_ms) SELECT value, ",
    now!(),
    " FROM json_each($1) WHERE ",
    unreferenced!(),
    " ON CONFLICT (hash) DO NOTHING RETURNING hash"
);

#[async_trait]
impl Command for Doom {
    type Answer = Vec<String>;

    async fn run(&self, work: &mut Work) -> Result<Vec<String>> {
        sqlx::query(FORGET).bind(milliseconds(DOOM_LASTS)).execute(&mut work.db).await?;
        Ok(sqlx::query_scalar(DOOM).bind(rows::json(&self.0)?).fetch_all(&mut work.db).await?)
    }
}

/// Asks which of them may be deleted.
pub(super) struct Condemned(pub(super) Vec<String>);

pub(super) const CONDEMNED: &str = concat!(
    "SELECT value FROM json_each($1) WHERE EXISTS (SELECT 1 FROM doomed WHERE hash = value AND gone_ms IS NULL \
     AND since_ms > ",
    now!(),
    " - $2) AND ",
    unreferenced!()
);

#[async_trait]
impl Command for Condemned {
    type Answer = Vec<String>;

    async fn run(&self, work: &mut Work) -> Result<Vec<String>> {
        let half = milliseconds(DOOM_LASTS / 2);
        Ok(sqlx::query_scalar(CONDEMNED).bind(rows::json(&self.0)?).bind(half).fetch_all(&mut work.db).await?)
    }
}

/// Takes marks away, or notes that what was marked is gone.
pub(super) enum Decide {
    Spared(Vec<String>),
    Gone(Vec<String>),
}

pub(super) const SPARE: &str = "DELETE FROM doomed WHERE hash IN (SELECT value FROM json_each($1)) AND gone_ms IS NULL";

pub(super) const GONE: &str =
    concat!("UPDATE doomed SET gone_ms = ", now!(), " WHERE hash IN (SELECT value FROM json_each($1))");

#[async_trait]
impl Command for Decide {
    type Answer = ();

    async fn run(&self, work: &mut Work) -> Result<()> {
        let (sql, hashes) = match self {
            Self::Spared(hashes) => (SPARE, hashes),
            Self::Gone(hashes) => (GONE, hashes),
        };
        sqlx::query(sql).bind(rows::json(hashes)?).execute(&mut work.db).await?;
        Ok(())
    }
}

/// Takes up what one node does for all, unless it was taken up.
pub(super) struct TakeTurn {
    pub(super) duty: String,
    pub(super) for_how_long: Duration,
}

const TAKE_TURN: &str = concat!(
    "INSERT INTO duties (duty, until_ms) VALUES ($1, ",
    now!(),
    " + $2) ON CONFLICT (duty) DO UPDATE SET until_ms = excluded.until_ms WHERE duties.until_ms <= ",
    now!()
);

#[async_trait]
impl Command for TakeTurn {
    type Answer = bool;

    async fn run(&self, work: &mut Work) -> Result<bool> {
        let query = sqlx::query(TAKE_TURN).bind(&self.duty).bind(milliseconds(self.for_how_long));
        Ok(query.execute(&mut work.db).await?.rows_affected() > 0)
    }
}
