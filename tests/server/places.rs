//! Who keeps its place once all are taken, and who gives it up.

use std::sync::atomic::AtomicBool;
use std::thread;

use super::*;

/// A little more than the time after which a place may be another's that nothing came on.
const IDLED: Duration = Duration::from_millis(150);

/// A little more than the time after which a body or a reader is judged.
const JUDGED: Duration = Duration::from_millis(1200);

fn with_places(max_connections: usize) -> Running {
    let limits = Limits { max_connections, reserve: 4, header_timeout: DEADLINE, write_timeout: DEADLINE, ..limits() };
    Running::with(limits, BodyLimits { idle: DEADLINE, ..body_limits() })
}

const PEER: &str = "GET /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[test]
fn a_newcomer_gets_the_place_of_who_has_waited_longest_for_a_header() {
    let server = with_places(2);
    let mut oldest = server.send("GET /peer HTTP/1.1\r\nX-Half: ");
    server.wait_for_connections(1);
    let mut other = server.send("GET /peer HTTP/1.1\r\nX-Half: ");
    server.wait_for_connections(2);
    thread::sleep(IDLED);
    assert_eq!(status(&server.ask(PEER)), "200");
    assert_eq!(read_all(&mut oldest), "", "closed");
    other.write_all(b"\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(status(&read_answer(&mut other)), "200", "the other has its place still");
    assert!(server.metrics.encode().unwrap().contains("spinelift_rejections_total{outcome=\"slow\"} 1"));
}

#[test]
fn a_connection_between_two_requests_gives_its_place_up() {
    let server = with_places(1);
    let mut kept = server.send(HEALTH);
    for _ in 0..3 {
        assert_eq!(status(&read_answer(&mut kept)), "200");
        kept.write_all(HEALTH.as_bytes()).unwrap();
    }
    assert_eq!(status(&read_answer(&mut kept)), "200");
    thread::sleep(IDLED);
    assert_eq!(status(&server.ask(PEER)), "200");
    assert_eq!(read_all(&mut kept), "", "closed");
}

#[test]
fn who_waits_for_us_keeps_its_place() {
    let server = with_places(1);
    let mut waiting = server.send("GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    server.runtime.block_on(server.begun.notified());
    thread::sleep(JUDGED);
    assert_eq!(status(&server.ask(PEER)), "503");
    server.release.notify_one();
    assert!(read_all(&mut waiting).ends_with("done"));
}

#[test]
fn a_slow_body_gives_its_place_up_and_a_fast_one_keeps_it() {
    let server = with_places(1);
    let mut fast = server.send(&format!("{}{}", declared("/count", 1 << 20), "x".repeat(600 << 10)));
    thread::sleep(JUDGED);
    assert_eq!(status(&server.ask(PEER)), "503");
    fast.write_all("x".repeat(424 << 10).as_bytes()).unwrap();
    assert_eq!(status(&read_answer(&mut fast)), "200");
    drop(fast);
    server.wait_for_connections(0);
    let mut slow = server.send(&format!("{}x", declared("/count", 1 << 20)));
    thread::sleep(JUDGED);
    assert_eq!(status(&server.ask(PEER)), "200");
    assert_eq!(read_all(&mut slow), "", "closed");
}

#[test]
fn an_answer_left_unread_gives_its_place_up() {
    let server = with_places(1);
    let _unread = server.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    server.wait_for_connections(1);
    thread::sleep(JUDGED);
    assert_eq!(status(&server.ask(PEER)), "200");
}

#[test]
fn who_has_just_come_keeps_its_place() {
    let server = with_places(1);
    let mut first = server.connect();
    server.wait_for_connections(1);
    assert_eq!(status(&server.ask(PEER)), "503");
    first.write_all(PEER.as_bytes()).unwrap();
    assert_eq!(status(&read_all(&mut first)), "200");
}

/// What a slow caller sends at first, a byte of which it adds now and then.
const SLOW: [&str; 3] = [
    "GET /peer HTTP/1.1\r\nX-Slow: ",
    "POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
    "GET /large HTTP/1.1\r\nHost: x\r\nX-Slow: a\r\n\r\n",
];

/// Comes again a second after it was closed, until told to stop.
fn be_slow(address: SocketAddr, text: &str, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut sent = stream.write_all(text.as_bytes());
        while sent.is_ok() && !stop.load(Ordering::Relaxed) {
            // A byte is all that the unread answer is read by.
            match stream.read(&mut [0]) {
                Ok(0) => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                _ => thread::sleep(Duration::from_millis(200)),
            }
            sent = stream.write_all(b"x");
        }
        thread::sleep(Duration::from_secs(1));
    }
}

/// Every answer's time; all of them must come.
fn ask_in_turn(server: &Running, times: usize) -> Vec<Duration> {
    let mut took: Vec<Duration> = (0..times)
        .map(|_| {
            let began = Instant::now();
            assert_eq!(status(&server.ask(PEER)), "200");
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    took
}

/// The short form; the long one is `cargo bench --bench load -- --parts slow`.
#[test]
fn good_requests_get_through_three_times_as_many_slow_callers_as_there_are_places() {
    let limits = Limits { max_connections: 64, ..Limits::new(&Http::default()) };
    let server = Running::with(limits, BodyLimits::up_to(1 << 20));
    let before = ask_in_turn(&server, 200);
    let stop = AtomicBool::new(false);
    let meanwhile = thread::scope(|scope| {
        for at in 0..200 {
            let (address, stop) = (server.address, &stop);
            scope.spawn(move || be_slow(address, SLOW[at % SLOW.len()], stop));
        }
        let full = Instant::now();
        while server.open_connections() < 64 {
            assert!(full.elapsed() < DEADLINE);
            thread::sleep(Duration::from_millis(2));
        }
        // Until all that can be judged slow is.
        thread::sleep(JUDGED);
        let meanwhile = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ask_in_turn(&server, 200)));
        stop.store(true, Ordering::Relaxed);
        meanwhile
    });
    let meanwhile = meanwhile.unwrap();
    println!("p99 before {:?}, meanwhile {:?}", before[197], meanwhile[197]);
    assert!(meanwhile[197] < before[197] * 2 + SHORT, "{:?} after {:?}", meanwhile[197], before[197]);
}
