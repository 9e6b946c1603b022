//! The service's parts, put together from its settings in one function.

use std::sync::Arc;

use rayon::ThreadPoolBuildError;
use thiserror::Error;
use tokio::sync::watch;

use crate::blob::{BlobError, Blobs};
use crate::compute::Compute;
use crate::config::{Config, CorsOrigins, Database, DatabaseKind, Storage, StorageBackend};
use crate::keyring::Keyring;
use crate::metrics::Metrics;
use crate::net::{Limits, Net, NetError, Policy};
use crate::store::postgres::{PostgresOptions, PostgresStore, Tables};
use crate::store::sqlite::{SqliteOptions, SqliteStore};
use crate::store::{Store, StoreError, Timing};

/// Why the service cannot start. For the operator.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder of images and results.
    #[error("STORAGE_PATH: {0}")]
    Folder(BlobError),
    /// The bucket of images and results.
    #[error("STORAGE_BACKEND=s3: {0}")]
    Bucket(BlobError),
    /// The HTTP client.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The threads of the engine.
    #[error("the system gives no threads: {0}")]
    Threads(#[from] ThreadPoolBuildError),
    /// Settings that would let strangers in, as there are no API keys.
    #[error("{0}")]
    Unguarded(String),
}

/// What every face and worker shares. Cloned freely: all of it is behind references.
#[derive(Clone)]
pub struct App {
    /// The settings.
    pub config: Arc<Config>,
    /// Jobs, events, callbacks.
    pub store: Arc<dyn Store>,
    /// Images and results.
    pub blobs: Blobs,
    /// The engine.
    pub compute: Arc<Compute>,
    /// Other hosts.
    pub net: Arc<Net>,
    /// Who may call.
    pub keys: Arc<Keyring>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    draining: Arc<watch::Sender<bool>>,
}

impl App {
    /// Opens what the settings name; makes the database and the folder if they are not there, and tries the bucket.
    ///
    /// # Errors
    /// [`OpenError`] says which part failed, and why.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let metrics = Arc::new(Metrics::default());
        let keys = Arc::new(Keyring::new(&config.access));
        // Nothing is made where there can be no keys, and strangers would be let in.
        if matches!(config.database.kind(), DatabaseKind::File(path) if !path.exists()) {
            expect_guarded(&config, &keys)?;
        }
        let store = open_store(&config.database, config.jobs.queue_limit).await?;
        keys.refresh(&*store).await?;
        expect_guarded(&config, &keys)?;
        keys.watch(&store);
        let blobs = open_blobs(&config.storage).await?;
        let compute = Compute::new(config.jobs.cpu_threads, &config.jobs, config.images, Arc::clone(&metrics))?;
        let policy = Policy {
            dev: config.dev,
            allowed_hosts: config.access.allowed_hosts.clone(),
            allowed_networks: config.access.allowed_networks.clone(),
            name_servers: config.access.dns_servers.clone(),
            ..Policy::default()
        };
        let net = Net::new(&policy, Limits::default())?;
        Ok(Self {
            config: Arc::new(config),
            store,
            blobs,
            compute: Arc::new(compute),
            net: Arc::new(net),
            keys,
            metrics,
            draining: Arc::new(watch::Sender::new(false)),
        })
    }

    /// From now on no new work is taken, and readiness says so.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Whether a stop has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Hears of a stop.
    #[must_use]
    pub fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }
}

/// Refuses what is open to strangers only because its operator has not thought of keys.
fn expect_guarded(config: &Config, keys: &Keyring) -> Result<(), OpenError> {
    if keys.is_on() {
        return Ok(());
    }
    let host = &config.http.host;
    if !config.dev && !config.is_loopback() && !config.access.insecure {
        return Err(OpenError::Unguarded(format!(
            "HOST: {host:?} can be reached by others, and without API keys anybody may use the service; add a key with \
             `spinelift keys add NAME` (of a container: run its image with its volume and `keys add NAME`), set API_KEYS, \
             or say --insecure if something in front of it keeps strangers out"
        )));
    }
    if config.access.cors_origins == CorsOrigins::Any {
        let message = "CORS_ORIGINS: \"*\" without API keys lets every page in the world that somebody here looks at use \
                       this service; add a key with `spinelift keys add NAME`, or name the origins of your own pages";
        return Err(OpenError::Unguarded(message.into()));
    }
    Ok(())
}

async fn open_store(database: &Database, queue_limit: u64) -> Result<Arc<dyn Store>, StoreError> {
    let timing = Timing::default();
    let Database { ref url, durability, connections } = *database;
    match database.kind() {
        DatabaseKind::File(path) => {
            Ok(SqliteStore::open(SqliteOptions { path, durability, queue_limit, timing }).await?)
        }
        DatabaseKind::Server => {
            let (url, tables) = (url.clone(), Tables::BringUpToDate);
            Ok(PostgresStore::open(PostgresOptions { url, connections, tables, queue_limit, timing }).await?)
        }
    }
}

async fn open_blobs(storage: &Storage) -> Result<Blobs, OpenError> {
    match storage.backend {
        StorageBackend::Local => Blobs::folder(&storage.path).map_err(OpenError::Folder),
        StorageBackend::S3 => {
            let blobs = Blobs::bucket(&storage.bucket).map_err(OpenError::Bucket)?;
            blobs.check_usable().await.map_err(OpenError::Bucket)?;
            Ok(blobs)
        }
    }
}
