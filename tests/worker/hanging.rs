//! Receivers that hang, each on a host of its own, beside some that answer.
//!
//! `cargo test --test worker many_that_hang -- --nocapture` says how late the good ones were; `HANGING_RECEIVERS` is how
//! many hang, 1000 unless set.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use spinelift::job::JobId;
use spinelift::store::LEASE;
use tokio::net::TcpListener;

use super::hostile::{Hostile, answer};
use super::world::{PATIENCE, World, fetched, with_callback};

/// Receivers that answer.
const GOOD: usize = 10;

/// Accepts every connection to any loopback address and holds it; how many have come.
async fn hanging() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let came = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&came);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, came)
}

/// How long after the start the last of the good receivers has heard, with so many that hang due before them.
async fn all_good_have_heard(hanging_receivers: usize) -> Duration {
    let mut world = World::leasing(LEASE, |_| {}).await;
    let (port, came) = hanging().await;
    // Each host of its own is a receiver of its own.
    let hosts = (0..hanging_receivers).map(|n| format!("http://127.1.{}.{}:{port}/", n / 250, n % 250 + 1));
    let heard = Arc::new(AtomicUsize::new(0));
    let mut good = Vec::new();
    for _ in 0..GOOD {
        let count = Arc::clone(&heard);
        let server = Hostile::by(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            answer("200 OK", "", b"")
        });
        good.push(server.await);
    }
    let urls = hosts.chain(good.iter().map(|server| server.url.clone()));
    for (number, url) in urls.enumerate() {
        let id = format!("job-{number}");
        world.submit(with_callback(fetched(&id, "http://127.0.0.1:9/"), &url)).await;
        // An end that is due, and nothing else of the job.
        world.app.store.cancel("", &JobId::parse(&id).unwrap()).await.unwrap();
    }
    let began = Instant::now();
    world.start();
    while heard.load(Ordering::SeqCst) < GOOD {
        assert!(began.elapsed() < PATIENCE, "{} of {GOOD}", heard.load(Ordering::SeqCst));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = began.elapsed();
    assert_eq!(came.load(Ordering::SeqCst).min(1), hanging_receivers.min(1), "nothing hangs");
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_hang_delay_those_that_answer_by_less_than_a_second() {
    // Both ends of every connection are here.
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let count = std::env::var("HANGING_RECEIVERS").map_or(1000, |text| text.parse().unwrap());
    let alone = all_good_have_heard(0).await;
    let beside = all_good_have_heard(count).await;
    println!("{GOOD} receivers alone: {alone:?}; with {count} that hang due before them: {beside:?}");
    assert!(beside.saturating_sub(alone) < Duration::from_secs(1), "{alone:?} became {beside:?}");
}
