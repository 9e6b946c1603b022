//! Settings: every one of them, in one struct per part.
//!
//! [`SETTINGS`] is the table from which they are read and documented. Reading is pure: names and values in, a [`Config`] or
//! every mistake at once out. Only the command touches the environment.

mod address;
mod bucket;
mod cors;
mod document;
mod read;
mod setting;
mod table;

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub use cors::CorsOrigins;
pub use document::{example_env, settings_table};
pub use read::{Flags, Mistake, Mistakes};
pub use setting::{Setting, Takes, Unit};
pub use table::SETTINGS;

pub use crate::blob::{BucketOptions, Credentials};
pub use crate::key::Links;
pub use crate::store::sqlite::Durability;

use crate::decode::Limits;
use crate::mesh::MeshLimits;
use crate::store::postgres;

/// Everything that can be set, checked and complete.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// What this process does.
    pub role: Role,
    /// For a developer's machine: loopback only, loopback sources and callbacks allowed, no keys.
    pub dev: bool,
    /// Log lines.
    pub log: Log,
    /// The HTTP face.
    pub http: Http,
    /// Who may use it, and where it may reach.
    pub access: Access,
    /// What is read and made.
    pub images: Images,
    /// The queue and its workers.
    pub jobs: Jobs,
    /// Where jobs are kept.
    pub database: Database,
    /// Where images and results are kept.
    pub storage: Storage,
    /// Names of settings that were given and have no effect; the log says so once.
    pub unused: Vec<&'static str>,
}

impl Config {
    /// Reads settings from names and values, of which the first of equal names counts; a name with the prefix
    /// `SPINELIFT_` wins over one without.
    ///
    /// # Errors
    /// Every mistake at once.
    pub fn from_vars(vars: impl Iterator<Item = (String, String)>, flags: &Flags) -> Result<Self, Mistakes> {
        read::read(vars, flags)
    }

    /// Whether nobody beyond this machine can connect.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        address::is_loopback(&self.http.host)
    }
}

/// What a process does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// Takes requests and does jobs.
    #[default]
    All,
    /// Takes requests.
    Api,
    /// Does jobs.
    Worker,
}

impl Role {
    /// Its name on the command line and in the list of nodes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Api => "api",
            Self::Worker => "worker",
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// SERVICE_NAME: what the service calls itself in logs.
    pub service: String,
    /// LOG_FORMAT.
    pub format: LogFormat,
    /// DEBUG: more lines.
    pub debug: bool,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one object a line.
    Json,
}

/// The HTTP face.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// HOST: the address to listen on.
    pub host: String,
    /// PORT; 0 lets the system choose.
    pub port: u16,
    /// PUBLIC_URL: what callers reach the service by, without a slash at the end; `None` uses each request's own host.
    pub public_url: Option<String>,
    /// API_PREFIX.
    pub api_prefix: String,
    /// MAX_REQUEST_SIZE, bytes.
    pub max_request_bytes: u64,
    /// UPLOAD_MEMORY: bytes that the bodies of all requests may take together.
    pub upload_memory_bytes: u64,
    /// REQUEST_TIMEOUT: the longest a request may be handled, waits included, but not the time its body takes to come.
    pub request_timeout: Duration,
    /// MAX_CONNECTIONS at a time; some more are served for health alone.
    pub max_connections: usize,
    /// DRAIN_TIMEOUT: how long a stop waits for what is under way.
    pub drain_timeout: Duration,
}

/// Who may use the service, and where it may reach.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// API_KEYS, `name:secret`; there may be others in the database. A name occurs twice while its secret is being changed.
    pub api_keys: Vec<ApiKey>,
    /// RATE_LIMIT: requests a minute of a key without a rate of its own; 0 for no limit.
    pub rate_limit: u32,
    /// CORS_ORIGINS.
    pub cors_origins: CorsOrigins,
    /// CALLBACK_SECRETS, `whsec_` and base64, with which callbacks are signed.
    pub callback_secrets: Vec<String>,
    /// ALLOWED_HOSTS, `host` or `host:port` as `url` writes them: lower case, IPv6 in brackets, no dot at the end. Sources
    /// and callbacks may be there wherever that is.
    pub allowed_hosts: HashSet<String>,
    /// ALLOWED_NETWORKS: sources and callbacks may be there, on ports 80 and 443.
    pub allowed_networks: Vec<IpNet>,
    /// DNS_SERVERS: who is asked for names of hosts; the system's if empty.
    pub dns_servers: Vec<SocketAddr>,
    /// `--insecure`: listens beyond loopback without keys.
    pub insecure: bool,
}

impl fmt::Debug for Access {
    /// Without the secrets, so that no log line ever holds one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("api_keys", &self.api_keys)
            .field("rate_limit", &self.rate_limit)
            .field("cors_origins", &self.cors_origins)
            .field("callback_secrets", &self.callback_secrets.len())
            .field("allowed_hosts", &self.allowed_hosts)
            .field("allowed_networks", &self.allowed_networks)
            .field("dns_servers", &self.dns_servers)
            .field("insecure", &self.insecure)
            .finish()
    }
}

/// Who a caller is, and how it proves that.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Owns its jobs.
    pub name: String,
    /// What the caller sends as a bearer token.
    pub secret: String,
}

impl fmt::Debug for ApiKey {
    /// Without the secret, so that no log line ever holds it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What is read and made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Images {
    /// MAX_IMAGE_DIMENSION and MAX_IMAGE_BYTES.
    pub limits: Limits,
    /// MAX_TRIANGLES.
    pub mesh_limits: MeshLimits,
}

/// The queue and its workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jobs {
    /// MAX_CONCURRENT_JOBS of this process.
    pub concurrent: usize,
    /// JOB_TIMEOUT of one attempt.
    pub timeout: Duration,
    /// QUEUE_LIMIT: jobs waiting.
    pub queue_limit: u64,
    /// MAX_BATCH: jobs submitted at once.
    pub max_batch: usize,
    /// MEMORY_LIMIT: bytes that images being decoded may take together.
    pub memory_bytes: u64,
    /// CPU_THREADS that decode and mesh; 0 for as many as the machine has cores.
    pub cpu_threads: usize,
    /// RESULT_TTL: how long completed and cancelled jobs are kept.
    pub result_ttl: Duration,
    /// FAILED_TTL: how long failed jobs are kept.
    pub failed_ttl: Duration,
}

/// Where jobs are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    /// DATABASE_URL: `sqlite:PATH`, or `postgres://USER:PASSWORD@HOST:PORT/NAME`.
    pub url: String,
    /// DATABASE_DURABILITY of SQLite.
    pub durability: Durability,
    /// DATABASE_POOL: connections to PostgreSQL.
    pub connections: u32,
}

/// Which kind of database it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseKind {
    /// SQLite, in this file.
    File(PathBuf),
    /// PostgreSQL, by the database's URL.
    Server,
}

impl Database {
    /// Which kind it is: `sqlite:PATH` and `sqlite://PATH` mean the same.
    #[must_use]
    pub fn kind(&self) -> DatabaseKind {
        match self.url.strip_prefix("sqlite:") {
            Some(path) => DatabaseKind::File(path.strip_prefix("//").unwrap_or(path).into()),
            None => DatabaseKind::Server,
        }
    }

    /// Whether several nodes may share it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.kind() == DatabaseKind::Server
    }
}

impl fmt::Display for Database {
    /// As people name it, without its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            DatabaseKind::File(path) => path.display().fmt(f),
            DatabaseKind::Server => f.write_str(&postgres::named(&self.url)),
        }
    }
}

impl fmt::Debug for Database {
    /// Without the password, so that no log line ever holds it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("at", &self.to_string())
            .field("durability", &self.durability)
            .field("connections", &self.connections)
            .finish()
    }
}

/// Where images and results are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// STORAGE_BACKEND.
    pub backend: StorageBackend,
    /// STORAGE_PATH: the folder of the local backend.
    pub path: PathBuf,
    /// S3_BUCKET and the others of its kind: the bucket of the other one.
    pub bucket: BucketOptions,
    /// RESULT_LINKS: where links to results lead for keys that do not say.
    pub links: Links,
}

/// What images and results are kept in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StorageBackend {
    /// A folder.
    #[default]
    Local,
    /// A bucket on S3 or what speaks it.
    S3,
}

impl Default for Log {
    fn default() -> Self {
        Self { service: "spinelift-mesh-service".into(), format: LogFormat::default(), debug: false }
    }
}

impl Default for Access {
    fn default() -> Self {
        Self {
            api_keys: Vec::new(),
            // Three sliders that ask for 30 previews a second each.
            rate_limit: 6000,
            cors_origins: CorsOrigins::default(),
            callback_secrets: Vec::new(),
            allowed_hosts: HashSet::new(),
            allowed_networks: Vec::new(),
            dns_servers: Vec::new(),
            insecure: false,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 8000,
            public_url: None,
            api_prefix: "/api/v1".into(),
            max_request_bytes: 104_857_600,
            upload_memory_bytes: 512 << 20,
            request_timeout: Duration::from_secs(300),
            max_connections: 1024,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            concurrent: 10,
            timeout: Duration::from_secs(600),
            queue_limit: 10_000,
            max_batch: 100,
            memory_bytes: 1 << 30,
            cpu_threads: 0,
            result_ttl: Duration::from_secs(7 * 24 * 3600),
            failed_ttl: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        let url = "sqlite:spinelift-data/spinelift.db".into();
        Self { url, durability: Durability::default(), connections: 20 }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            backend: StorageBackend::default(),
            path: "spinelift-data/blobs".into(),
            bucket: BucketOptions { region: "us-east-1".into(), ..BucketOptions::default() },
            links: Links::default(),
        }
    }
}
