//! The processes of the service, for people to look at.

use sqlx::PgConnection;

use super::changes::now;
use crate::store::record::milliseconds;
use crate::store::rows;
use crate::store::{Node, Result, SHOWN, SeenNode};

/// What a node holds is asked of the jobs: what it said of that itself would be as old as its last word.
const NODES: &str = concat!(
    "SELECT name, role, version, host, pid, slots, draining, started_at_ms, seen_at_ms, greatest(0, ",
    now!(),
    " - seen_at_ms) AS unseen_ms, \
     (SELECT count(*) FROM jobs WHERE state = 'running' AND worker = nodes.name) AS running \
     FROM nodes WHERE seen_at_ms > ",
    now!(),
    " - $1 ORDER BY started_at_ms, name"
);

/// Every process that was seen of late, the longest running first.
pub(super) async fn all(db: &mut PgConnection) -> Result<Vec<SeenNode>> {
    sqlx::query(NODES).bind(milliseconds(SHOWN)).fetch_all(db).await?.iter().map(rows::seen_node).collect()
}

const NOTE: &str = concat!(
    "INSERT INTO nodes (name, role, version, host, pid, slots, draining, started_at_ms, seen_at_ms) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, ",
    now!(),
    ", ",
    now!(),
    ") ON CONFLICT (name) DO UPDATE SET draining = excluded.draining, seen_at_ms = excluded.seen_at_ms"
);

const DROP_OLD: &str = concat!("DELETE FROM nodes WHERE seen_at_ms <= ", now!(), " - $1");

/// Tells of a process.
pub(super) async fn note(db: &mut PgConnection, node: &Node) -> Result<()> {
    let Node { name, role, version, host, pid, slots, draining } = node;
    let note = sqlx::query(NOTE).bind(name).bind(role).bind(version).bind(host);
    note.bind(i64::from(*pid)).bind(i64::from(*slots)).bind(draining).execute(&mut *db).await?;
    sqlx::query(DROP_OLD).bind(milliseconds(SHOWN)).execute(db).await?;
    Ok(())
}

/// Takes back what was told of a process.
pub(super) async fn forget(db: &mut PgConnection, name: &str) -> Result<()> {
    sqlx::query("DELETE FROM nodes WHERE name = $1").bind(name).execute(db).await?;
    Ok(())
}
