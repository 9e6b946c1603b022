//! The image, and the nodes of `compose.yaml`: what they name exists, and what they must not do they do not.
//!
//! No container engine is needed here; `deploy/prove.sh` runs the steps themselves.

#![cfg(feature = "serve")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use spinelift::config::{Config, Flags, SETTINGS};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The Dockerfile's instructions by their names, each in one line.
fn instructions() -> Vec<(String, String)> {
    let text = read("Dockerfile");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let split = |line: &str| line.trim().split_once(' ').map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()));
    joined.lines().filter_map(split).collect()
}

fn all(name: &str) -> Vec<String> {
    instructions().into_iter().filter(|(other, _)| other == name).map(|(_, rest)| rest).collect()
}

fn only(name: &str) -> String {
    let mut found = all(name);
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    found.remove(0)
}

/// Names and values of the image's environment.
fn image_environment() -> Vec<(String, String)> {
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
    only("ENV").split_whitespace().map(pair).collect()
}

/// The lines of compose.yaml below the line, as far as they are further in.
fn block(text: &str, opening: &str) -> Vec<String> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines().skip_while(|line| *line != opening);
    let top = depth(lines.next().unwrap_or_else(|| panic!("no line {opening:?}")));
    lines.take_while(|line| depth(line) > top).map(|line| line.trim().to_owned()).collect()
}

/// Names and values of the nodes' environment.
fn node_environment() -> Vec<(String, String)> {
    let lines = block(&read("compose.yaml"), "  environment:");
    let pairs = lines.iter().filter(|line| !line.starts_with('#')).map(|line| line.split_once(": ").unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
}

/// Variables that compose.yaml takes from outside: name, sign, and what follows it.
fn variables() -> Vec<(String, String, String)> {
    let text = read("compose.yaml");
    let inner = text.split("${").skip(1).map(|rest| rest.split('}').next().unwrap().to_owned());
    let parts = |inner: String| {
        let end = inner.find(':').unwrap_or(inner.len());
        let (name, rest) = inner.split_at(end);
        let (sign, rest) = rest.split_at(rest.len().min(2));
        (name.to_owned(), sign.to_owned(), rest.to_owned())
    };
    inner.map(parts).collect()
}

#[test]
fn what_is_copied_is_there_and_reaches_the_engine() {
    let ignored = read(".dockerignore");
    let kept: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignored.lines().any(|line| line == "*"), "everything is let through, secrets too");
    let mut copied = BTreeSet::new();
    for copy in all("COPY").iter().filter(|copy| !copy.starts_with("--from=")) {
        let mut paths: Vec<&str> = copy.split_whitespace().collect();
        paths.pop().unwrap();
        copied.extend(paths.into_iter().map(str::to_owned));
    }
    for path in &copied {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(), "COPY {path}: it is not there");
        assert!(kept.contains(&path.as_str()), "COPY {path}: .dockerignore keeps it back");
    }
    assert_eq!(kept.len(), copied.len(), "what is let through is copied");
}

#[test]
fn the_image_builds_with_a_compiler_that_is_new_enough() {
    let version = |text: &str| -> (u32, u32) {
        let mut parts = text.split(['.', '-']).map(|part| part.parse().unwrap());
        (parts.next().unwrap(), parts.next().unwrap())
    };
    let manifest = read("Cargo.toml");
    let needed = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    let from = all("FROM");
    let tag = from[0].strip_prefix("rust:").unwrap().split(['-', ' ']).next().unwrap();
    assert!(version(tag) >= version(needed), "rust {tag}, and Cargo.toml needs {needed}");
    // The C library that the binary is linked with is the one that it finds.
    assert!(from[0].contains("bookworm") && from[1].contains("debian12"), "{from:?}");
}

#[test]
fn dependencies_are_built_before_any_source_and_for_every_target() {
    let steps = instructions();
    let at = |found: &dyn Fn(&str, &str) -> bool| steps.iter().position(|(name, rest)| found(name, rest)).unwrap();
    let dependencies = at(&|name, rest| name == "RUN" && rest.contains("cargo build"));
    let sources = at(&|name, rest| name == "COPY" && rest.starts_with("src"));
    assert!(dependencies < sources);
    assert!(steps.iter().filter(|(name, _)| name == "RUN").all(|(_, rest)| rest.contains("--locked")));
    // Cargo refuses a manifest whose targets have no file.
    for bench in read("Cargo.toml").split("[[bench]]").skip(1) {
        let value =
            |key: &str| bench.lines().find_map(|line| line.strip_prefix(key)).map(|text| text.trim_matches('"'));
        let name = value("name = ").unwrap();
        let path = value("path = ").map_or_else(|| format!("benches/{name}.rs"), str::to_owned);
        assert!(steps[dependencies].1.contains(&path), "the Dockerfile makes no empty {path}");
    }
}

#[test]
fn the_image_says_what_it_is() {
    let (user, group) = only("USER").split_once(':').map(|(u, g)| (u.parse::<u32>(), g.parse::<u32>())).unwrap();
    assert!(user.unwrap() > 0 && group.unwrap() > 0, "root");
    assert_eq!((only("ENTRYPOINT").as_str(), only("CMD").as_str()), ("[\"spinelift\"]", "[\"serve\"]"));
    assert_eq!(only("STOPSIGNAL"), "SIGTERM");
    assert!(only("HEALTHCHECK").ends_with("CMD [\"spinelift\", \"health\"]"));
    let label = format!("org.opencontainers.image.version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(only("LABEL").contains(&label), "{label}");
    let environment = image_environment();
    let config = Config::from_vars(environment.iter().cloned(), &Flags::default()).unwrap();
    assert_eq!((config.http.host.as_str(), config.http.port.to_string()), ("0.0.0.0", only("EXPOSE")));
    let data = only("VOLUME");
    assert!(config.storage.path.starts_with(&data));
    assert!(environment.iter().any(|(_, value)| *value == format!("sqlite:{data}/spinelift.db")), "{environment:?}");
}

#[test]
fn images_are_pinned() {
    let compose = read("compose.yaml");
    let of_compose = compose.lines().filter_map(|line| line.trim().strip_prefix("image: ").map(str::to_owned));
    let images: Vec<String> = all("FROM").into_iter().chain(of_compose).collect();
    assert!(images.len() >= 7, "{images:?}");
    for image in images {
        let name = image.split(' ').next().unwrap();
        let (repository, tag) = name.split_once(':').unwrap_or((name, ""));
        // Distroless has the system's version in the name, and no other.
        let version = if repository.contains("distroless") { repository } else { tag };
        assert!(version.contains(|c: char| c.is_ascii_digit()) && !tag.contains("latest"), "{image}");
    }
    let own = format!("image: spinelift:${{SPINELIFT_VERSION:-{}}}", env!("CARGO_PKG_VERSION"));
    assert!(compose.contains(&own), "{own}");
}

#[test]
fn nodes_and_image_name_settings_that_there_are() {
    let nodes = node_environment();
    assert!(nodes.len() > 10, "{nodes:?}");
    for (name, _) in nodes.iter().chain(&image_environment()) {
        let known = SETTINGS.iter().any(|setting| setting.name == name);
        assert!(known, "{name} is no setting");
    }
    for setting in SETTINGS.iter().filter(|setting| setting.secret) {
        if let Some((name, value)) = nodes.iter().find(|(name, _)| name == setting.name) {
            // What is left without the variables, in pieces: none is as long as a secret must be.
            let literal: String =
                value.split("${").map(|part| part.split_once('}').map_or(part, |(_, rest)| rest)).collect();
            let mut words = literal.split(|c: char| !c.is_ascii_alphanumeric());
            assert!(value.contains(":?") && words.all(|word| word.len() < 16), "{name} has a secret in the file");
        }
    }
}

#[test]
fn secrets_come_from_outside_and_the_document_makes_them() {
    let document = read("docs/deployment.md");
    let made = document.split("cat > .env <<END").nth(1).unwrap().split("\nEND").next().unwrap();
    let variables = variables();
    assert!(variables.len() > 10, "{variables:?}");
    for (name, sign, rest) in variables {
        let is_secret = ["KEY", "SECRET", "PASSWORD"].iter().any(|word| name.contains(word));
        match sign.as_str() {
            ":?" => {
                assert!(rest.contains("docs/deployment.md"), "${name}: whoever forgets it is not told what to do");
                assert!(made.contains(&format!("\n{name}=")), "docs/deployment.md makes no {name}");
            }
            ":-" => assert!(!is_secret, "{name} has a default"),
            other => panic!("${name} is empty without a word where it is not set: {other:?}"),
        }
        assert!(document.contains(&format!("`{name}`")), "docs/deployment.md does not tell of {name}");
    }
    // Prometheus has its key from the same place.
    let by_name = read("compose.yaml").lines().filter(|line| line.trim() == "environment: METRICS_KEY").count();
    assert_eq!(by_name, 1);
}

#[test]
fn a_stop_is_granted_more_than_a_drain_takes() {
    let nodes = node_environment();
    let drain: u64 = nodes.iter().find(|(name, _)| name == "DRAIN_TIMEOUT").unwrap().1.parse().unwrap();
    let node = block(&read("compose.yaml"), "x-node: &node");
    let grace = node.iter().find_map(|line| line.strip_prefix("stop_grace_period: ")).unwrap();
    let grace: u64 = grace.strip_suffix('s').unwrap().parse().unwrap();
    assert!(grace >= drain + 10, "{grace} s, and a drain takes {drain} s");
}

#[test]
fn files_that_are_mounted_are_there_and_agree() {
    let compose = read("compose.yaml");
    let mounted = compose.split("./").skip(1).map(|rest| rest.split(':').next().unwrap());
    let mounted: Vec<&str> = mounted.filter(|path| path.contains('.')).collect();
    assert_eq!(mounted, ["deploy/haproxy.cfg", "deploy/prometheus.yml", "docs/alerts.yml"]);
    let nodes = node_environment();
    let value = |name: &str| nodes.iter().find(|(other, _)| other == name).unwrap().1.clone();
    let balancer = read("deploy/haproxy.cfg");
    assert!(balancer.contains(&format!("path_beg /{}/", value("S3_BUCKET"))), "links to results lead nowhere");
    assert!(balancer.contains("api:8000") && read("deploy/prometheus.yml").contains("names: [api, worker]"));
    for alias in ["aliases: [api]", "aliases: [worker]"] {
        assert!(compose.contains(alias), "{alias}");
    }
    assert_eq!(compose.matches("ports: [\"${").count(), 1, "one port is published");
    assert!(compose.contains(&format!("http://s3:7070/{}", value("S3_BUCKET"))), "another bucket is made");
}
