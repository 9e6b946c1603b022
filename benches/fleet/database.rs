//! A database for one run, and what it says of itself.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

/// Gone with the run.
pub(crate) struct Database {
    server: String,
    name: String,
    pub(crate) url: String,
}

/// What a database has done and holds.
pub(crate) struct Usage {
    /// Bytes written to the log.
    pub(crate) log: f64,
    pub(crate) transactions: f64,
    /// Bytes of tables and indexes.
    pub(crate) size: f64,
    pub(crate) indexes: f64,
}

impl Usage {
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            log: self.log - before.log,
            transactions: self.transactions - before.transactions,
            size: self.size - before.size,
            indexes: self.indexes - before.indexes,
        }
    }
}

impl Database {
    /// With its tables.
    pub(crate) async fn make() -> Self {
        let server = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL names a server");
        let name = format!("spinelift_bench_{}", uuid::Uuid::now_v7().simple());
        let mut db = PgConnection::connect(&server).await.expect("the server answers");
        db.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.expect("databases may be made");
        let mut url = url::Url::parse(&server).expect("a URL");
        url.set_path(&name);
        let database = Self { server, name, url: url.into() };
        super::node::open(&database.url).await;
        database
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("the database answers")
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.connect().await).await.expect("a count")
    }

    /// Queues jobs of so many keys, in turns.
    pub(crate) async fn fill(&self, jobs: usize, owners: usize, with_callback: bool) {
        self.fill_with("key", jobs, owners, with_callback).await;
    }

    pub(crate) async fn fill_more(&self, owner: &str, jobs: usize, owners: usize) {
        self.fill_with(owner, jobs, owners, false).await;
    }

    /// The rows that as many submissions leave behind.
    async fn fill_with(&self, owner: &str, jobs: usize, owners: usize, with_callback: bool) {
        let url = if with_callback { "'https://app.example.com/callbacks'" } else { "NULL" };
        let now = "(extract(epoch FROM now()) * 1000)::bigint";
        let sql = format!(
            "WITH made AS (INSERT INTO jobs (owner, id, kind, request, request_hash, callback_url, request_id, state, \
             run_after_ms, sequence, progress, message, created_at_ms, updated_at_ms) \
             SELECT '{owner}-' || n % {owners}, 'job-' || n, 'mesh', '{{}}', md5(n::text), {url}, 'request', 'queued', \
             {now}, 1, 0, 'Queued', {now}, {now} FROM generate_series(1, {jobs}) AS n RETURNING key) \
             INSERT INTO events (job, sequence, at_ms, state, progress, message) \
             SELECT key, 1, {now}, 'queued', 0, 'Queued' FROM made"
        );
        let mut db = self.connect().await;
        db.execute(AssertSqlSafe(sql)).await.expect("rows");
        db.execute("ANALYZE").await.expect("statistics");
    }

    /// How many jobs of the small keys are done, and when the last of them was claimed among all.
    pub(crate) async fn fairness(&self) -> (i64, i64) {
        let sql = "SELECT count(*) FILTER (WHERE owner LIKE 'other-%') AS done, \
                   coalesce(max(place) FILTER (WHERE owner LIKE 'other-%'), 0) AS place \
                   FROM (SELECT owner, row_number() OVER (ORDER BY updated_at_ms, key) AS place FROM jobs \
                   WHERE state = 'completed') AS done";
        let row = sqlx::query(sql).fetch_one(&mut self.connect().await).await.expect("a row");
        (row.get("done"), row.get("place"))
    }

    pub(crate) async fn usage(&self) -> Usage {
        let mut db = self.connect().await;
        db.execute("CHECKPOINT").await.expect("a checkpoint");
        // A backend's counters arrive when it ends, or a second later.
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let sql = "SELECT (pg_current_wal_lsn() - '0/0')::float8 AS log, xact_commit::float8 AS transactions, \
                   pg_database_size(current_database())::float8 AS size, \
                   (SELECT sum(pg_indexes_size(relid)) FROM pg_stat_user_tables)::float8 AS indexes \
                   FROM pg_stat_database WHERE datname = current_database()";
        let row = sqlx::query(sql).fetch_one(&mut db).await.expect("a row");
        Usage {
            log: row.get("log"),
            transactions: row.get("transactions"),
            size: row.get("size"),
            indexes: row.get("indexes"),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, sql) = (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let mut db = PgConnection::connect(&server).await.expect("the server answers");
                db.execute(AssertSqlSafe(sql)).await.expect("the database is dropped");
            });
        });
        let _ = dropping.join();
    }
}
