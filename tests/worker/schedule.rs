//! Callbacks over days: the real sender, store and receivers, and a clock that a test sets forward.
//!
//! The store's clock is the database's, so what a test moves is not the clock but the time at which a callback is due,
//! from a connection of its own: waiting is skipped, and nothing else.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Row};
use tokio::net::TcpListener;

use super::hostile::{Act, Hostile, answer};
use super::world::{PATIENCE, World, fetched, image, with_callback};
use super::{body, ended_job, ends, ends_come, header, receiver};

/// From each attempt to the next, s.
const SCHEDULE: [f64; 9] = [5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0];

/// What real time adds to a wait at most, s.
const SLACK: f64 = 2.0;

struct Clock {
    database: SqliteConnection,
    /// How far it is ahead of the database's, ms.
    ahead: i64,
    /// When each attempt ended by this clock, ms.
    attempts: Vec<i64>,
}

impl Clock {
    async fn of(world: &World) -> Self {
        let file = world.folder.path().join("jobs.db");
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE);
        Self { database: options.connect().await.unwrap(), ahead: 0, attempts: Vec::new() }
    }

    /// Waits until the job's end has been tried once more, and sets the clock forward to the next attempt. The state that
    /// the callback is in between.
    async fn next_attempt(&mut self, world: &World) -> String {
        let row = self.tried().await;
        let state: String = row.get("state");
        self.attempts.push(row.get::<i64, _>("at_ms") + self.ahead);
        let wait: i64 = row.get("wait");
        if state == "waiting" && wait > 0 {
            let sql = "UPDATE deliveries SET due_at_ms = due_at_ms - $1 WHERE is_final = 1 AND state = 'waiting'";
            sqlx::query(sql).bind(wait).execute(&mut self.database).await.unwrap();
            self.ahead += wait;
            world.app.store.signals().delivery_due();
        }
        state
    }

    /// The end's row, once it has one more attempt and none is under way.
    async fn tried(&mut self) -> sqlx::sqlite::SqliteRow {
        let sql = "SELECT state, due_at_ms - CAST(unixepoch('subsec') * 1000 AS INTEGER) AS wait, max(at_ms) AS at_ms \
                   FROM deliveries JOIN delivery_attempts ON delivery = deliveries.id \
                   WHERE is_final = 1 AND state <> 'sending' HAVING count(*) > $1";
        let began = Instant::now();
        loop {
            let count = self.attempts.len() as i64;
            if let Some(row) = sqlx::query(sql).bind(count).fetch_optional(&mut self.database).await.unwrap() {
                return row;
            }
            assert!(began.elapsed() < PATIENCE, "attempt {} does not come", count + 1);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// From each attempt to the next, s.
    fn waits(&self) -> Vec<f64> {
        self.attempts.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1000.0).collect()
    }
}

#[track_caller]
fn assert_on_schedule(waits: &[f64]) {
    for (wait, planned) in waits.iter().zip(SCHEDULE) {
        assert!((planned * 0.8..planned * 1.2 + SLACK).contains(wait), "{waits:?}");
    }
}

/// Runs a job that ends at once, and follows its end to the callback's own.
async fn followed(world: &mut World, url: &str) -> (Clock, Vec<String>) {
    let mut clock = Clock::of(world).await;
    world.start();
    ended_job(world, "a", url).await;
    let mut states = Vec::new();
    while states.last().is_none_or(|state| state == "waiting") {
        states.push(clock.next_attempt(world).await);
    }
    (clock, states)
}

#[tokio::test]
async fn a_receiver_that_fails_twice_has_it_at_the_third_attempt() {
    let mut world = World::new().await;
    let (server, posts) = receiver(|count| if count < 3 { "500 Oh" } else { "200 OK" }).await;
    let (clock, states) = followed(&mut world, &server.url).await;
    assert_eq!(states, ["waiting", "waiting", "delivered"]);
    assert_on_schedule(&clock.waits());
    let ends = ends(&posts.lock().unwrap());
    assert_eq!(ends.len(), 3);
    assert!(ends.iter().all(|post| header(post, "webhook-id") == header(&ends[0], "webhook-id")));
    assert!(ends.iter().all(|post| body(post) == body(&ends[0])));
}

#[tokio::test]
async fn the_end_is_tried_ten_times_and_then_given_up() {
    let mut world = World::new().await;
    let (server, posts) = receiver(|_| "500 Oh").await;
    let (clock, states) = followed(&mut world, &server.url).await;
    assert_eq!(states.len(), 10);
    assert_eq!(states[9], "given_up");
    assert_eq!(clock.waits().len(), SCHEDULE.len());
    assert_on_schedule(&clock.waits());
    assert_eq!(ends(&posts.lock().unwrap()).len(), 10);
    assert_eq!(world.app.store.queue().await.unwrap().deliveries, 0);
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_given_as_many() {
    let mut world = World::new().await;
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (clock, states) = followed(&mut world, &format!("http://{nowhere}/")).await;
    assert_eq!((states.len(), states[9].as_str()), (10, "given_up"));
    assert_on_schedule(&clock.waits());
}

#[tokio::test]
async fn retry_after_makes_a_wait_longer_and_never_shorter() {
    let in_an_hour = (chrono::Utc::now() + Duration::from_secs(3600)).to_rfc2822().replace("+0000", "GMT");
    let cases = [
        ("7200", 7199.0..7203.0),
        (in_an_hour.as_str(), 3590.0..3603.0),
        ("Fri, 20 Nov 2020 11:00:00 GMT", 4.0..8.0),
        ("0", 4.0..8.0),
        ("-7200", 4.0..8.0),
        ("1e9", 4.0..8.0),
        ("99999999999999999999999999", 86_399.0..86_403.0),
    ];
    for (asked, expected) in cases {
        let mut world = World::new().await;
        let first = Arc::new(Mutex::new(Some(format!("retry-after: {asked}\r\n"))));
        let server =
            Hostile::by(move |request| match super::is_end(request).then(|| first.lock().unwrap().take()).flatten() {
                Some(header) => answer("503 Later", &header, b""),
                None => answer("200 OK", "", b""),
            })
            .await;
        let (clock, states) = followed(&mut world, &server.url).await;
        assert_eq!(states, ["waiting", "delivered"], "{asked}");
        let wait = clock.waits()[0];
        assert!(expected.contains(&wait), "{asked}: {wait}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_killed_in_the_middle_of_a_job_hears_its_end_when_it_is_back() {
    let mut world = World::new().await;
    // The image comes once the test has killed the receiver.
    let (let_go, gate) = tokio::sync::watch::channel(false);
    let source = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let source_url = format!("http://{}/image.png", source.local_addr().unwrap());
    tokio::spawn(async move {
        let served = axum::Router::new().fallback(move || {
            let mut gate = gate.clone();
            async move {
                gate.wait_for(|open| *open).await.unwrap();
                image()
            }
        });
        axum::serve(source, served).await
    });
    let (server, posts) = receiver(|_| "200 OK").await;
    let url = server.url.clone();
    let mut clock = Clock::of(&world).await;
    world.start();
    world.submit(with_callback(fetched("a", &source_url), &url)).await;
    let began = Instant::now();
    while posts.lock().unwrap().is_empty() {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(server);
    let_go.send_replace(true);
    let job = world.ended("a").await;
    assert_eq!(clock.next_attempt(&world).await, "waiting");

    let address = url.trim_start_matches("http://").to_owned();
    let again = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&again);
    let _server = Hostile::on(TcpListener::bind(&address).await.unwrap(), move |request| {
        noted.lock().unwrap().push(request.to_owned());
        answer("200 OK", "", b"")
    });
    world.app.store.signals().delivery_due();
    let end = ends_come(&again, 1).await.remove(0);
    assert_eq!(body(&end)["sequence"], job.sequence);
    assert_eq!(header(&end, "webhook-id"), Some(format!("msg_a_{}", job.sequence).as_str()));
    // Nothing of the job comes after its end, or out of order.
    let mut all: Vec<u64> = posts.lock().unwrap().iter().map(|post| body(post)["sequence"].as_u64().unwrap()).collect();
    all.extend(again.lock().unwrap().iter().map(|post| body(post)["sequence"].as_u64().unwrap()));
    assert!(all.is_sorted(), "{all:?}");
}

#[tokio::test]
async fn an_endless_answer_costs_no_more_than_a_short_one() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n".to_vec();
    let cases = [
        ("a GiB at once", Act::Drip(head.clone(), vec![b'x'; 1 << 20], Duration::ZERO)),
        ("a byte at a time", Act::Drip(head, vec![b'x'], Duration::from_millis(10))),
    ];
    for (what, act) in cases {
        let mut world = World::new().await;
        let server =
            Hostile::by(move |request| if super::is_end(request) { act.clone() } else { answer("200 OK", "", b"") })
                .await;
        let began = Instant::now();
        let (_, states) = followed(&mut world, &server.url).await;
        assert_eq!(states, ["delivered"], "{what}");
        assert!(began.elapsed() < Duration::from_secs(5), "{what} took {:?}", began.elapsed());
    }
    // A header without end is no answer.
    let mut world = World::new().await;
    let line = format!("x-padding: {}\r\n", "x".repeat(1 << 16)).into_bytes();
    let server = Hostile::always(Act::Drip(b"HTTP/1.1 200 OK\r\n".to_vec(), line, Duration::ZERO)).await;
    let mut clock = Clock::of(&world).await;
    world.start();
    ended_job(&world, "a", &server.url).await;
    assert_eq!(clock.next_attempt(&world).await, "waiting");
}
