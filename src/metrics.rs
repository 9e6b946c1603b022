//! What the service counts and measures, for Prometheus: every metric in one struct, every name in one function.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::mesh::Stage;
use crate::store::Queue;

/// Upper bounds of time buckets, s: a stage of a small sprite takes tenths of a millisecond, a slow source half a minute.
const SECONDS: [f64; 16] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0];

/// A gauge of seconds.
type Seconds = Gauge<f64, AtomicU64>;

/// Which requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    /// The method, from a closed set.
    method: &'static str,
    /// The route as written in the table of routes, never the path that was asked for.
    route: String,
    /// HTTP status.
    status: u16,
}

/// Which route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    /// The route as written in the table of routes.
    route: String,
}

/// Which refusal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCode {
    /// From the registry of codes.
    code: &'static str,
}

/// Which of a few words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    /// From a closed set.
    outcome: &'static str,
}

/// Which stage of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStage {
    /// In lower case, as in the list of stages.
    stage: &'static str,
}

/// What a process does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRole {
    /// From a closed set.
    role: &'static str,
}

/// Every role.
const ROLES: [&str; 3] = ["all", "api", "worker"];

/// Every metric. Cheap to count from any thread.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    request_seconds: Family<Route, Histogram>,
    errors: Family<OfCode, Counter>,
    rejections: Family<Outcome, Counter>,
    connections: Gauge,
    jobs_submitted: Family<Outcome, Counter>,
    jobs_finished: Family<Outcome, Counter>,
    job_seconds: Family<Outcome, Histogram>,
    stage_seconds: Family<OfStage, Histogram>,
    queue_jobs: Gauge,
    queue_oldest_seconds: Seconds,
    jobs_running: Gauge,
    deliveries_waiting: Gauge,
    nodes: Family<OfRole, Gauge>,
    deliveries: Family<Outcome, Counter>,
    worker_deaths: Counter,
    jobs_poisoned: Counter,
    stale_writes: Counter,
    cache: Family<Outcome, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let mut metrics = Self {
            registry: Registry::with_prefix("spinelift"),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            errors: Family::default(),
            rejections: Family::default(),
            connections: Gauge::default(),
            jobs_submitted: Family::default(),
            jobs_finished: Family::default(),
            job_seconds: Family::new_with_constructor(seconds),
            stage_seconds: Family::new_with_constructor(seconds),
            queue_jobs: Gauge::default(),
            queue_oldest_seconds: Seconds::default(),
            jobs_running: Gauge::default(),
            deliveries_waiting: Gauge::default(),
            nodes: Family::default(),
            deliveries: Family::default(),
            worker_deaths: Counter::default(),
            jobs_poisoned: Counter::default(),
            stale_writes: Counter::default(),
            cache: Family::default(),
        };
        metrics.register();
        metrics.begin_at_zero();
        metrics
    }
}

/// The help text of a figure that every node reads from the one database.
macro_rules! of_fleet {
    ($what:literal) => {
        concat!($what, ", in the database that all nodes share: every node says the same, so take max and never sum")
    };
}

impl Metrics {
    /// The names, one line each. Counters end in `_total` and times in `_seconds` on the wire. What a node counts itself
    /// may be summed over nodes; what it reads from the database they share may not.
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("http_requests", "Requests that this node answered", self.requests.clone());
        r.register_with_unit(
            "http_request",
            "Time until this node answered",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        r.register("errors", "Requests that this node refused, by code", self.errors.clone());
        r.register("rejections", "Requests that this node refused because of load", self.rejections.clone());
        r.register("connections", "Open connections of this node", self.connections.clone());
        r.register("jobs_submitted", "Submissions to this node by what became of them", self.jobs_submitted.clone());
        r.register("jobs_finished", "Attempts of this node by how they ended", self.jobs_finished.clone());
        r.register_with_unit("job", "Time of one attempt of this node", Unit::Seconds, self.job_seconds.clone());
        r.register_with_unit(
            "stage",
            "Time of one stage of this node's engine",
            Unit::Seconds,
            self.stage_seconds.clone(),
        );
        r.register("queue_jobs", of_fleet!("Jobs waiting"), self.queue_jobs.clone());
        let help = of_fleet!("Wait of the oldest job that could start");
        r.register_with_unit("queue_oldest", help, Unit::Seconds, self.queue_oldest_seconds.clone());
        r.register("jobs_running", of_fleet!("Jobs being done"), self.jobs_running.clone());
        r.register("deliveries_waiting", of_fleet!("Callbacks not yet delivered"), self.deliveries_waiting.clone());
        r.register("nodes", of_fleet!("Processes seen within 30 s, by role"), self.nodes.clone());
        r.register("deliveries", "Attempts of this node to deliver a callback", self.deliveries.clone());
        r.register("worker_deaths", "Jobs that this node took back from dead workers", self.worker_deaths.clone());
        r.register("jobs_poisoned", "Jobs that this node gave up after too many deaths", self.jobs_poisoned.clone());
        r.register("stale_writes", "Writes of this node refused by their fencing token", self.stale_writes.clone());
        r.register("cache", "Lookups of equal requests by this node", self.cache.clone());
    }

    /// A counter that first appears at 1 shows no increase from 0, so that an alert would miss what happens once.
    fn begin_at_zero(&self) {
        for (family, outcomes) in [
            (
                &self.rejections,
                &["queue_full", "busy", "draining", "connections", "uploads", "listeners", "rate_limit", "failed_keys"]
                    [..],
            ),
            (&self.jobs_submitted, &["created", "existing", "restarted", "replayed", "conflict", "queue_full"]),
            (&self.jobs_finished, &["completed", "failed", "cancelled", "retried", "released", "lost"]),
            (&self.deliveries, &["delivered", "retried", "given_up"]),
            (&self.cache, &["hit", "miss"]),
        ] {
            for outcome in outcomes {
                drop(family.get_or_create(&Outcome { outcome }));
            }
        }
        for code in ["INTERNAL", "REQUEST_TIMEOUT", "STORAGE_UNAVAILABLE"] {
            drop(self.errors.get_or_create(&OfCode { code }));
        }
        self.nodes([].into_iter());
    }

    /// A request was answered.
    pub fn request(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        self.requests.get_or_create(&Request { method, route: route.to_owned(), status }).inc();
        self.request_seconds.get_or_create(&Route { route: route.to_owned() }).observe(took.as_secs_f64());
    }

    /// A request was refused with a code of the registry.
    pub fn error(&self, code: &'static str) {
        self.errors.get_or_create(&OfCode { code }).inc();
    }

    /// A request was refused because of load: `queue_full`, `busy`, `draining`, `connections`, `uploads` or
    /// `listeners`.
    pub fn rejected(&self, outcome: &'static str) {
        self.rejections.get_or_create(&Outcome { outcome }).inc();
    }

    /// A connection was opened.
    pub fn connection_opened(&self) {
        self.connections.inc();
    }

    /// A connection was closed.
    pub fn connection_closed(&self) {
        self.connections.dec();
    }

    /// A job was submitted: `created`, `existing`, `restarted`, `replayed`, `conflict` or `queue_full`.
    pub fn submitted(&self, outcome: &'static str) {
        self.jobs_submitted.get_or_create(&Outcome { outcome }).inc();
    }

    /// An attempt ended: `completed`, `failed`, `cancelled`, `retried`, `released` or `lost`.
    pub fn job_finished(&self, outcome: &'static str, took: Duration) {
        self.jobs_finished.get_or_create(&Outcome { outcome }).inc();
        self.job_seconds.get_or_create(&Outcome { outcome }).observe(took.as_secs_f64());
    }

    /// A stage of the engine ended.
    pub fn stage(&self, stage: Stage, took: Duration) {
        self.stage_seconds.get_or_create(&OfStage { stage: stage_name(stage) }).observe(took.as_secs_f64());
    }

    /// The queue was looked at.
    pub fn queue(&self, queue: &Queue) {
        self.queue_jobs.set(i64::try_from(queue.queued).unwrap_or(i64::MAX));
        self.jobs_running.set(i64::try_from(queue.running).unwrap_or(i64::MAX));
        self.deliveries_waiting.set(i64::try_from(queue.deliveries).unwrap_or(i64::MAX));
        self.queue_oldest_seconds.set(queue.oldest.as_secs_f64());
    }

    /// The processes that live were counted: the role of each.
    pub fn nodes<'a>(&self, roles: impl Iterator<Item = &'a str>) {
        let seen: Vec<&str> = roles.collect();
        for role in ROLES {
            let count = seen.iter().filter(|of| **of == role).count();
            self.nodes.get_or_create(&OfRole { role }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// A callback was tried: `delivered`, `retried` or `given_up`.
    pub fn delivery(&self, outcome: &'static str) {
        self.deliveries.get_or_create(&Outcome { outcome }).inc();
    }

    /// Jobs were taken back from dead workers; some of them for the last time.
    pub fn reaped(&self, requeued: u64, poisoned: u64) {
        self.worker_deaths.inc_by(requeued + poisoned);
        self.jobs_poisoned.inc_by(poisoned);
    }

    /// A write came too late: another worker owned the job.
    pub fn stale_write(&self) {
        self.stale_writes.inc();
    }

    /// An equal request was looked for: `hit` or `miss`.
    pub fn cache(&self, outcome: &'static str) {
        self.cache.get_or_create(&Outcome { outcome }).inc();
    }

    /// All of it in the OpenMetrics text format.
    ///
    /// # Errors
    /// Never in practice: writing to a string cannot fail.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// The stage as a label.
fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Decode => "decode",
        Stage::Mask => "mask",
        Stage::Blur => "blur",
        Stage::Contour => "contour",
        Stage::Simplify => "simplify",
        Stage::Triangulate => "triangulate",
        Stage::Uvs => "uvs",
        Stage::Edges => "edges",
        Stage::Complete => "complete",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_alerts_look_at_begins_at_zero() {
        let text = Metrics::default().encode().unwrap();
        assert!(text.contains("spinelift_deliveries_total{outcome=\"given_up\"} 0\n"), "{text}");
        assert!(text.contains("spinelift_rejections_total{outcome=\"connections\"} 0\n"), "{text}");
    }

    #[test]
    fn what_is_counted_is_written() {
        let metrics = Metrics::default();
        metrics.request("GET", "/health", 200, Duration::from_millis(1));
        metrics.stage(Stage::Decode, Duration::from_micros(300));
        metrics.stale_write();
        let text = metrics.encode().unwrap();
        assert!(text.contains("spinelift_http_requests_total{method=\"GET\",route=\"/health\",status=\"200\"} 1"));
        assert!(text.contains("spinelift_stage_seconds_bucket{le=\"0.0005\",stage=\"decode\"} 1"), "{text}");
        assert!(text.contains("spinelift_stale_writes_total 1"));
    }
}
