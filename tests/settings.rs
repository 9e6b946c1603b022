//! Settings: each row of the table is read, every mistake is told at once, and the documents say what the table says.

#![cfg(feature = "serve")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use spinelift::config::{
    BucketOptions, Config, CorsOrigins, Credentials, DatabaseKind, Durability, Flags, Links, LogFormat, Mistakes, Role,
    SETTINGS, StorageBackend, Takes, example_env, settings_table,
};

const KEY: &str = "0123456789abcdef";
const WEBHOOK: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn read_with(flags: &Flags, vars: &[(&str, &str)]) -> Result<Config, Mistakes> {
    Config::from_vars(vars.iter().map(|(name, value)| ((*name).into(), (*value).into())), flags)
}

fn read(vars: &[(&str, &str)]) -> Result<Config, Mistakes> {
    read_with(&Flags::default(), vars)
}

/// The one problem with a value.
#[track_caller]
fn problem(name: &str, value: &str) -> String {
    let mistakes = read(&[(name, value)]).unwrap_err().0;
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert_eq!(mistakes[0].name, name);
    mistakes[0].problem.clone()
}

/// A bucket, as little of it as can be.
const BUCKET: [(&str, &str); 4] =
    [("STORAGE_BACKEND", "s3"), ("S3_BUCKET", "meshes"), ("S3_ACCESS_KEY_ID", "key"), ("S3_SECRET_ACCESS_KEY", KEY)];

#[test]
fn without_settings_all_are_at_their_defaults() {
    assert_eq!(read(&[]).unwrap(), Config::default());
}

#[test]
fn the_defaults_of_the_table_are_those_of_the_struct() {
    let vars: Vec<_> = SETTINGS.iter().map(|setting| (setting.name, setting.default)).collect();
    assert_eq!(read(&vars).unwrap(), Config::default());
}

#[test]
fn every_setting_changes_something_or_is_refused_by_name() {
    for setting in SETTINGS {
        let value = match setting.takes {
            Takes::Whole { min, .. } => min.to_string(),
            Takes::Flag(_) => (setting.default != "true").to_string(),
            Takes::Word { words, .. } => words.iter().find(|word| **word != setting.default).unwrap().to_string(),
            _ => match setting.name {
                "SERVICE_NAME" => "other".into(),
                "HOST" => "127.0.0.2".into(),
                "PUBLIC_URL" => "https://mesh.example.com".into(),
                "API_PREFIX" => "/mesh".into(),
                "API_KEYS" => format!("app:{KEY}"),
                "CORS_ORIGINS" => "https://app.example".into(),
                "CALLBACK_SECRETS" => WEBHOOK.into(),
                "ALLOWED_HOSTS" => "images.internal".into(),
                "ALLOWED_NETWORKS" => "10.1.0.0/16".into(),
                "DNS_SERVERS" => "10.1.0.53".into(),
                "DATABASE_URL" => "sqlite:other.db".into(),
                "STORAGE_PATH" => "other".into(),
                "REDIS_URL" => "redis://cache".into(),
                "S3_BUCKET" => "other".into(),
                "S3_REGION" => "eu-central-1".into(),
                "S3_ENDPOINT" | "S3_PUBLIC_ENDPOINT" => "https://s3.example.com".into(),
                "S3_PREFIX" => "spinelift/live".into(),
                "S3_ACCESS_KEY_ID" | "S3_SECRET_ACCESS_KEY" => "other-key".into(),
                other => panic!("no value to try for {other}"),
            },
        };
        // CPU_THREADS and the like have their least value as default.
        let value = if value == setting.default { "1".into() } else { value };
        // Those of a bucket say something only where there is one.
        let of_bucket = setting.part == "Bucket" || setting.name == "STORAGE_BACKEND";
        let around: &[(&str, &str)] = if of_bucket { &BUCKET } else { &[] };
        let expected = if setting.name == "STORAGE_BACKEND" { Config::default() } else { read(around).unwrap() };
        let vars: Vec<_> = [(setting.name, value.as_str())].into_iter().chain(around.iter().copied()).collect();
        assert_ne!(read(&vars).unwrap(), expected, "{} = {value}", setting.name);
    }
}

#[test]
fn values_arrive_where_they_belong() {
    let config = read(&[
        ("SERVICE_NAME", "mesh-2"),
        ("DEBUG", "yes"),
        ("LOG_FORMAT", "json"),
        ("CPU_THREADS", "3"),
        ("HOST", "[::1]"),
        ("PORT", "0"),
        ("PUBLIC_URL", "https://mesh.example.com/lift/"),
        ("API_PREFIX", "/v2"),
        ("MAX_REQUEST_SIZE", "2048"),
        ("REQUEST_TIMEOUT", "7"),
        ("MAX_CONNECTIONS", "9"),
        ("DRAIN_TIMEOUT", "0"),
        ("MAX_IMAGE_DIMENSION", "512"),
        ("MAX_IMAGE_BYTES", "4096"),
        ("MAX_TRIANGLES", "1000"),
        ("MEMORY_LIMIT", "33554432"),
        ("MAX_CONCURRENT_JOBS", "4"),
        ("JOB_TIMEOUT", "60"),
        ("QUEUE_LIMIT", "5"),
        ("MAX_BATCH", "6"),
        ("RESULT_TTL", "61"),
        ("FAILED_TTL", "62"),
        ("DATABASE_URL", "sqlite:///var/lib/spinelift/jobs.db"),
        ("DATABASE_DURABILITY", "process"),
        ("STORAGE_BACKEND", "local"),
        ("RESULT_LINKS", "service"),
        ("STORAGE_PATH", "/var/lib/spinelift/blobs"),
        ("REDIS_URL", "redis://user:password@cache:6379/0"),
    ])
    .unwrap();
    let seconds = Duration::from_secs;
    assert_eq!((config.log.service.as_str(), config.log.format, config.log.debug), ("mesh-2", LogFormat::Json, true));
    assert_eq!((config.http.host.as_str(), config.http.port), ("::1", 0));
    assert_eq!(config.http.public_url.as_deref(), Some("https://mesh.example.com/lift"));
    assert_eq!((config.http.api_prefix.as_str(), config.http.max_request_bytes), ("/v2", 2048));
    assert_eq!((config.http.request_timeout, config.http.drain_timeout), (seconds(7), seconds(0)));
    assert_eq!(config.http.max_connections, 9);
    let images = config.images;
    assert_eq!((images.limits.max_width, images.limits.max_height, images.limits.max_bytes), (512, 512, 4096));
    assert_eq!(images.mesh_limits.max_triangles, 1000);
    let jobs = &config.jobs;
    assert_eq!((jobs.concurrent, jobs.cpu_threads, jobs.max_batch), (4, 3, 6));
    assert_eq!((jobs.queue_limit, jobs.memory_bytes, jobs.timeout), (5, 32 << 20, seconds(60)));
    assert_eq!((jobs.result_ttl, jobs.failed_ttl), (seconds(61), seconds(62)));
    assert_eq!(config.database.kind(), DatabaseKind::File("/var/lib/spinelift/jobs.db".into()));
    assert_eq!(config.database.durability, Durability::Process);
    assert_eq!(config.storage.path, Path::new("/var/lib/spinelift/blobs"));
    assert_eq!(config.unused, ["REDIS_URL"]);
}

#[test]
fn numbers_keep_to_their_range() {
    for setting in SETTINGS {
        if let Takes::Whole { min, max, .. } = setting.takes {
            let most = max.to_string();
            assert!(read(&[(setting.name, &most)]).is_ok(), "{}", setting.name);
            let mut wrong = vec![(max + 1).to_string(), "-1".into(), "1.5".into(), "1k".into(), "many".into()];
            wrong.extend(min.checked_sub(1).map(|below| below.to_string()));
            for value in wrong {
                let problem = problem(setting.name, &value);
                assert!(problem.contains(&value) && problem.contains(&most), "{problem}");
            }
        }
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let mistakes = read(&[
        ("PORT", "70000"),
        ("LOG_FORMAT", "xml"),
        ("DEBUG", "maybe"),
        ("SPINELIFT_JOB_TIMOUT", "5"),
        ("STORAGE_BACKEND", "s4"),
        ("HOST", "everywhere"),
        ("QUEUE_LIMIT", "7"),
    ])
    .unwrap_err();
    let mut names: Vec<&str> = mistakes.0.iter().map(|mistake| mistake.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["DEBUG", "HOST", "LOG_FORMAT", "PORT", "SPINELIFT_JOB_TIMOUT", "STORAGE_BACKEND"]);
    let text = mistakes.to_string();
    assert!(text.starts_with("6 settings are wrong:\n  "), "{text}");
    assert_eq!(text.lines().count(), 7, "{text}");
}

#[test]
fn the_prefix_wins_and_the_first_of_equal_names_too() {
    let config = read(&[
        ("PORT", "1"),
        ("SPINELIFT_PORT", "2"),
        ("SPINELIFT_PORT", "3"),
        ("QUEUE_LIMIT", "4"),
        ("QUEUE_LIMIT", "5"),
    ]);
    let config = config.unwrap();
    assert_eq!((config.http.port, config.jobs.queue_limit), (2, 4));
}

#[test]
fn a_mistake_is_named_as_it_was_written() {
    let mistakes = read(&[("SPINELIFT_PORT", "x"), ("PORT", "1")]).unwrap_err();
    assert_eq!(mistakes.0[0].name, "SPINELIFT_PORT");
}

#[test]
fn an_empty_value_is_none() {
    let config = read(&[("SPINELIFT_PORT", ""), ("PORT", " 9 "), ("PUBLIC_URL", ""), ("QUEUE_LIMIT", "  ")]).unwrap();
    assert_eq!((config.http.port, config.http.public_url, config.jobs.queue_limit), (9, None, 10_000));
}

#[test]
fn an_unknown_name_of_ours_is_answered_with_the_nearest() {
    assert!(problem("SPINELIFT_MAX_IMAGE_DIMENSIONS", "5").contains("SPINELIFT_MAX_IMAGE_DIMENSION?"));
    assert!(problem("SPINELIFT_XYZZY", "5").contains("docs/settings.md"));
}

#[test]
fn names_of_other_programs_are_not_ours() {
    assert_eq!(read(&[("RAILS_ENV", "production"), ("POTR", "1"), ("port", "x")]).unwrap(), Config::default());
}

#[test]
fn a_database_is_a_file_or_a_server() {
    for url in ["postgres://app@db/spinelift", "postgresql://app:p%40ss@[::1]:5433/spinelift?sslmode=verify-full"] {
        let config = read(&[("DATABASE_URL", url), ("DATABASE_POOL", "7")]).unwrap();
        assert_eq!((config.database.kind(), config.database.connections), (DatabaseKind::Server, 7));
    }
    for url in ["postgres:", "postgres://db", "postgres://db/", "postgres://a:p@ss/word@db/x", "postgres://db:x/x"] {
        assert!(problem("DATABASE_URL", url).contains("postgres://USER:PASSWORD@HOST:PORT/NAME"), "{url}");
    }
    let mistakes = read(&[("DATABASE_URL", "postgres://db/x"), ("DATABASE_DURABILITY", "process")]).unwrap_err();
    assert!(mistakes.to_string().contains("synchronous_commit"), "{mistakes}");
}

#[test]
fn a_bucket_is_read_with_its_key() {
    let config = read(
        &[
            &BUCKET[..],
            &[
                ("S3_REGION", "eu-central-1"),
                ("S3_ENDPOINT", "http://minio:9000/"),
                ("S3_PUBLIC_ENDPOINT", "https://S3.Example.com"),
                ("S3_PREFIX", "spinelift/live"),
                ("RESULT_LINKS", "storage"),
            ],
        ]
        .concat(),
    );
    let storage = config.unwrap().storage;
    assert_eq!((storage.backend, storage.links), (StorageBackend::S3, Links::Storage));
    let bucket = storage.bucket;
    assert_eq!((bucket.name.as_str(), bucket.region.as_str()), ("meshes", "eu-central-1"));
    assert_eq!(bucket.endpoint.as_deref(), Some("http://minio:9000"));
    assert_eq!(bucket.public_endpoint.as_deref(), Some("https://s3.example.com"));
    assert_eq!(bucket.prefix, "spinelift/live");
    assert_eq!(bucket.credentials, Credentials::Key { id: "key".into(), secret: KEY.into() });
}

#[test]
fn of_the_environment_of_aws_only_credentials_are_taken() {
    let token = ("AWS_SESSION_TOKEN", "token");
    let given = [
        ("STORAGE_BACKEND", "s3"),
        ("S3_BUCKET", "meshes"),
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("AWS_SECRET_ACCESS_KEY", KEY),
        token,
        ("AWS_ENDPOINT", "http://evil.example"),
        ("AWS_ENDPOINT_URL_S3", "http://evil.example"),
        ("AWS_SKIP_SIGNATURE", "true"),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "mars-north-1"),
        ("AWS_PROXY_URL", "http://evil.example"),
    ];
    let bucket = read(&given).unwrap().storage.bucket;
    let pairs = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", KEY), token];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let expected = BucketOptions {
        name: "meshes".into(),
        credentials: Credentials::Surroundings(pairs),
        ..Config::default().storage.bucket
    };
    assert_eq!(bucket, expected);
    // A key of our own settings leaves them alone, and so does a folder.
    let own = [&given[..], &[("S3_ACCESS_KEY_ID", "key"), ("S3_SECRET_ACCESS_KEY", "secret")]].concat();
    let expected = Credentials::Key { id: "key".into(), secret: "secret".into() };
    assert_eq!(read(&own).unwrap().storage.bucket.credentials, expected);
    assert_eq!(read(&given[2..]).unwrap(), Config::default());
}

#[test]
fn what_a_bucket_lacks_is_told_at_once() {
    let names = |vars: &[(&str, &str)]| {
        let mistakes = read(vars).unwrap_err().0;
        mistakes.into_iter().map(|mistake| mistake.name).collect::<Vec<_>>().join(" ")
    };
    let s3 = ("STORAGE_BACKEND", "s3");
    assert_eq!(names(&[s3]), "S3_BUCKET");
    assert_eq!(
        names(&[s3, ("S3_ACCESS_KEY_ID", "a"), ("S3_ENDPOINT", "minio:9000")]),
        "S3_ENDPOINT S3_BUCKET S3_SECRET_ACCESS_KEY"
    );
    assert_eq!(names(&[s3, ("S3_BUCKET", "b/c"), ("S3_SECRET_ACCESS_KEY", "a")]), "S3_BUCKET S3_ACCESS_KEY_ID");
    assert_eq!(names(&[s3, ("S3_BUCKET", "meshes"), ("AWS_ACCESS_KEY_ID", "a")]), "AWS_SECRET_ACCESS_KEY");
    assert_eq!(names(&[("RESULT_LINKS", "storage")]), "RESULT_LINKS");
    for (name, wrong) in [
        ("S3_BUCKET", "https://meshes.example.com"),
        ("S3_BUCKET", "ab"),
        ("S3_REGION", "eu central"),
        ("S3_PREFIX", "/a"),
        ("S3_PREFIX", "a/"),
        ("S3_PREFIX", "a//b"),
        ("S3_PREFIX", "a/../b"),
    ] {
        assert!(problem(name, wrong).contains(wrong), "{name}={wrong}");
    }
    for wrong in
        ["s3.example.com", "ftp://s3.example.com", "https://me:hunter2@s3.example.com", "https://s3.example.com/bucket"]
    {
        let problem = problem("S3_ENDPOINT", wrong);
        assert!(!problem.contains("hunter2"), "{problem}");
    }
    assert!(!problem("S3_SECRET_ACCESS_KEY", "hunter2 hunter2").contains("hunter2"));
}

/// Whether others may be let in is decided where the keys of the database are known.
#[test]
fn it_is_known_who_can_connect() {
    let open = [("HOST", "0.0.0.0")];
    assert!(!read(&open).unwrap().is_loopback() && !read(&[("HOST", "::")]).unwrap().is_loopback());
    let insecure = Flags { insecure: true, ..Flags::default() };
    assert!(read_with(&insecure, &open).unwrap().access.insecure);
    for loopback in ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"] {
        assert!(read(&[("HOST", loopback)]).unwrap().is_loopback(), "{loopback}");
    }
}

#[test]
fn dev_serves_this_machine_without_keys() {
    let dev = Flags { dev: true, ..Flags::default() };
    assert!(read_with(&dev, &[]).unwrap().dev);
    let keys = format!("app:{KEY}");
    let mistakes = read_with(&dev, &[("HOST", "0.0.0.0"), ("API_KEYS", &keys)]).unwrap_err();
    let names: Vec<&str> = mistakes.0.iter().map(|mistake| mistake.name.as_str()).collect();
    assert_eq!(names, ["HOST", "API_KEYS"]);
    let both = Flags { dev: true, insecure: true, ..Flags::default() };
    assert!(read_with(&both, &[]).is_err());
}

#[test]
fn the_command_line_wins_over_settings() {
    let flags = Flags { role: Role::Worker, host: Some("127.0.0.3".into()), port: Some(7), ..Flags::default() };
    let config = read_with(&flags, &[("SPINELIFT_HOST", "0.0.0.0"), ("PORT", "1"), ("SPINELIFT_PORT", "2")]).unwrap();
    assert_eq!((config.role, config.http.host.as_str(), config.http.port), (Role::Worker, "127.0.0.3", 7));
}

#[test]
fn hosts_are_addresses() {
    for wrong in ["example.com", "127.0.0.1:80", "[::1", "0x7f.1", "http://127.0.0.1"] {
        assert!(problem("HOST", wrong).contains(wrong));
    }
}

#[test]
fn keys_are_read_with_their_names() {
    let value = format!("app:{KEY}, app:other-{KEY} ,rails-2:a:b:{KEY},");
    let config = read(&[("API_KEYS", &value)]).unwrap();
    let keys: Vec<(&str, &str)> =
        config.access.api_keys.iter().map(|key| (key.name.as_str(), key.secret.as_str())).collect();
    let (other, colons) = (format!("other-{KEY}"), format!("a:b:{KEY}"));
    assert_eq!(keys, [("app", KEY), ("app", other.as_str()), ("rails-2", colons.as_str())]);
}

#[test]
fn a_wrong_key_is_told_without_its_secret() {
    for (value, hint) in [
        ("app:tooshortsecret1", "at least 16"),
        ("onlythesecret-onlythesecret", "key 1 is not `name:secret`"),
        (":hidden-hidden-hidden", "name"),
        ("a b:hidden-hidden-hidden", "name"),
        ("app:hidden hidden hidden", "printable ASCII"),
        ("app:hidden-hidden-hidden,web:hidden-hidden-hidden", "same secret"),
    ] {
        let problem = problem("API_KEYS", value);
        assert!(problem.contains(hint), "{problem}");
        for secret in ["tooshortsecret1", "onlythesecret", "hidden"] {
            assert!(!problem.contains(secret), "{problem}");
        }
    }
}

#[test]
fn callback_secrets_are_checked_and_never_shown() {
    let two = format!("{WEBHOOK}, whsec_{}", "QUFB".repeat(20));
    assert_eq!(read(&[("CALLBACK_SECRETS", &two)]).unwrap().access.callback_secrets.len(), 2);
    for (value, hint) in [
        ("C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_"),
        ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7o", "base64"),
        ("whsec_C2FVsBQIhrscChlQIMV+", "24 to 64"),
        (&format!("{WEBHOOK},whsec_{}", "QUFB".repeat(22)), "number 2"),
    ] {
        let problem = problem("CALLBACK_SECRETS", value);
        assert!(problem.contains(hint), "{problem}");
        assert!(!problem.contains("C2FV") && !problem.contains("QUFB"), "{problem}");
    }
}

#[test]
fn secrets_are_absent_from_whatever_is_printed() {
    let keys = format!("app:{KEY}");
    let config =
        read(&[("API_KEYS", &keys), ("CALLBACK_SECRETS", WEBHOOK), ("REDIS_URL", "redis://u:hunter2@r")]).unwrap();
    let text = format!("{config:?}{config:#?}");
    assert!(text.contains("app"), "{text}");
    for secret in [KEY, WEBHOOK, "C2FV", "hunter2"] {
        assert!(!text.contains(secret), "{text}");
    }
    for url in ["mysql://user:hunter2@db/x", "postgres://user:hunter2@db:x/x", "hunter2"] {
        assert!(!problem("DATABASE_URL", url).contains("hunter2"));
    }
    let config = read(&[("DATABASE_URL", "postgres://user:hunter2@db/x")]).unwrap();
    assert!(!format!("{config:?}{config:#?}{}", config.database).contains("hunter2"));
    assert!(!problem("PUBLIC_URL", "https://user:hunter2@example.com").contains("hunter2"));
}

#[test]
fn public_urls_are_plain() {
    for wrong in
        ["mesh.example.com", "ftp://example.com", "https://e.com/?a=b", "https://e.com/#a", "file:///x", "http://"]
    {
        problem("PUBLIC_URL", wrong);
    }
    let config = read(&[("PUBLIC_URL", "HTTP://Mesh.Example.com:8080///")]).unwrap();
    assert_eq!(config.http.public_url.as_deref(), Some("http://mesh.example.com:8080"));
}

#[test]
fn api_prefixes_are_paths_of_our_own() {
    for wrong in ["api", "/", "/api/", "//api", "/a b", "/{id}", "/*x", "/api/../x", "/health", "/docs/v1", "/metrics"]
    {
        problem("API_PREFIX", wrong);
    }
}

#[test]
fn allowed_hosts_are_written_as_urls_write_them() {
    let value = "Images.Internal, cdn.example.com.:8443, 10.0.0.7:9000, [FD00::0001], [::1]:3000, bücher.example";
    let config = read(&[("ALLOWED_HOSTS", value)]).unwrap();
    let expected = [
        "images.internal",
        "cdn.example.com:8443",
        "10.0.0.7:9000",
        "[fd00::1]",
        "[::1]:3000",
        "xn--bcher-kva.example",
    ];
    assert_eq!(config.access.allowed_hosts, HashSet::from(expected.map(str::to_owned)));
    for wrong in [
        "fd00::1",
        "host:0",
        "host:70000",
        "host:",
        "http://host",
        "ho st",
        "[::1",
        "host/path",
        "u@host",
        ":80",
        "*.example.com",
    ] {
        assert!(problem("ALLOWED_HOSTS", wrong).contains(wrong), "{wrong}");
    }
}

#[test]
fn origins_are_written_as_browsers_write_them() {
    let origins = |value: &str| read(&[("CORS_ORIGINS", value)]).unwrap().access.cors_origins;
    let list =
        origins("https://App.Example/, http://localhost:3000, https://app.example:443 ,https://bücher.example:8443");
    let expected =
        ["https://app.example", "http://localhost:3000", "https://app.example", "https://xn--bcher-kva.example:8443"];
    assert_eq!(list, CorsOrigins::These(expected.map(str::to_owned).to_vec()));
    assert!(list.allow("http://localhost:3000") && !list.allow("http://localhost:3001") && !list.allow("null"));
    assert!(!list.allow("https://app.example.evil.example") && !list.allow(""));
    assert_eq!((origins("*"), origins("")), (CorsOrigins::Any, CorsOrigins::Off));
    for wrong in [
        "app.example",
        "null",
        "https://*.example",
        "https://app.example/path",
        "https://u@app.example",
        "https://app.example?a",
        "https://app.example#a",
        "ftp://app.example",
        "file:///x",
        "*,https://app.example",
        "https://",
    ] {
        assert!(!problem("CORS_ORIGINS", wrong).is_empty(), "{wrong}");
    }
}

#[test]
fn networks_begin_where_they_say() {
    let value = "10.1.0.0/16, 192.0.2.7, fd00::/8, ::1";
    let config = read(&[("ALLOWED_NETWORKS", value)]).unwrap();
    let read: Vec<String> = config.access.allowed_networks.iter().map(ToString::to_string).collect();
    assert_eq!(read, ["10.1.0.0/16", "192.0.2.7/32", "fd00::/8", "::1/128"]);
    for wrong in ["10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "::/129", "example.com", "10.1"] {
        assert!(problem("ALLOWED_NETWORKS", wrong).contains(wrong), "{wrong}");
    }
    for (slip, meant) in [("10.1.2.3/16", "10.1.0.0/16"), ("fd00::1/8", "fd00::/8")] {
        assert!(problem("ALLOWED_NETWORKS", slip).contains(meant), "{slip}");
    }
}

#[test]
fn name_servers_have_port_53_unless_they_say_otherwise() {
    let config = read(&[("DNS_SERVERS", "10.0.0.2, 10.0.0.3:5353, fd00::2, [fd00::3]:54")]).unwrap();
    let read: Vec<String> = config.access.dns_servers.iter().map(ToString::to_string).collect();
    assert_eq!(read, ["10.0.0.2:53", "10.0.0.3:5353", "[fd00::2]:53", "[fd00::3]:54"]);
    for wrong in ["dns.example", "10.0.0.2:", "10.0.0.2:70000", "10.0.0"] {
        assert!(problem("DNS_SERVERS", wrong).contains(wrong), "{wrong}");
    }
}

fn document(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// With BLESS=1 in the environment the documents are written anew, and the test fails all the same, so that no check
/// passes while it writes.
#[track_caller]
fn same_as_made(path: &str, written: &str, made: &str) {
    if written != made && std::env::var_os("BLESS").is_some() {
        let whole = document(path).replace(written, made);
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(path), whole).unwrap();
    }
    assert!(written == made, "{path} is not what the table of settings makes; run this test with BLESS=1");
}

#[test]
fn the_example_is_what_the_table_makes() {
    same_as_made("config.example.env", &document("config.example.env"), &example_env());
}

#[test]
fn the_example_reads_as_the_defaults() {
    let active = example_env()
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.starts_with(' '))
        .fold(String::new(), |text, line| text + line + "\n");
    let vars = dotenvy::from_read_iter(active.as_bytes()).map(Result::unwrap);
    assert_eq!(Config::from_vars(vars, &Flags::default()).unwrap(), Config::default());
    assert_eq!(active.lines().filter(|line| line.contains('=')).count(), SETTINGS.len());
}

#[test]
fn the_documented_table_is_what_the_table_makes() {
    let text = document("docs/settings.md");
    let (_, rest) = text.split_once("<!-- settings -->\n").unwrap();
    let (table, _) = rest.split_once("<!-- /settings -->").unwrap();
    same_as_made("docs/settings.md", table, &settings_table());
}
