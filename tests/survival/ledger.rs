//! What the database says once the service is gone: read from the file itself, past all of its code.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Row};

/// A job as the database has it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) deaths: i64,
    pub(crate) final_events: i64,
    pub(crate) final_deliveries: i64,
    pub(crate) sequences_have_gaps: bool,
}

/// Every job.
pub(crate) async fn read(database: &Path) -> Vec<Entry> {
    let options = SqliteConnectOptions::new().filename(database);
    let mut connection: SqliteConnection = options.connect().await.unwrap();
    let rows = sqlx::query(
        "SELECT id, state, deaths, \
         (SELECT count(*) FROM events e WHERE e.job = jobs.key AND e.state IN ('completed', 'failed', 'cancelled')) \
             AS final_events, \
         (SELECT count(*) FROM deliveries d WHERE d.job = jobs.key AND d.is_final) AS final_deliveries, \
         (SELECT count(*) <> max(e.sequence) FROM events e WHERE e.job = jobs.key) AS gaps \
         FROM jobs",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let entry = |row: &sqlx::sqlite::SqliteRow| Entry {
        id: row.get("id"),
        state: row.get("state"),
        deaths: row.get("deaths"),
        final_events: row.get("final_events"),
        final_deliveries: row.get("final_deliveries"),
        sequences_have_gaps: row.get("gaps"),
    };
    rows.iter().map(entry).collect()
}
