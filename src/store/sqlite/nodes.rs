//! The processes of the service, for people to look at.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::rows::{self, now};
use super::writer::{Command, Work};
use crate::store::record::milliseconds;
use crate::store::{Node, Result, SHOWN, SeenNode};

/// What a node holds is asked of the jobs: what it said of that itself would be as old as its last word.
pub(super) const NODES: &str = concat!(
    "SELECT name, role, version, host, pid, slots, draining, started_at_ms, seen_at_ms, max(0, ",
    now!(),
    " - seen_at_ms) AS unseen_ms, \
     (SELECT count(*) FROM jobs WHERE state = 'running' AND worker = nodes.name) AS running \
     FROM nodes WHERE seen_at_ms > ",
    now!(),
    " - $1 ORDER BY started_at_ms, name"
);

/// Every process that was seen of late, the longest running first.
pub(super) async fn all(db: &mut SqliteConnection) -> Result<Vec<SeenNode>> {
    sqlx::query(NODES).bind(milliseconds(SHOWN)).fetch_all(db).await?.iter().map(rows::seen_node).collect()
}

/// Tells of a process.
pub(super) struct NoteNode(pub(super) Node);

const NOTE: &str = concat!(
    "INSERT INTO nodes (name, role, version, host, pid, slots, draining, started_at_ms, seen_at_ms) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, ",
    now!(),
    ", ",
    now!(),
    ") ON CONFLICT (name) DO UPDATE SET draining = excluded.draining, seen_at_ms = excluded.seen_at_ms"
);

const DROP_OLD: &str = concat!("DELETE FROM nodes WHERE seen_at_ms <= ", now!(), " - $1");

#[async_trait]
impl Command for NoteNode {
    type Answer = ();

    async fn run(&self, work: &mut Work) -> Result<()> {
        let Node { name, role, version, host, pid, slots, draining } = &self.0;
        let note = sqlx::query(NOTE).bind(name).bind(role).bind(version).bind(host).bind(pid).bind(slots);
        note.bind(draining).execute(&mut work.db).await?;
        sqlx::query(DROP_OLD).bind(milliseconds(SHOWN)).execute(&mut work.db).await?;
        Ok(())
    }
}

/// Takes back what was told of a process.
pub(super) struct ForgetNode(pub(super) String);

#[async_trait]
impl Command for ForgetNode {
    type Answer = ();

    async fn run(&self, work: &mut Work) -> Result<()> {
        sqlx::query("DELETE FROM nodes WHERE name = $1").bind(&self.0).execute(&mut work.db).await?;
        Ok(())
    }
}
