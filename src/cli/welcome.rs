//! What an operator sees once the service is up: where everything is, and what to think about.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use spinelift::config::{BucketOptions, Config, Durability, LogFormat, Role, Storage, StorageBackend};
use spinelift::worker::FILES_FOR_CALLBACKS;

/// One screen on standard error, or one log line where a machine reads them; each warning is a log line of its own there.
///
/// `keys` are those that open the service now; `None` where nobody needs one. `open_files` may be open at a time; `None`
/// where that is not known.
pub(super) fn say(config: &Config, keys: Option<usize>, open_files: Option<u64>, address: SocketAddr) {
    let mut warnings = warnings(config, keys);
    let few_files = open_files.and_then(|files| few_files(config, files));
    warnings.extend(few_files.as_deref());
    if !config.unused.is_empty() {
        tracing::info!(settings = config.unused.join(", "), "accepted and not used: the database does the locking");
    }
    if config.log.format == LogFormat::Json {
        tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), role = role(config.role), "listening");
        for warning in warnings {
            tracing::warn!("{warning}");
        }
    } else {
        super::say(screen(config, keys, address, &warnings));
    }
}

fn screen(config: &Config, keys: Option<usize>, address: SocketAddr, warnings: &[&str]) -> String {
    let root = config.http.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let mut text = format!("version {} listens on {address}\n", env!("CARGO_PKG_VERSION"));
    let survives = match config.database.durability {
        _ if config.database.is_shared() => "shared with other nodes",
        Durability::Power => "jobs survive a power cut",
        Durability::Process => "jobs survive the death of the process, not a power cut",
    };
    for (name, value) in [
        ("page", format!("{root}/")),
        ("docs", format!("{root}/docs")),
        ("API", format!("{root}{}", config.http.api_prefix)),
        ("database", format!("{} ({survives})", config.database)),
        ("storage", storage(&config.storage)),
        ("role", role(config.role).into()),
        ("keys", keys.map_or("none: whoever can connect may use it".into(), |keys| keys.to_string())),
    ] {
        let _ = writeln!(text, "  {name:<9} {value}");
    }
    for warning in warnings {
        let _ = writeln!(text, "  warning: {warning}");
    }
    text.trim_end().into()
}

fn storage(storage: &Storage) -> String {
    let BucketOptions { name, region, endpoint, .. } = &storage.bucket;
    match storage.backend {
        StorageBackend::Local => storage.path.display().to_string(),
        StorageBackend::S3 => {
            format!("bucket {name} at {}", endpoint.clone().unwrap_or_else(|| format!("AWS in {region}")))
        }
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::All => "all: takes requests and does jobs",
        Role::Api => "api: takes requests",
        Role::Worker => "worker: does jobs",
    }
}

/// Said where so few files may be open that connections are refused, or callbacks wait for others.
fn few_files(config: &Config, open_files: u64) -> Option<String> {
    let needed = config.http.max_connections.saturating_add(FILES_FOR_CALLBACKS);
    (open_files < needed as u64).then(|| {
        format!(
            "at most {open_files} files may be open, fewer than MAX_CONNECTIONS and {FILES_FOR_CALLBACKS} for callbacks to \
             slow receivers; let the hard limit be {needed} or more (LimitNOFILE, `ulimit -Hn`)"
        )
    })
}

/// What works, and may surprise.
fn warnings(config: &Config, keys: Option<usize>) -> Vec<&'static str> {
    let open = keys.is_none() && !config.is_loopback();
    let everywhere = config.http.host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
    let unused_bucket = config.storage.backend == StorageBackend::Local && !config.storage.bucket.name.is_empty();
    let shared_folder = config.database.is_shared() && config.storage.backend == StorageBackend::Local;
    let rules: [(bool, &str); 9] = [
        (keys == Some(0), "every API key is revoked: nobody is let in; `spinelift keys add NAME` makes one"),
        (open, "--insecure: anybody who can connect may use the service"),
        (config.dev, "--dev: images and callbacks on this machine are reached; not for other people's requests"),
        (
            !(config.access.allowed_hosts.is_empty() && config.access.allowed_networks.is_empty()),
            "ALLOWED_HOSTS, ALLOWED_NETWORKS: whoever may submit jobs can have these reached, public or not",
        ),
        (
            config.http.public_url.is_none()
                && !config.dev
                && (everywhere || keys.is_some() || config.role == Role::Worker),
            "no PUBLIC_URL: callbacks carry no result_url, or one that only this machine can reach",
        ),
        (
            config.access.callback_secrets.is_empty() && !config.dev,
            "no CALLBACK_SECRETS: callbacks are not signed, so that receivers cannot tell them from forged ones",
        ),
        (
            shared_folder && !config.dev,
            "STORAGE_BACKEND=local with PostgreSQL: a node finds no image or result that another has kept, unless STORAGE_PATH \
             is one folder for all; use s3",
        ),
        (unused_bucket, "S3_BUCKET is set and not used, as STORAGE_BACKEND is local"),
        (
            config.role != Role::All && !config.database.is_shared(),
            "a SQLite database belongs to one process: nobody else can do the other half of the work; use --role all, or PostgreSQL",
        ),
    ];
    rules.into_iter().filter_map(|(holds, warning)| holds.then_some(warning)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use spinelift::config::{Access, ApiKey};

    #[test]
    fn the_screen_says_where_everything_is_and_no_secret() {
        let key = ApiKey { name: "app".into(), secret: "0123456789abcdef".into() };
        let access = Access { api_keys: vec![key], ..Access::default() };
        let config = Config { access, ..Config::default() };
        let text = screen(&config, Some(1), SocketAddr::from(([127, 0, 0, 1], 8000)), &warnings(&config, Some(1)));
        for part in ["http://127.0.0.1:8000/docs", "/api/v1", "spinelift-data/spinelift.db", "blobs", "keys      1"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains("CALLBACK_SECRETS") && !text.contains("0123456789abcdef"), "{text}");
    }

    #[test]
    fn an_open_service_is_warned_of() {
        let mut config = Config::default();
        assert!(!warnings(&config, None).iter().any(|warning| warning.contains("--insecure")));
        config.http.host = "0.0.0.0".into();
        assert!(warnings(&config, None).iter().any(|warning| warning.contains("--insecure")));
        assert!(warnings(&config, Some(0)).iter().any(|warning| warning.contains("nobody is let in")));
    }

    #[test]
    fn too_few_open_files_are_warned_of() {
        let mut config = Config::default();
        assert_eq!(few_files(&config, 1024 + 4096), None);
        let warning = few_files(&config, 1024 + 4095).unwrap();
        assert!(warning.contains("5119 files") && warning.contains("5120 or more"), "{warning}");
        config.http.max_connections = 10_000;
        assert!(few_files(&config, 10_000).is_some());
    }

    #[test]
    fn links_that_nobody_could_follow_are_warned_of() {
        let warned = |config: &Config| warnings(config, None).iter().any(|warning| warning.contains("PUBLIC_URL"));
        let mut config = Config::default();
        assert!(!warned(&config));
        config.http.host = "0.0.0.0".into();
        assert!(warned(&config));
        config.http.public_url = Some("https://mesh.example".into());
        assert!(!warned(&config));
    }
}
