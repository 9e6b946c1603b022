//! The table of settings: reading, messages, `config.example.env` and `docs/settings.md` are all made from it.

use std::path::PathBuf;
use std::time::Duration;

use super::setting::{Setting, Takes, Unit, row, seconds, secret, text, whole};
use super::{Durability, Links, LogFormat, StorageBackend, address, bucket, cors};

/// A day, s: no request and no attempt takes longer.
const DAY: u64 = 86_400;

/// Ten years, s: longer than any result is of use, and far from overflowing any clock.
const TEN_YEARS: u64 = 3650 * DAY;

/// 16 GiB: beyond what one request or image may be, whatever the machine.
const MOST_BYTES: u64 = 16 << 30;

/// 1 PiB: more memory than any machine has.
const MOST_MEMORY: u64 = 1 << 50;

/// A number of things in this process. The ranges in the table are far below where this could be cut short.
fn count(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

const SERVICE: &str = "Service";
const HTTP: &str = "HTTP";
const ACCESS: &str = "Access";
const IMAGES: &str = "Images and meshes";
const JOBS: &str = "Jobs";
const KEPT: &str = "Database and storage";
const BUCKET: &str = "Bucket";

/// Every setting, in the order of the documents.
pub const SETTINGS: &[Setting] = &[
    row(
        SERVICE,
        "SERVICE_NAME",
        "spinelift-mesh-service",
        text("1 to 64 letters, digits, `.`, `_` or `-`", address::set_service),
        "what the service calls itself in log lines",
    ),
    row(SERVICE, "DEBUG", "false", Takes::Flag(|c, on| c.log.debug = on), "writes more log lines"),
    row(
        SERVICE,
        "LOG_FORMAT",
        "text",
        Takes::Word {
            words: &["text", "json"],
            set: |c, word| c.log.format = if word == "json" { LogFormat::Json } else { LogFormat::Text },
        },
        "log lines for people, or one JSON object a line",
    ),
    row(
        SERVICE,
        "CPU_THREADS",
        "0",
        whole(0, 1024, Unit::None, |c, n| c.jobs.cpu_threads = count(n)),
        "threads that decode images and make meshes; 0 for as many as the machine has cores",
    ),
    row(
        HTTP,
        "HOST",
        "127.0.0.1",
        text("an IP address or `localhost`", address::set_host),
        "the address to listen on; 0.0.0.0 or :: for all, which needs API keys or --insecure",
    ),
    row(
        HTTP,
        "PORT",
        "8000",
        whole(0, 65_535, Unit::None, |c, n| c.http.port = u16::try_from(n).unwrap_or(u16::MAX)),
        "the port to listen on; 0 lets the system choose",
    ),
    row(
        HTTP,
        "PUBLIC_URL",
        "",
        text("an http or https URL without query", address::set_public_url),
        "what callers reach the service by, for links; without it answers have each request's own host, and callbacks have no `result_url` if HOST is all addresses",
    ),
    row(
        HTTP,
        "API_PREFIX",
        "/api/v1",
        text("a path such as /api/v1", address::set_api_prefix),
        "what the paths of the API begin with",
    ),
    row(
        HTTP,
        "MAX_REQUEST_SIZE",
        "104857600",
        whole(1024, MOST_BYTES, Unit::Bytes, |c, n| c.http.max_request_bytes = n),
        "the largest body of a request",
    ),
    row(
        HTTP,
        "UPLOAD_MEMORY",
        "536870912",
        whole(1 << 20, MOST_MEMORY, Unit::Bytes, |c, n| c.http.upload_memory_bytes = n),
        "memory that the bodies of all requests may take together; more are answered with 503 and Retry-After",
    ),
    row(
        HTTP,
        "REQUEST_TIMEOUT",
        "300",
        seconds(1, DAY, |c, n| c.http.request_timeout = Duration::from_secs(n)),
        "the longest a request may be handled, waits included; the time that its body takes to come has limits of its own",
    ),
    row(
        HTTP,
        "MAX_CONNECTIONS",
        "1024",
        whole(1, 1_000_000, Unit::None, |c, n| c.http.max_connections = count(n)),
        "connections served at a time; beyond them only health is answered",
    ),
    row(
        HTTP,
        "DRAIN_TIMEOUT",
        "30",
        seconds(0, 3600, |c, n| c.http.drain_timeout = Duration::from_secs(n)),
        "how long a stop waits for requests and jobs that are under way",
    ),
    secret(row(
        ACCESS,
        "API_KEYS",
        "",
        text("`name:secret`, several with commas, each secret at least 16 characters", address::set_api_keys),
        "who may use the API, besides the keys in the database; `openssl rand -hex 32` makes a secret; a name may stand twice while its secret is being changed",
    )),
    secret(row(
        ACCESS,
        "CALLBACK_SECRETS",
        "",
        text("`whsec_` and 24 to 64 bytes as base64, several with commas", address::set_callback_secrets),
        "what callbacks are signed with; several while a secret is being changed",
    )),
    row(
        ACCESS,
        "ALLOWED_HOSTS",
        "",
        text("`host` or `host:port`, IPv6 in brackets, several with commas", address::set_allowed_hosts),
        "hosts that may be reached although they are not public, for images and callbacks; without a port its ports 80 and 443",
    ),
    row(
        ACCESS,
        "ALLOWED_NETWORKS",
        "",
        text("networks such as 10.1.0.0/16, several with commas", address::set_allowed_networks),
        "addresses that may be reached although they are not public, on ports 80 and 443",
    ),
    row(
        ACCESS,
        "DNS_SERVERS",
        "",
        text("IP addresses, with a port unless it is 53, several with commas", address::set_dns_servers),
        "who is asked for the addresses of hosts; without it whoever /etc/resolv.conf names",
    ),
    row(
        ACCESS,
        "RATE_LIMIT",
        "6000",
        whole(0, 1_000_000, Unit::None, |c, n| c.access.rate_limit = u32::try_from(n).unwrap_or(u32::MAX)),
        "requests a minute that each API key may make which has no rate of its own; 0 for no limit",
    ),
    row(
        ACCESS,
        "CORS_ORIGINS",
        "",
        text("`*`, or origins such as https://app.example, several with commas", cors::set),
        "whose web pages may call from browsers; `*` for all, which needs API keys; none of them may use cookies",
    ),
    row(
        IMAGES,
        "MAX_IMAGE_DIMENSION",
        "4096",
        whole(1, 32_768, Unit::Pixels, |c, n| {
            let px = u32::try_from(n).unwrap_or(u32::MAX);
            c.images.limits.max_width = px;
            c.images.limits.max_height = px;
        }),
        "the widest and tallest image",
    ),
    row(
        IMAGES,
        "MAX_IMAGE_BYTES",
        "67108864",
        whole(1024, MOST_BYTES, Unit::Bytes, |c, n| c.images.limits.max_bytes = n),
        "the largest image file, fetched or uploaded",
    ),
    row(
        IMAGES,
        "MAX_TRIANGLES",
        "500000",
        whole(100, 20_000_000, Unit::None, |c, n| c.images.mesh_limits.max_triangles = n),
        "the most triangles of a mesh",
    ),
    row(
        IMAGES,
        "MEMORY_LIMIT",
        "1073741824",
        whole(16 << 20, MOST_MEMORY, Unit::Bytes, |c, n| c.jobs.memory_bytes = n),
        "memory that images being decoded may take together; others wait",
    ),
    row(
        JOBS,
        "MAX_CONCURRENT_JOBS",
        "10",
        whole(1, 1024, Unit::None, |c, n| c.jobs.concurrent = count(n)),
        "jobs that this process does at a time",
    ),
    row(
        JOBS,
        "JOB_TIMEOUT",
        "600",
        seconds(1, DAY, |c, n| c.jobs.timeout = Duration::from_secs(n)),
        "the longest that one attempt at a job may take",
    ),
    row(
        JOBS,
        "QUEUE_LIMIT",
        "10000",
        whole(1, 10_000_000, Unit::None, |c, n| c.jobs.queue_limit = n),
        "jobs that may wait; more are answered with 503 and Retry-After",
    ),
    row(
        JOBS,
        "MAX_BATCH",
        "100",
        whole(1, 10_000, Unit::None, |c, n| c.jobs.max_batch = count(n)),
        "jobs that one request may submit",
    ),
    row(
        JOBS,
        "RESULT_TTL",
        "604800",
        seconds(60, TEN_YEARS, |c, n| c.jobs.result_ttl = Duration::from_secs(n)),
        "how long completed and cancelled jobs and their results are kept",
    ),
    row(
        JOBS,
        "FAILED_TTL",
        "2592000",
        seconds(60, TEN_YEARS, |c, n| c.jobs.failed_ttl = Duration::from_secs(n)),
        "how long failed jobs are kept",
    ),
    secret(row(
        KEPT,
        "DATABASE_URL",
        "sqlite:spinelift-data/spinelift.db",
        text("`sqlite:` and a file, or postgres://USER:PASSWORD@HOST:PORT/NAME", address::set_database),
        "where jobs are kept: in a file of one process, made at the first start, or in a PostgreSQL database that several nodes share",
    )),
    row(
        KEPT,
        "DATABASE_POOL",
        "20",
        whole(2, 1000, Unit::None, |c, n| c.database.connections = u32::try_from(n).unwrap_or(u32::MAX)),
        "connections to PostgreSQL that this process opens at most; one more listens to the other nodes, and one extends leases",
    ),
    row(
        KEPT,
        "DATABASE_DURABILITY",
        "power",
        Takes::Word {
            words: &["power", "process"],
            set: |c, word| {
                c.database.durability = if word == "process" { Durability::Process } else { Durability::Power };
            },
        },
        "what an accepted job survives in SQLite: a power cut, or only the death of the process, which is faster; PostgreSQL has settings of its own",
    ),
    row(
        KEPT,
        "STORAGE_BACKEND",
        "local",
        Takes::Word {
            words: &["local", "s3"],
            set: |c, word| {
                c.storage.backend = if word == "s3" { StorageBackend::S3 } else { StorageBackend::Local };
            },
        },
        "where images and results are kept: in a folder, or in a bucket on S3 or what speaks it",
    ),
    row(
        KEPT,
        "STORAGE_PATH",
        "spinelift-data/blobs",
        text("a folder", |c, path| {
            c.storage.path = PathBuf::from(path);
            Ok(())
        }),
        "the folder of STORAGE_BACKEND=local; made at the first start",
    ),
    secret(row(
        KEPT,
        "REDIS_URL",
        "",
        text("anything", |c, _| {
            c.unused.push("REDIS_URL");
            Ok(())
        }),
        "accepted and not used: leases in the database lock what Redis was meant to lock",
    )),
    row(
        BUCKET,
        "S3_BUCKET",
        "",
        text("a bucket's name", bucket::set_name),
        "the bucket of STORAGE_BACKEND=s3; it must be there",
    ),
    row(
        BUCKET,
        "S3_REGION",
        "us-east-1",
        text("a region such as eu-central-1", bucket::set_region),
        "where AWS has the bucket; other servers mostly take any",
    ),
    row(
        BUCKET,
        "S3_ENDPOINT",
        "",
        text("an http or https URL of a host", bucket::set_endpoint),
        "the server that has the bucket, if that is not AWS; over http everything is readable on the way",
    ),
    row(
        BUCKET,
        "S3_PUBLIC_ENDPOINT",
        "",
        text("an http or https URL of a host", bucket::set_public_endpoint),
        "what callers reach that server by, for links of RESULT_LINKS=storage; without it S3_ENDPOINT",
    ),
    row(
        BUCKET,
        "S3_PREFIX",
        "",
        text("a path such as spinelift/live, without a slash at either end", bucket::set_prefix),
        "what the names of objects begin with, where the bucket has others too",
    ),
    row(
        BUCKET,
        "S3_ACCESS_KEY_ID",
        "",
        text("a key's id", bucket::set_key_id),
        "the key that opens the bucket; without it AWS's own names in the environment, or the machine's role",
    ),
    secret(row(
        BUCKET,
        "S3_SECRET_ACCESS_KEY",
        "",
        text("the key's secret", bucket::set_secret),
        "the secret of S3_ACCESS_KEY_ID",
    )),
    row(
        BUCKET,
        "RESULT_LINKS",
        "service",
        Takes::Word {
            words: &["service", "storage"],
            set: |c, word| c.storage.links = if word == "storage" { Links::Storage } else { Links::Service },
        },
        "where a `result_url` leads for API keys that do not say: to this service, or straight to the bucket, for seven days at most",
    ),
];
