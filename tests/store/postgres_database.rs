//! A database of its own for each test on a PostgreSQL server, which goes away with it.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Where a server is that lets tests make databases.
const VARIABLE: &str = "TEST_POSTGRES_URL";

/// Where one is on many a developer's machine.
const USUAL: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// A database.
pub(crate) struct Postgres {
    server: String,
    name: String,
}

impl Postgres {
    /// Makes a database; `None`, said plainly, where there is no server. With CI=true that is a failure.
    pub(crate) async fn new() -> Option<Self> {
        let server = std::env::var(VARIABLE).unwrap_or_else(|_| USUAL.into());
        let name = format!("spinelift_test_{}", uuid::Uuid::now_v7().simple());
        match PgConnection::connect(&server).await {
            Ok(mut db) => {
                db.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
                Some(Self { server, name })
            }
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "no PostgreSQL server by {VARIABLE}: {error}");
                println!("SKIPPED: no PostgreSQL server answers ({error}); name one in {VARIABLE}");
                None
            }
        }
    }

    /// What a service is given as DATABASE_URL.
    pub(crate) fn url(&self) -> String {
        let mut url = url::Url::parse(&self.server).unwrap();
        url.set_path(&self.name);
        url.into()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let (server, drop_it) = (self.server.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        // The test's own runtime is in use.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut db = PgConnection::connect(&server).await.unwrap();
                db.execute(AssertSqlSafe(drop_it)).await.unwrap();
            });
        });
        let dropped = dropping.join();
        assert!(std::thread::panicking() || dropped.is_ok(), "the test's database is left behind");
    }
}
