//! Connections: how many there are, how long each may take, and what is tried again when one is lost.

use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Postgres};

use crate::store::{Result, StoreError};

/// How long one waits for a connection: through a restart of the server, and less than a heartbeat may take.
const ACQUIRE: Duration = Duration::from_secs(4);

/// How long a call may take, so that one on a dead network ends. The server gives up a little earlier by itself.
pub(super) const LONGEST_CALL: Duration = Duration::from_secs(12);

/// What the server is told of every connection: statements that hang end by themselves, and neither a lock nor a
/// transaction outlives a node that stands still. Every statement has an index, whatever the planner's numbers said when
/// it last looked at a queue that is now long or empty; and none is worth being compiled.
const SESSION: [(&str, &str); 5] = [
    ("statement_timeout", "10s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("enable_seqscan", "off"),
    ("jit", "off"),
];

/// A connection that has been idle for so long is asked whether it still lives; one that was busy a moment ago is not, as
/// that would double the cost of a read.
const ASKED_AFTER: Duration = Duration::from_secs(1);

/// Idle connections are closed after this, so that a node keeps no more than it uses.
const IDLE: Duration = Duration::from_secs(300);

/// Waits between tries of a call whose connection was lost, or that another call got in the way of.
const WAITS: [Duration; 3] = [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(500)];

/// Where the database is.
///
/// # Errors
/// [`StoreError::Unreachable`] if the URL cannot be read.
pub(super) fn options(url: &str) -> Result<PgConnectOptions> {
    let unreadable = |_| StoreError::Unreachable("DATABASE_URL is not postgres://USER:PASSWORD@HOST:PORT/NAME".into());
    let options = PgConnectOptions::from_str(url).map_err(unreadable)?;
    Ok(options.application_name("spinelift").disable_statement_logging())
}

/// Connections to one database, at most so many at a time.
#[derive(Debug, Clone)]
pub(super) struct Connections(PgPool);

impl Connections {
    /// None is opened yet.
    pub(super) fn new(options: &PgConnectOptions, most: u32) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(most.max(1))
            .acquire_timeout(ACQUIRE)
            .idle_timeout(IDLE)
            .test_before_acquire(false)
            .before_acquire(|connection, last| {
                Box::pin(async move {
                    if last.idle_for > ASKED_AFTER {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            });
        Self(pool.connect_lazy_with(options.clone().options(SESSION)))
    }

    /// A connection for one call.
    pub(super) async fn lend(&self) -> Result<Lent> {
        let connection = self.0.acquire().await.map_err(told)?;
        Ok(Lent { connection, is_whole: false })
    }

    /// Closes all, and waits for those that are lent.
    pub(super) async fn close(&self) {
        self.0.close().await;
    }
}

/// A connection during one call. Unless the call has ended it is closed, not given back: what the server would still say
/// belongs to nobody, and may never come.
pub(super) struct Lent {
    connection: PoolConnection<Postgres>,
    is_whole: bool,
}

impl Lent {
    /// Takes note of how the call ended.
    pub(super) fn ended<T>(&mut self, outcome: &Result<T>) {
        self.is_whole = !matches!(outcome, Err(error) if is_lost(error));
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.is_whole {
            self.connection.close_on_drop();
        }
    }
}

/// Makes a call on a connection, once.
macro_rules! call_once {
    ($connections:expr, |$db:ident| $work:expr) => {
        match $connections.lend().await {
            Ok(mut lent) => {
                let outcome = {
                    let $db: &mut sqlx::PgConnection = &mut lent;
                    tokio::time::timeout($crate::store::postgres::connect::LONGEST_CALL, $work).await
                };
                let outcome = outcome.unwrap_or_else(|_| Err($crate::store::postgres::connect::no_answer()));
                lent.ended(&outcome);
                outcome
            }
            Err(error) => Err(error),
        }
    };
}

/// Makes a call on a connection, and again if the connection is lost or another call got in the way: every call here may
/// be made twice, as what it changes it changes only from the state that it has read.
macro_rules! call {
    ($connections:expr, |$db:ident| $work:expr) => {{
        let mut waits = $crate::store::postgres::connect::waits();
        loop {
            let outcome = $crate::store::postgres::connect::call_once!($connections, |$db| $work);
            match (outcome, waits.next()) {
                (Err(error), Some(wait)) if $crate::store::postgres::connect::may_pass(&error) => {
                    tracing::debug!(%error, "a call to the database is made again");
                    tokio::time::sleep(wait).await;
                }
                (outcome, _) => break outcome,
            }
        }
    }};
}

pub(super) use {call, call_once};

/// How long to wait before each further try.
pub(super) fn waits() -> impl Iterator<Item = Duration> {
    WAITS.into_iter()
}

/// Whether the connection is of no more use.
pub(super) fn is_lost(error: &StoreError) -> bool {
    match error {
        StoreError::Database(sqlx::Error::Database(error)) => is_of(error.code().as_deref(), &["08", "57P", "25006"]),
        StoreError::Database(sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. }) | StoreError::Row(_) => false,
        StoreError::Database(_) | StoreError::Commit(_) => true,
        _ => false,
    }
}

/// Whether the same call may well succeed: its connection was cut, the server was being restarted, or two calls crossed.
pub(super) fn may_pass(error: &StoreError) -> bool {
    match error {
        StoreError::Database(sqlx::Error::Io(_)) => true,
        StoreError::Database(sqlx::Error::Database(error)) => {
            // 08: the connection; 57P: the server stops or starts; 40: serialization and deadlocks; 23505: somebody has
            // just written the same key; 25006: read-only, as a server is that has just been demoted. Not what has
            // already waited for long, as locks and hanging statements have.
            is_of(error.code().as_deref(), &["08", "57P", "40", "23505", "25006"])
        }
        _ => false,
    }
}

/// Whether the database is out of reach or has no room: then another call would fail as this one did, and take as long.
pub(super) fn is_out_of_reach(error: &StoreError) -> bool {
    match error {
        StoreError::Database(sqlx::Error::Database(error)) => {
            // 53: no memory, disk or connections; 55P03: a lock; 57: the server stops, starts, or gave the statement up.
            is_of(error.code().as_deref(), &["08", "25006", "53", "55P03", "57"])
        }
        StoreError::Database(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) => true,
        StoreError::Commit(_) | StoreError::Closed => true,
        _ => false,
    }
}

/// Whether an SQLSTATE begins with one of these.
fn is_of(code: Option<&str>, beginnings: &[&str]) -> bool {
    code.is_some_and(|code| beginnings.iter().any(|beginning| code.starts_with(beginning)))
}

/// A call that was given up.
pub(super) fn no_answer() -> StoreError {
    StoreError::Commit(format!("no answer within {} s", LONGEST_CALL.as_secs()))
}

/// A pool that was closed is a store that was closed.
fn told(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::PoolClosed => StoreError::Closed,
        error => StoreError::Database(error),
    }
}
