//! How the store's tests open a PostgreSQL database.

use std::sync::Arc;

use async_trait::async_trait;
use spinelift::store::postgres::{PostgresOptions, PostgresStore, Tables};
use spinelift::store::{Result, Store};
use sqlx::{Connection, PgConnection};

use super::fixture::{Backend, Settings};
pub(crate) use super::postgres_database::Postgres;

impl Postgres {
    pub(crate) fn options(&self, settings: Settings) -> PostgresOptions {
        PostgresOptions {
            url: self.url(),
            connections: 4,
            tables: Tables::BringUpToDate,
            queue_limit: settings.queue_limit,
            timing: settings.timing,
        }
    }

    /// A connection beside the store's.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }
}

#[async_trait]
impl Backend for Postgres {
    async fn open(&self, settings: Settings) -> Result<Arc<dyn Store>> {
        Ok(PostgresStore::open(self.options(settings)).await?)
    }
}
