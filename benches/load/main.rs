//! The service under load, beside the one to beat: `cargo bench --bench load -- --reference FOLDER`.
//!
//! FOLDER holds `fastapi_service.py`; without it only ours runs. `--seconds N` is the time of each step (8),
//! `--parts preview,overload` runs those alone, `--soak MINUTES` adds a soak at half the peak. Everything runs on this machine and shares its cores with the load.
//!
//! Prints one table a part: `preview` at its peak and at rising rates on both services, accepted jobs a second, jobs from
//! submission to result, ten times the load, good requests beside slow callers, the soak.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench reports on standard output and ends at a fault")]

mod client;
mod drive;
mod service;
mod slow;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use client::{Connection, request};
use drive::{Requests, Sample, closed, open};
use service::Service;

/// Connections of the closed form, as many as a busy page of sliders.
const CONNECTIONS: usize = 8;

/// Submitters of the enqueue part; group commit lives from there being several.
const SUBMITTERS: usize = 64;

/// Callers that are slow: twice as many as there are places.
const SLOW_CALLERS: usize = 2000;

/// The two pictures, by path from the package: a real sprite, and what `benches/images.py` calls a photograph.
const PICTURES: [(&str, &str); 2] =
    [("sprite 512", "testdata/corpus/limbs-octopus-512.png"), ("photo-like 512", "testdata/load/photo-512.png")];

/// Ten times as much of these is still little for the wire, so that what is measured is the service: a small file whose
/// mesh has twenty thousand triangles.
const HEAVY: &str = "/api/v1/mesh/preview?internal_vertex_density=20&detail_factor=0.05";

struct Options {
    reference: Option<PathBuf>,
    step: Duration,
    soak: Duration,
    /// Of preview, enqueue, round-trip, overload, slow; all if empty. The soak is asked for by its minutes.
    parts: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let options = options();
    let asked = |part: &str| options.parts.is_empty() || options.parts.iter().any(|asked| asked == part);
    if asked("preview") {
        for (name, path) in PICTURES {
            preview(name, &std::fs::read(path).expect("the picture is there"), &options).await;
        }
    }
    if asked("enqueue") {
        enqueue(&options).await;
    }
    if asked("round-trip") {
        round_trip(&options).await;
    }
    if asked("overload") {
        overload(&options).await;
    }
    if asked("slow") {
        slow(&options).await;
    }
    if options.soak > Duration::ZERO {
        soak(&options).await;
    }
}

fn options() -> Options {
    let mut options =
        Options { reference: None, step: Duration::from_secs(8), soak: Duration::ZERO, parts: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("an option has a value");
        match argument.as_str() {
            "--reference" => options.reference = Some(value().into()),
            "--seconds" => options.step = Duration::from_secs(value().parse().expect("seconds")),
            "--parts" => options.parts = value().split(',').map(str::to_owned).collect(),
            "--soak" => options.soak = Duration::from_secs(60 * value().parse::<u64>().expect("minutes")),
            // cargo adds `--bench`
            _ => {}
        }
    }
    options
}

fn same(request: Vec<u8>) -> Requests {
    let request = Rc::new(request);
    Rc::new(move |_| Rc::clone(&request))
}

fn heading(title: &str) {
    println!("\n## {title}\n");
    println!("| service | load | answered/s | p50 ms | p99 ms | max ms | refused/s | failed | memory MiB |");
    println!("|---|---|---|---|---|---|---|---|---|");
}

fn row(service: &str, load: &str, sample: &Sample, memory_mib: f64) {
    let of = |share| Sample::percentile(&sample.good, share);
    println!(
        "| {service} | {load} | {:.0} | {:.2} | {:.2} | {:.1} | {:.0} | {} | {memory_mib:.0} |",
        sample.throughput(),
        of(0.5),
        of(0.99),
        of(1.0),
        sample.refused.len() as f64 / sample.seconds,
        sample.failed,
    );
}

/// `preview` at its peak on both services in turn, twice, then at rising rates on ours.
async fn preview(name: &str, picture: &[u8], options: &Options) {
    heading(&format!("preview, {name} px, {} bytes", picture.len()));
    let ours = Service::spinelift("all");
    let theirs = options.reference.as_deref().map(Service::fastapi);
    let our_requests = same(request("POST", "/api/v1/mesh/preview", "image/png", picture));
    let their_requests = same(request("POST", "/preview", "image/png", picture));
    let load = format!("{CONNECTIONS} connections");
    let mut peaks = (0.0_f64, 0.0_f64);
    for _ in 0..2 {
        let sample = closed(ours.address, Rc::clone(&our_requests), CONNECTIONS, options.step).await;
        row("SpineLift", &load, &sample, ours.memory_mib());
        let our_peak = sample.throughput();
        let our_p99 = Sample::percentile(&sample.good, 0.99);
        peaks.0 = peaks.0.max(our_peak);
        if let Some(theirs) = &theirs {
            let sample = closed(theirs.address, Rc::clone(&their_requests), CONNECTIONS, options.step).await;
            row("FastAPI", &load, &sample, theirs.memory_mib());
            peaks.1 = peaks.1.max(sample.throughput());
            let ratio = our_peak / sample.throughput();
            println!(
                "| ratio | | {ratio:.1} | p99 of ours / p50 of theirs: {:.2} | | | | | |",
                our_p99 / Sample::percentile(&sample.good, 0.5)
            );
        }
    }
    for share in [0.25, 0.5, 0.75, 0.9, 1.2] {
        let rate = peaks.0 * share;
        let sample = open(ours.address, Rc::clone(&our_requests), rate, options.step).await;
        row("SpineLift", &format!("{rate:.0}/s"), &sample, ours.memory_mib());
    }
    if let Some(theirs) = &theirs {
        for share in [0.5, 0.9] {
            let rate = peaks.1 * share;
            let sample = open(theirs.address, Rc::clone(&their_requests), rate, options.step).await;
            row("FastAPI", &format!("{rate:.0}/s"), &sample, theirs.memory_mib());
        }
    }
}

/// Jobs accepted, every one of them committed to the disk, with nobody doing them.
async fn enqueue(options: &Options) {
    heading("generate, accepted and durable, no worker");
    let ours = Service::spinelift("api");
    let body = br#"{"image_url":"http://127.0.0.1:1/sprite.png","callback_url":"http://127.0.0.1:1/callback"}"#;
    let requests = same(request("POST", "/api/v1/mesh/generate", "application/json", body));
    for submitters in [1, 8, SUBMITTERS, 4 * SUBMITTERS] {
        let sample = closed(ours.address, Rc::clone(&requests), submitters, options.step).await;
        row("SpineLift", &format!("{submitters} submitters"), &sample, ours.memory_mib());
    }
}

/// Uploads that wait for their result: every job is stored, done, and answered.
async fn round_trip(options: &Options) {
    heading("generate, from upload to result (Prefer: wait)");
    let ours = Service::spinelift("all");
    for (series, connections) in [(0, 1), (1, 8), (2, 32)] {
        let sample = closed(ours.address, uploads(series), connections, options.step).await;
        row("SpineLift", &format!("{connections} connections"), &sample, ours.memory_mib());
    }
}

/// The sprite with another parameter each time, as an equal request would be answered from the cache. Each series begins
/// elsewhere, so that they do not repeat each other.
fn uploads(series: u64) -> Requests {
    let picture = std::fs::read(PICTURES[0].1).expect("the picture is there");
    Rc::new(move |number| {
        let detail = 0.001 + ((series * 7_919 + number) % 48_000) as f64 * 1e-6;
        let part = |head: &str, body: &[u8]| [b"--b\r\n", head.as_bytes(), b"\r\n\r\n", body, b"\r\n"].concat();
        let file = "content-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\ncontent-type: image/png";
        let parameters = format!("{{\"detail_factor\":{detail}}}");
        let body = [
            part("content-disposition: form-data; name=\"parameters\"", parameters.as_bytes()),
            part(file, &picture),
            b"--b--\r\n".to_vec(),
        ]
        .concat();
        let media_type = "multipart/form-data; boundary=b\r\nprefer: wait=30";
        Rc::new(request("POST", "/api/v1/mesh/generate", media_type, &body))
    })
}

/// Ten times what it can do, while somebody asks after its health.
async fn overload(options: &Options) {
    heading("preview at ten times the load");
    let ours = Service::spinelift("all");
    let picture = std::fs::read(PICTURES[0].1).expect("the picture is there");
    let requests = same(request("POST", HEAVY, "image/png", &picture));
    let peak = closed(ours.address, Rc::clone(&requests), CONNECTIONS, options.step).await;
    row("SpineLift", "peak", &peak, ours.memory_mib());
    let rate = peak.throughput() * 10.0;
    let health = health(ours.address, options.step);
    let (sample, health) = tokio::join!(open(ours.address, requests, rate, options.step), health);
    row("SpineLift", &format!("{rate:.0}/s"), &sample, ours.memory_mib());
    let refused = |share| Sample::percentile(&sample.refused, share);
    println!(
        "\nrefusals: {} of {}, without Retry-After {}; from due to refused p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        sample.refused.len(),
        sample.refused.len() + sample.good.len(),
        sample.without_retry_after,
        refused(0.5),
        refused(0.99),
        refused(1.0),
    );
    println!(
        "health meanwhile: {} answers, p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        health.len(),
        Sample::percentile(&health, 0.5),
        Sample::percentile(&health, 0.99),
        Sample::percentile(&health, 1.0),
    );
}

/// Previews before and while two thousand callers hold on to what connections they get.
async fn slow(options: &Options) {
    heading("preview beside slow callers, default limits");
    let ours = Service::spinelift("all");
    let picture = std::fs::read(PICTURES[0].1).expect("the picture is there");
    let preview = same(request("POST", "/api/v1/mesh/preview", "image/png", &picture));
    let rate = closed(ours.address, Rc::clone(&preview), CONNECTIONS, options.step).await.throughput() / 4.0;
    let before = open(ours.address, Rc::clone(&preview), rate, options.step).await;
    row("SpineLift", &format!("{rate:.0}/s alone"), &before, ours.memory_mib());
    let callers = slow::Callers::start(ours.address, SLOW_CALLERS);
    // Until every place is taken and the slow ones can be told.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let meanwhile = open(ours.address, preview, rate, options.step).await;
    row("SpineLift", &format!("{rate:.0}/s beside {SLOW_CALLERS}"), &meanwhile, ours.memory_mib());
    let p99 = |sample: &Sample| Sample::percentile(&sample.good, 0.99);
    println!(
        "\np99 beside slow callers / alone: {:.2}; connections they lost: {}",
        p99(&meanwhile) / p99(&before),
        callers.stop()
    );
}

/// Latencies of `/health`, ms, twenty times a second over connections of their own.
async fn health(to: SocketAddr, time: Duration) -> Vec<f64> {
    let (began, mut latencies) = (Instant::now(), Vec::new());
    let request = request("GET", "/health", "text/plain", b"");
    while began.elapsed() < time {
        let sent = Instant::now();
        let mut connection = Connection::open(to).await.expect("health has a connection");
        let answer = connection.exchange(&request).await.expect("health answers");
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(connection.body()));
        latencies.push(sent.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    latencies
}

/// Memory over time: previews at half their peak, and twenty jobs a second.
async fn soak(options: &Options) {
    heading("soak");
    let ours = Service::spinelift("all");
    let picture = std::fs::read(PICTURES[0].1).expect("the picture is there");
    let preview = same(request("POST", "/api/v1/mesh/preview", "image/png", &picture));
    let peak = closed(ours.address, Rc::clone(&preview), CONNECTIONS, options.step).await.throughput();
    let jobs = uploads(0);
    let began = Instant::now();
    while began.elapsed() < options.soak {
        let minute = Duration::from_secs(60);
        let previews = open(ours.address, Rc::clone(&preview), peak / 2.0, minute);
        let jobs = open(ours.address, Rc::clone(&jobs), 20.0, minute);
        let (previews, jobs) = tokio::join!(previews, jobs);
        let minutes = began.elapsed().as_secs_f64() / 60.0;
        row("previews", &format!("to minute {minutes:.0}"), &previews, ours.memory_mib());
        row("jobs", "20/s", &jobs, ours.memory_mib());
    }
}
