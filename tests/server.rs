//! The connection loop over real sockets: what takes too long, is too large or comes in too great a number.

#![cfg(feature = "serve")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use bytes::Bytes;
use spinelift::config::Http;
use spinelift::http::body::{BodyFault, BodyGuard, BodyLimits, UploadMemory, limit_body};
use spinelift::http::server::{Limits, Server, serve};
use spinelift::metrics::Metrics;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

#[path = "server/framing.rs"]
mod framing;
#[path = "server/places.rs"]
mod places;

/// Short enough for a test, long enough for a loaded machine to do what is expected within it.
const SHORT: Duration = Duration::from_millis(400);

/// No test waits longer than this for an answer that should come.
const DEADLINE: Duration = Duration::from_secs(20);

/// Bytes that all bodies may take together.
const MEMORY: u64 = 2 << 20;

/// More than sockets hold.
static LARGE: LazyLock<Bytes> = LazyLock::new(|| vec![b'x'; 64 << 20].into());

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

/// A server on a port of its own.
struct Running {
    runtime: Runtime,
    address: SocketAddr,
    metrics: Arc<Metrics>,
    /// How many requests reached a handler.
    handled: Arc<AtomicUsize>,
    /// Lets the requests to `/slow` finish.
    release: Arc<Notify>,
    /// Notified by each request to `/slow` that has begun.
    begun: Arc<Notify>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<usize>,
}

fn limits() -> Limits {
    Limits { header_timeout: SHORT, ..Limits::new(&Http::default()) }
}

fn body_limits() -> BodyLimits {
    BodyLimits { idle: SHORT, ..BodyLimits::up_to(1 << 20) }
}

fn refuse(fault: BodyFault) -> Response {
    let status = match fault {
        BodyFault::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        BodyFault::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
        BodyFault::Idle { .. } | BodyFault::Slow { .. } => StatusCode::REQUEST_TIMEOUT,
    };
    (status, fault.to_string()).into_response()
}

fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response()
}

/// The number of bytes that came, or a status that the guard must replace by its own.
async fn count_body(request: Request) -> Result<String, StatusCode> {
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    body.map(|bytes| bytes.len().to_string()).map_err(|_| StatusCode::IM_A_TEAPOT)
}

impl Running {
    fn start() -> Self {
        Self::with(limits(), body_limits())
    }

    fn with(limits: Limits, body: BodyLimits) -> Self {
        let runtime = Runtime::new().unwrap();
        let (release, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (released, begins) = (Arc::clone(&release), Arc::clone(&begun));
        let handled = Arc::new(AtomicUsize::new(0));
        let handling = Arc::clone(&handled);
        let metrics = Arc::new(Metrics::default());
        let memory = UploadMemory::new(MEMORY, Arc::clone(&metrics));
        let guard = BodyGuard { limits: body, memory, refuse };
        let slow = move || async move {
            begins.notify_one();
            released.notified().await;
            "done"
        };
        let count = move |request: Request| {
            handling.fetch_add(1, Ordering::SeqCst);
            count_body(request)
        };
        let router = Router::new()
            .route("/health", get(async || "healthy"))
            .route("/peer", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()))
            .route("/large", get(async || LARGE.clone()))
            .route("/slow", get(slow))
            .route("/count", post(count))
            .route("/refuse", post(async || StatusCode::UNAUTHORIZED))
            .layer(middleware::from_fn_with_state(guard, limit_body));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = Server { router, limits, metrics: Arc::clone(&metrics), busy };
        let server = runtime.spawn(serve(listener, server, async {
            let _ = stopped.await;
        }));
        Self { runtime, address, metrics, handled, release, begun, stop: Some(stop), server }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// A connection on which the text has been sent.
    fn send(&self, text: &str) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    }

    /// What comes back for the text until the server closes the connection.
    fn ask(&self, text: &str) -> String {
        read_all(&mut self.send(text))
    }

    fn open_connections(&self) -> usize {
        let text = self.metrics.encode().unwrap();
        let line = text.lines().find(|line| line.starts_with("spinelift_connections ")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    fn wait_for_connections(&self, expected: usize) {
        let start = Instant::now();
        while self.open_connections() != expected {
            assert!(start.elapsed() < DEADLINE, "{} connections in place of {expected}", self.open_connections());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// The number of connections cut off at the end.
    fn ended(self) -> usize {
        self.runtime.block_on(async { tokio::time::timeout(DEADLINE, self.server).await }).unwrap().unwrap()
    }
}

/// All that comes until the other side closes, gracefully or not.
fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&bytes)),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One answer, header and body, on a connection that stays open. For answers with a short body.
fn read_answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains("\r\n\r\n") {
        let n = stream.read(&mut buffer).unwrap();
        assert!(n > 0, "closed after {text:?}");
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    text
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

fn chunked(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
}

fn declared(path: &str, bytes: u64) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {bytes}\r\n\r\n")
}

#[test]
fn a_handler_knows_its_caller() {
    let server = Running::start();
    let mut stream = server.send("GET /peer HTTP/1.1\r\nHost: x\r\n\r\n");
    let own = stream.local_addr().unwrap().to_string();
    let answer = read_answer(&mut stream);
    assert!(answer.ends_with(&own), "{answer}");
}

#[test]
fn a_slow_header_is_cut_off() {
    let server = Running::start();
    let start = Instant::now();
    let mut stream = server.send("GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    assert_eq!(read_all(&mut stream), "");
    let took = start.elapsed();
    assert!(took >= SHORT && took < SHORT * 5, "{took:?}");
    server.wait_for_connections(0);
}

#[test]
fn a_header_that_trickles_is_cut_off_all_the_same() {
    let server = Running::start();
    let start = Instant::now();
    let mut stream = server.send("GET /health HTTP/1.1\r\nX-Slow: ");
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let closed = loop {
        let sent = stream.write_all(b"a");
        let read = stream.read(&mut [0; 16]);
        if sent.is_err() || !matches!(&read, Err(error) if error.kind() == ErrorKind::WouldBlock) {
            break start.elapsed();
        }
        assert!(start.elapsed() < DEADLINE);
    };
    assert!(closed >= SHORT && closed < SHORT * 5, "{closed:?}");
}

#[test]
fn an_idle_connection_is_closed_after_its_answer() {
    let server = Running::start();
    let mut stream = server.send(HEALTH);
    assert_eq!(status(&read_answer(&mut stream)), "200");
    stream.write_all(HEALTH.as_bytes()).unwrap();
    assert_eq!(status(&read_answer(&mut stream)), "200", "kept alive");
    assert_eq!(read_all(&mut stream), "");
}

#[test]
fn a_header_bomb_is_refused() {
    let server = Running::start();
    let long = format!("GET /health HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "a".repeat(20 << 10));
    let many = format!("GET /health HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-Many: a\r\n".repeat(120));
    let endless = format!("GET /health HTTP/1.1\r\n{}", "X-Endless: aaaaaaaaaaaaaaaaaaa\r\n".repeat(4 << 10));
    for bomb in [long, many, endless] {
        let mut stream = server.connect();
        // The server closes before it has read all.
        let _ = stream.write_all(bomb.as_bytes());
        let answer = read_all(&mut stream);
        assert!(answer.is_empty() || status(&answer) == "431", "{answer}");
    }
    server.wait_for_connections(0);
}

#[test]
fn a_declared_body_over_the_limit_is_refused_though_it_never_comes() {
    let server = Running::start();
    let start = Instant::now();
    let mut stream = server.send(&declared("/count", 100 << 20));
    let answer = read_answer(&mut stream);
    assert!(start.elapsed() < SHORT, "{:?}", start.elapsed());
    assert_eq!(status(&answer), "413");
    assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
    assert_eq!(server.handled.load(Ordering::SeqCst), 0);
}

#[test]
fn a_caller_in_the_middle_of_sending_reads_why_it_was_refused() {
    let server = Running::start();
    for _ in 0..5 {
        let mut stream = server.send(&declared("/count", 100 << 20));
        let part = vec![0; 64 << 10];
        for _ in 0..64 {
            // Long after the answer was sent; a reset would fail it, and take the answer away.
            stream.write_all(&part).unwrap();
        }
        assert_eq!(status(&read_answer(&mut stream)), "413");
    }
}

#[test]
fn who_is_refused_without_its_body_being_read_reads_why() {
    let server = Running::start();
    for _ in 0..5 {
        let mut stream = server.send(&declared("/refuse", 1 << 20));
        let part = vec![0; 64 << 10];
        for _ in 0..15 {
            stream.write_all(&part).unwrap();
        }
        assert_eq!(status(&read_answer(&mut stream)), "401");
    }
}

#[test]
fn bodies_beyond_the_memory_are_refused_on_the_header_until_others_are_answered() {
    let server = Running::with(limits(), BodyLimits { idle: DEADLINE, ..body_limits() });
    let mebibyte = "x".repeat(1 << 20);
    let mut held = server.send(&declared("/count", 1 << 20));
    let mut other = server.send(&declared("/count", 1 << 20));
    let start = Instant::now();
    while server.handled.load(Ordering::SeqCst) < 2 {
        assert!(start.elapsed() < DEADLINE);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(status(&read_answer(&mut server.send(&declared("/count", 512 << 10)))), "503");
    // Of unknown length: it is refused once too much has come.
    let grown = format!("{}80000\r\n{}", chunked("/count"), "x".repeat(512 << 10));
    assert_eq!(status(&read_answer(&mut server.send(&grown))), "503");
    let small = server.ask(&format!("{}four", declared("/count", 4).replace("Host", "Connection: close\r\nHost")));
    assert!(small.ends_with("4"), "{small}");
    for stream in [&mut other, &mut held] {
        stream.write_all(mebibyte.as_bytes()).unwrap();
        assert_eq!(status(&read_answer(stream)), "200");
    }
    let mut after = server.send(&format!("{}{mebibyte}", declared("/count", 1 << 20)));
    assert_eq!(status(&read_answer(&mut after)), "200");
    let counted = "spinelift_rejections_total{outcome=\"uploads\"}";
    assert!(!server.metrics.encode().unwrap().contains(&format!("{counted} 0")));
}

#[test]
fn a_body_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() {
    let server = Running::start();
    for (bytes, expected) in [(1 << 20, "200"), ((1 << 20) + 1, "413")] {
        let body = "x".repeat(bytes);
        for text in [
            format!("{}{body}", declared("/count", bytes as u64)),
            format!("{}{bytes:x}\r\n{body}\r\n0\r\n\r\n", chunked("/count")),
        ] {
            let mut stream = server.connect();
            let _ = stream.write_all(text.as_bytes());
            assert_eq!(status(&read_answer(&mut stream)), expected, "{bytes}");
        }
    }
}

#[test]
fn endless_chunks_are_cut_off_at_the_limit() {
    let server = Running::start();
    let mut stream = server.send(&chunked("/count"));
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    // The limit is 16 of them; all the rest must not be waited for.
    for _ in 0..20 {
        if stream.write_all(chunk.as_bytes()).is_err() {
            break;
        }
    }
    assert_eq!(status(&read_answer(&mut stream)), "413");
}

#[test]
fn a_body_that_stops_half_way_is_given_up() {
    let server = Running::start();
    for text in [format!("{}half", declared("/count", 8)), format!("{}5\r\nha", chunked("/count"))] {
        let start = Instant::now();
        let mut stream = server.send(&text);
        assert_eq!(status(&read_answer(&mut stream)), "408");
        let took = start.elapsed();
        assert!(took >= SHORT && took < SHORT * 5, "{took:?}");
    }
}

#[test]
fn a_body_that_trickles_is_given_up() {
    let body = BodyLimits { idle: DEADLINE, least_rate: 8 << 10, grace: SHORT, ..body_limits() };
    let server = Running::with(limits(), body);
    let start = Instant::now();
    let mut stream = server.send(&declared("/count", 1 << 20));
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut answer = [0; 12];
    while stream.read_exact(&mut answer).is_err() {
        // 50 bytes a second never idle.
        stream.write_all(b"x").unwrap();
        assert!(start.elapsed() < DEADLINE);
    }
    assert_eq!(&answer, b"HTTP/1.1 408");
    let took = start.elapsed();
    assert!(took >= SHORT && took < SHORT * 5, "{took:?}");
}

#[test]
fn a_body_that_is_slow_but_fast_enough_is_taken() {
    let body = BodyLimits { least_rate: 16, grace: SHORT / 2, ..body_limits() };
    let server = Running::with(limits(), body);
    let mut stream = server.send(&declared("/count", 64));
    for _ in 0..16 {
        stream.write_all(b"four").unwrap();
        std::thread::sleep(Duration::from_millis(40));
    }
    let answer = read_answer(&mut stream);
    assert_eq!(status(&answer), "200");
    assert!(answer.ends_with("64"), "{answer}");
}

#[test]
fn a_caller_that_does_not_read_is_given_up() {
    let limits = Limits { write_timeout: SHORT, ..limits() };
    let server = Running::with(limits, body_limits());
    let _stream = server.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    server.wait_for_connections(1);
    server.wait_for_connections(0);
}

#[test]
fn a_flood_of_connections_leaves_health_answered() {
    let limits = Limits { max_connections: 8, reserve: 4, header_timeout: DEADLINE, ..limits() };
    let server = Running::with(limits, body_limits());
    let mut flood = Vec::new();
    for round in 0..50 {
        // The first ones wait for us, so that their places are not to be had.
        if round < 8 {
            flood.push(server.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"));
            server.runtime.block_on(server.begun.notified());
            continue;
        }
        flood.push(server.connect());
        flood.push(server.send("GET /health HTTP/1.1\r\nX-Half: "));
        let start = Instant::now();
        let answer = server.ask(HEALTH);
        let took = start.elapsed();
        assert_eq!(status(&answer), "200", "{answer}");
        assert!(took < Duration::from_millis(100), "{took:?}");
    }
    assert!(server.open_connections() <= 8 + 4 + 1, "{}", server.open_connections());
}

#[test]
fn beyond_the_cap_other_requests_are_told_to_come_again() {
    let limits = Limits { max_connections: 1, reserve: 2, header_timeout: DEADLINE, ..limits() };
    let server = Running::with(limits, body_limits());
    let mut first = server.send("GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    server.runtime.block_on(server.begun.notified());
    for request in ["GET /peer HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), declared("/health", 4)] {
        let answer = server.ask(&request).to_lowercase();
        assert_eq!(status(&answer), "503", "{answer}");
        assert!(answer.contains("retry-after: 1") && answer.contains("connection: close"), "{answer}");
    }
    assert!(server.metrics.encode().unwrap().contains("spinelift_rejections_total{outcome=\"connections\"} 2"));
    server.release.notify_one();
    assert!(read_all(&mut first).ends_with("done"));
    server.wait_for_connections(0);
    let mut stream = server.send("GET /peer HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(status(&read_answer(&mut stream)), "200", "a place is free again");
}

#[test]
fn a_stop_finishes_the_request_in_flight_and_closes_idle_connections() {
    let mut server = Running::with(Limits { header_timeout: DEADLINE, ..limits() }, body_limits());
    let mut idle = server.send(HEALTH);
    assert_eq!(status(&read_answer(&mut idle)), "200");
    let mut busy = server.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    server.runtime.block_on(server.begun.notified());
    server.stop();
    assert_eq!(read_all(&mut idle), "", "closed");
    assert!(TcpStream::connect(server.address).is_err(), "no longer listening");
    server.release.notify_one();
    let answer = read_all(&mut busy);
    assert!(status(&answer) == "200" && answer.ends_with("done"), "{answer}");
    assert_eq!(server.ended(), 0);
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    let limits = Limits { drain_timeout: SHORT, ..limits() };
    let mut server = Running::with(limits, body_limits());
    let _busy = server.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    server.runtime.block_on(server.begun.notified());
    server.stop();
    let metrics = Arc::clone(&server.metrics);
    assert_eq!(server.ended(), 1);
    assert!(metrics.encode().unwrap().contains("spinelift_connections 0\n"));
}

#[test]
fn what_two_readers_would_frame_differently_is_refused() {
    let server = Running::start();
    let smuggled = "GET /peer HTTP/1.1\r\nHost: x\r\n\r\n";
    for framing in [
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: 4, 5",
        "Content-Length: +4",
        "Content-Length: 0x4",
        "Content-Length: -1",
        "Content-Length: 99999999999999999999999",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked\r\n folded: 1",
    ] {
        let answer = server.ask(&format!("POST /count HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\nbody{smuggled}"));
        assert_eq!(status(&answer), "400", "{framing}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{framing}: {answer}");
    }
    assert_eq!(server.handled.load(Ordering::SeqCst), 0);
}

/// RFC 9112, 6.3: both may be served by Transfer-Encoding alone if the connection then ends, so that whatever a proxy
/// takes for the next request is nobody's.
#[test]
fn a_request_with_both_framings_is_the_last_of_its_connection() {
    let server = Running::start();
    let smuggled = "GET /peer HTTP/1.1\r\nHost: x\r\n\r\n";
    for framing in
        ["Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5"]
    {
        let answer = server.ask(&format!("POST /count HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n0\r\n\r\n{smuggled}"));
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{framing}: {answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{framing}: {answer}");
    }
}
