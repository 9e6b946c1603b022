//! Bringing the tables up to date while nodes of another version use them.
//!
//! Every migration only adds, so that the version before can go on with the tables: nodes are replaced one by one. What an
//! older version cannot live with comes a version later, once nobody needs the old way, and raises `must_know` in the
//! table `compatibility`: a version that does not know that migration refuses to start.

use std::io;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::store::{Result, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// The oldest server that has all that the statements use.
const OLDEST_SERVER: i32 = 140_000;

/// How long the server may take to answer at all.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a migration waits for a lock. Callers wait no longer for what waits behind it.
const LOCK_TIMEOUT: &str = "2s";

/// Pause before a migration is tried again.
const LOCK_PAUSE: Duration = Duration::from_secs(3);

/// What becomes of tables that are not up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// They are made, or brought up to date.
    BringUpToDate,
    /// They stay as they are, and must be up to date.
    AsTheyAre,
}

/// Sees to it that the tables are those of this version, or of a later one that this one can live with.
pub(super) async fn prepare(options: PgConnectOptions, tables: Tables) -> Result<()> {
    let runtime = Handle::current();
    // The future of a migration cannot move between threads.
    let prepared = tokio::task::spawn_blocking(move || runtime.block_on(prepare_here(&options, tables)));
    prepared.await.map_err(|error| StoreError::File(io::Error::other(error)))?
}

async fn prepare_here(options: &PgConnectOptions, tables: Tables) -> Result<()> {
    let with_limit = options.clone().options([("lock_timeout", LOCK_TIMEOUT)]);
    let connected = timeout(CONNECT, with_limit.connect()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    let mut db = connected.map_err(|error| unreachable(&error, options))?;
    check_server(&mut db, options).await?;
    match tables {
        Tables::BringUpToDate => bring_up_to_date(&mut db, options).await?,
        Tables::AsTheyAre => expect_up_to_date(&mut db, options).await?,
    }
    check_compatibility(&mut db).await?;
    db.close().await?;
    Ok(())
}

/// One node at a time: the migrator holds a lock of the server's meanwhile. Nodes of a later version may have applied
/// more than is known here. Nobody is waited for longer than [`LOCK_TIMEOUT`] at a time, be it a node that migrates or a
/// dump that reads: whoever comes after one that waits for a table's lock waits with it, and that is every node.
async fn bring_up_to_date(db: &mut PgConnection, options: &PgConnectOptions) -> Result<()> {
    let mut migrations = Migrator { migrations: MIGRATIONS.migrations.clone(), ..Migrator::DEFAULT };
    migrations.set_ignore_missing(true);
    loop {
        match migrations.run(&mut *db).await {
            Err(error) if is_lock_timeout(&error) => {
                let name = named(options);
                tracing::warn!(
                    "the tables of {name} are in use by a backup or another node that starts; waiting to bring them up to date"
                );
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            done => return Ok(done?),
        }
    }
}

fn is_lock_timeout(error: &MigrateError) -> bool {
    let (MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)) = error else { return false };
    cause.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "55P03")
}

async fn expect_up_to_date(db: &mut PgConnection, options: &PgConnectOptions) -> Result<()> {
    let is_made: bool =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *db).await?;
    let applied: Vec<i64> = if is_made {
        let versions = "SELECT version FROM _sqlx_migrations WHERE success";
        sqlx::query_scalar(versions).fetch_all(&mut *db).await?
    } else {
        Vec::new()
    };
    if MIGRATIONS.iter().all(|migration| applied.contains(&migration.version)) {
        return Ok(());
    }
    Err(StoreError::Outdated(named(options)))
}

async fn check_compatibility(db: &mut PgConnection) -> Result<()> {
    let must_know: i64 = sqlx::query_scalar("SELECT must_know FROM compatibility").fetch_one(db).await?;
    if MIGRATIONS.version_exists(must_know) { Ok(()) } else { Err(MigrateError::VersionMissing(must_know).into()) }
}

async fn check_server(db: &mut PgConnection, options: &PgConnectOptions) -> Result<()> {
    let sql = "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS shown, \
               pg_is_in_recovery() AS is_standby";
    let row = sqlx::query(sql).fetch_one(db).await?;
    let (number, shown): (i32, String) = (row.try_get("number")?, row.try_get("shown")?);
    let name = named(options);
    if number < OLDEST_SERVER {
        let oldest = OLDEST_SERVER / 10_000;
        let message = format!("the server of {name} is PostgreSQL {shown}; version {oldest} or later is needed");
        return Err(StoreError::Unreachable(message));
    }
    if row.try_get("is_standby")? {
        let message = format!("{name} is on a standby, which cannot be written; name the primary in DATABASE_URL");
        return Err(StoreError::Unreachable(message));
    }
    Ok(())
}

/// What the operator can do something about, without the password.
fn unreachable(error: &sqlx::Error, options: &PgConnectOptions) -> StoreError {
    let name = named(options);
    let advice = match error.as_database_error().and_then(|error| error.code()).as_deref() {
        Some("3D000") => "make it with CREATE DATABASE, or name another in DATABASE_URL",
        Some("28P01" | "28000") => "check user and password in DATABASE_URL, and the server's pg_hba.conf",
        Some("53300") => "raise the server's max_connections, or lower DATABASE_POOL of the nodes",
        _ => "check DATABASE_URL, and that the server runs and can be reached from here",
    };
    StoreError::Unreachable(format!("{name} cannot be opened; {advice} ({error})"))
}

/// The database as people name it.
pub(super) fn named(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or(options.get_username());
    match options.get_socket() {
        Some(socket) => format!("the database {database} on {}", socket.display()),
        None => format!("the database {database} on {}:{}", options.get_host(), options.get_port()),
    }
}
