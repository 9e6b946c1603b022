//! The dashboard and the alerts name metrics that exist, and every metric is watched by one of them.

#![cfg(feature = "serve")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use spinelift::mesh::Stage;
use spinelift::metrics::Metrics;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Families by name with their type. One with labels is written once it has a sample.
fn families() -> BTreeMap<String, String> {
    let metrics = Metrics::default();
    metrics.request("GET", "/health", 200, Duration::ZERO);
    metrics.job_finished("completed", Duration::ZERO);
    metrics.stage(Stage::Decode, Duration::ZERO);
    let text = metrics.encode().unwrap();
    let registered = read("src/metrics.rs").matches("r.register").count();
    assert_eq!(text.matches("# TYPE ").count(), registered, "a metric has no sample here, so that nobody looks for it");
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split_once(' ').unwrap()).map(|(name, kind)| (name.into(), kind.into())).collect()
}

/// The names of a family's samples.
fn samples(family: &str, kind: &str) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        "counter" => &["_total"],
        "histogram" => &["_bucket", "_count", "_sum"],
        _ => &[""],
    };
    suffixes.iter().map(|suffix| format!("{family}{suffix}")).collect()
}

/// Words of ours in a query.
fn named(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("spinelift_"))
}

/// Every `expr` and `query` text in the dashboard.
fn dashboard_queries(value: &Value, queries: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if name == "expr" || name == "query" => queries.push(text.clone()),
                    _ => dashboard_queries(field, queries),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| dashboard_queries(item, queries)),
        _ => {}
    }
}

fn dashboard() -> Vec<String> {
    let mut queries = Vec::new();
    dashboard_queries(&serde_json::from_str(&read("docs/grafana.json")).unwrap(), &mut queries);
    assert!(queries.len() > 20, "{queries:?}");
    queries
}

fn alerts() -> Vec<String> {
    let text = read("docs/alerts.yml");
    let queries: Vec<String> =
        text.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned).collect();
    assert_eq!(queries.len(), text.matches("- alert: ").count());
    queries
}

#[test]
fn every_metric_that_is_watched_exists() {
    let families = families();
    let known: BTreeSet<String> = families.iter().flat_map(|(family, kind)| samples(family, kind)).collect();
    for query in dashboard().iter().chain(&alerts()) {
        for name in named(query) {
            assert!(known.contains(name), "{name} in {query}; there are {known:?}");
        }
    }
}

#[test]
fn every_metric_that_exists_is_watched() {
    let queries = [dashboard(), alerts()].concat();
    let watched: BTreeSet<&str> = queries.iter().flat_map(|query| named(query)).collect();
    for (family, kind) in families() {
        let watched = samples(&family, &kind).iter().any(|sample| watched.contains(sample.as_str()));
        assert!(watched, "{family} is neither in docs/grafana.json nor in docs/alerts.yml");
    }
}

#[test]
fn quantiles_are_of_buckets_and_rates_of_counters() {
    let families = families();
    for query in dashboard().iter().chain(&alerts()) {
        for name in named(query) {
            let gauge = families.get(name).is_some_and(|kind| kind == "gauge");
            let rated = query.contains(&format!("rate({name}")) || query.contains(&format!("increase({name}"));
            assert!(!(gauge && rated), "{query}: the rate of a gauge");
            // Label values are asked of gauges only.
            assert!(gauge || rated, "{query}: a counter as it stands says how long the process has lived");
        }
        assert_eq!(query.matches("histogram_quantile(").count(), query.matches("_bucket").count(), "{query}");
        assert_eq!(query.matches('(').count(), query.matches(')').count(), "{query}");
        assert_eq!(query.matches('{').count(), query.matches('}').count(), "{query}");
    }
}

/// Families whose help says that they are read from the shared database.
fn of_the_fleet() -> Vec<String> {
    let text = Metrics::default().encode().unwrap();
    let helps = text.lines().filter_map(|line| line.strip_prefix("# HELP "));
    helps.filter(|help| help.contains("never sum")).map(|help| help.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn what_every_node_reads_from_one_database_is_taken_once() {
    let fleet = of_the_fleet();
    assert_eq!(fleet.len(), 5, "{fleet:?}");
    for query in dashboard().iter().chain(&alerts()) {
        // The variables of the dashboard only name it.
        for name in
            fleet.iter().filter(|name| !query.starts_with("label_values") && named(query).any(|one| one == *name))
        {
            let taken = |by: &str| query.matches(&format!("{by}({name}")).count();
            let times = named(query).filter(|one| one == name).count();
            assert_eq!(taken("max") + taken("max by (role) "), times, "{query}: with two nodes it would count twice");
        }
    }
}

#[test]
fn the_help_says_whose_figure_it_is() {
    let text = Metrics::default().encode().unwrap();
    for help in text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        assert!(help.contains("this node") != help.contains("all nodes share"), "{help}");
    }
}

#[test]
fn every_alert_is_explained() {
    let text = read("docs/operations.md");
    let alerts = read("docs/alerts.yml");
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 10);
    for name in &names {
        assert!(text.contains(&format!("| `{name}` |")), "{name} is not in docs/operations.md");
    }
    let explained = text.lines().filter(|line| line.starts_with("| `SpineLift")).count();
    assert_eq!(explained, names.len(), "docs/operations.md explains an alert that is not there");
}
