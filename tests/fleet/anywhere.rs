//! It does not matter which node is asked: what one of them was told, all of them know.

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use super::caller::{SETTLE, client};
use super::nodes::{Fleet, GENERATE, post, status};
use super::proxy::Proxy;
use super::server::Server;

/// A busy machine's share, on top of what is promised.
const BUSY: Duration = Duration::from_secs(5);

/// How often listeners look by themselves.
const LISTENERS_LOOK: Duration = Duration::from_secs(10);

/// What they hear of sooner than that came by a wake-up.
const WOKEN: Duration = Duration::from_secs(8);

/// How soon a cancel is heard at the latest.
const CANCELLED: Duration = Duration::from_secs(10);

/// How soon keys hold everywhere: nodes look every 2 s.
const KEYS_KNOWN: Duration = Duration::from_secs(3);

/// Two nodes that are asked and one that works.
async fn three(fleet: &Fleet) -> (Server, Server, Server) {
    let nodes = tokio::join!(fleet.node("api"), fleet.node("api"), fleet.node("worker"));
    (nodes.0, nodes.1, nodes.2)
}

/// A stream of events.
struct Stream {
    answer: reqwest::Response,
    unread: String,
}

impl Stream {
    async fn open(node: &Server, id: &str, after: u64) -> Self {
        let events = client().get(node.url(&format!("/api/v1/mesh/{id}/events")));
        let answer = events.timeout(SETTLE).header("last-event-id", after.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        Self { answer, unread: String::new() }
    }

    /// The next event: its id and its data; `None` once the stream is closed.
    async fn next(&mut self) -> Option<(u64, Value)> {
        loop {
            while let Some((event, rest)) = self.unread.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let read = field("id:").zip(field("data:"));
                let read = read.map(|(id, data)| (id.parse().unwrap(), serde_json::from_str(data).unwrap()));
                self.unread = rest.to_owned();
                if read.is_some() {
                    return read;
                }
            }
            let chunk = self.answer.chunk().await.unwrap()?;
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// All that comes until it is closed.
    async fn rest(mut self) -> Vec<(u64, Value)> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_heard_at_another_node_in_order_and_from_any_of_them_on() {
    let Some(fleet) = Fleet::new().await else { return };
    let (here, there, _worker) = three(&fleet).await;
    let request = fleet.request("watched", &fleet.sources.gated("watched"), false);
    post(&here, &request).await.unwrap().error_for_status().unwrap();
    let mut stream = Stream::open(&there, "watched", 0).await;
    let began = Instant::now();
    let mut heard = vec![stream.next().await.unwrap().0];
    // The worker has begun, and waits for the image.
    while heard.last() < Some(&2) {
        heard.push(stream.next().await.unwrap().0);
    }
    assert!(began.elapsed() < WOKEN, "it came by looking, after {:?}", began.elapsed());
    let second = Stream::open(&here, "watched", 1).await;
    let began = Instant::now();
    fleet.sources.open("watched");
    let rest = stream.rest().await;
    let took = began.elapsed();
    assert_eq!(rest.last().unwrap().1["status"], "completed");
    heard.extend(rest.iter().map(|(id, _)| id));
    assert_eq!(heard, (1..=heard.len() as u64).collect::<Vec<_>>());
    println!("a listener at another node heard of the end after {took:?}");
    assert!(took < WOKEN, "it came by looking, after {took:?}");
    let again: Vec<u64> = second.rest().await.iter().map(|(id, _)| *id).collect();
    assert_eq!(again, heard[1..], "from the first on, at the other node");
    // From the middle, once all is over.
    let middle = heard.len() as u64 / 2;
    let replayed: Vec<_> = Stream::open(&there, "watched", middle).await.rest().await;
    assert_eq!(replayed.len(), heard.len() - middle as usize);
    assert_eq!(replayed.last().unwrap(), rest.last().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_at_another_node_is_answered_when_the_job_ends() {
    let Some(fleet) = Fleet::new().await else { return };
    let (here, there, _worker) = three(&fleet).await;
    let waits = waits_for(&fleet, &here, &there, "woken").await;
    println!("answered {waits:?} after the end");
    assert!(waits < BUSY, "{waits:?}");
    // And so it is while nodes hear nothing of each other: they look by themselves.
    let done = Arc::new(AtomicBool::new(false));
    let cutting = tokio::spawn(cut_listeners(fleet.connect().await, Arc::clone(&done)));
    let listener = async {
        let request = fleet.request("deaf", &fleet.sources.gated("deaf"), false);
        post(&here, &request).await.unwrap().error_for_status().unwrap();
        fleet.sources.asked_for("deaf", 1).await;
        let stream = Stream::open(&there, "deaf", 0).await;
        let began = Instant::now();
        fleet.sources.open("deaf");
        let heard = stream.rest().await;
        assert_eq!(heard.last().unwrap().1["status"], "completed");
        began.elapsed()
    };
    let (listened, waits) = tokio::join!(listener, waits_for(&fleet, &here, &there, "unheard"));
    done.store(true, Ordering::Relaxed);
    println!(
        "without wake-ups: answered {waits:?} and streamed {listened:?} after the end; {} cuts",
        cutting.await.unwrap()
    );
    assert!(waits < BUSY, "{waits:?}");
    assert!(listened < LISTENERS_LOOK + BUSY, "{listened:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_listens_again_after_the_network_has_forgotten_its_connection() {
    let Some(fleet) = Fleet::new().await else { return };
    let proxy = Proxy::start(fleet.server()).await;
    let (here, _worker) = tokio::join!(fleet.node("api"), fleet.node("worker"));
    let there = fleet.node_with("api", &[("DATABASE_URL", &proxy.url(fleet.url()))]).await;
    let listeners = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                     AND (query ILIKE 'LISTEN%' OR query = 'SELECT 1')";
    let began = Instant::now();
    while fleet.count(listeners).await < 3 {
        assert!(began.elapsed() < SETTLE, "{}", there.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    proxy.forget();
    let began = Instant::now();
    // The server knows no more than the node that the old one is gone.
    while fleet.count(listeners).await < 4 {
        assert!(began.elapsed() < SETTLE, "it does not listen again:\n{}", there.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("it listened again {:?} after its connection had been forgotten", began.elapsed());
    let request = fleet.request("heard", &fleet.sources.gated("heard"), false);
    post(&here, &request).await.unwrap().error_for_status().unwrap();
    fleet.sources.asked_for("heard", 1).await;
    // Other connections were forgotten as well; each costs a call.
    while there.get("/api/v1/mesh/heard/status").await.is_err() {
        assert!(began.elapsed() < SETTLE, "{}", there.log());
    }
    let stream = Stream::open(&there, "heard", 0).await;
    let began = Instant::now();
    fleet.sources.open("heard");
    stream.rest().await;
    assert!(began.elapsed() < WOKEN, "it came by looking, after {:?}", began.elapsed());
}

/// How long after its end those heard of a job who waited at two nodes: with its submission, and at its status.
async fn waits_for(fleet: &Fleet, here: &Server, there: &Server, id: &str) -> Duration {
    let request = fleet.request(id, &fleet.sources.gated(id), false);
    let submitted =
        client().post(here.url(GENERATE)).header("prefer", "wait=25").header("content-type", "application/json");
    let submitted = tokio::spawn(submitted.body(request.to_string()).send());
    fleet.sources.asked_for(id, 1).await;
    let waiting = client().get(there.url(&format!("/api/v1/mesh/{id}/status?wait=25"))).send();
    let waiting = tokio::spawn(async move { (waiting.await.unwrap().text().await.unwrap(), Instant::now()) });
    // A wait begins with a look; what is promised is about what comes after.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    fleet.sources.open(id);
    let (mut answer, mut at) = waiting.await.unwrap();
    // With `wait` a status is answered on every change.
    while serde_json::from_str::<Value>(&answer).unwrap()["status"] == "processing" {
        assert!(began.elapsed() < SETTLE, "{answer}");
        let url = there.url(&format!("/api/v1/mesh/{id}/status?wait=25"));
        (answer, at) = (client().get(url).send().await.unwrap().text().await.unwrap(), Instant::now());
    }
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["status"], "completed", "{answer}");
    let submitted = submitted.await.unwrap().unwrap();
    assert_eq!(submitted.status(), 200, "it ended within the wait");
    at.duration_since(began).max(began.elapsed())
}

/// Ends the connections by which nodes hear of each other, as often as they come; how many.
async fn cut_listeners(mut db: sqlx::PgConnection, done: Arc<AtomicBool>) -> i64 {
    let sql = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND query ILIKE 'LISTEN%'";
    let mut cuts = 0;
    while !done.load(Ordering::Relaxed) {
        cuts += sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut db).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cuts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_at_one_node_ends_a_job_that_runs_at_another() {
    let Some(fleet) = Fleet::new().await else { return };
    let (here, there, worker) = three(&fleet).await;
    let request = fleet.request("unwanted", &fleet.world.slow_image_url(), true);
    post(&here, &request).await.unwrap().error_for_status().unwrap();
    fleet.world.slow_image_asked_for().await;
    let began = Instant::now();
    client().delete(there.url("/api/v1/mesh/unwanted")).send().await.unwrap().error_for_status().unwrap();
    while status(&here, "unwanted").await["status"] == "processing" {
        assert!(began.elapsed() < CANCELLED + BUSY, "{}", worker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("a job at another node was ended {:?} after it was cancelled", began.elapsed());
    assert_eq!(status(&there, "unwanted").await["error"]["code"], "CANCELLED");
    fleet.world.called_back(["unwanted".to_owned()].into_iter(), || worker.log()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_id_at_two_nodes_at_once_makes_one_job() {
    let Some(fleet) = Fleet::new().await else { return };
    let (here, there, worker) = three(&fleet).await;
    let jobs = 30;
    let mut callers = JoinSet::new();
    for number in 0..jobs {
        // The same to both nodes, three times, and one that asks for something else by the same id.
        for (at, callback) in [(0, false), (1, false), (0, false), (1, false), (0, false), (1, true)] {
            let request = fleet.request(&format!("job-{number}"), &fleet.world.image_url(), callback);
            let node = if at == 0 { &here } else { &there };
            let post = client().post(node.url(GENERATE)).header("content-type", "application/json");
            callers.spawn(
                async move { (number, callback, post.body(request.to_string()).send().await.unwrap().status()) },
            );
        }
    }
    let answers = callers.join_all().await;
    for number in 0..jobs {
        let of = |status: u16| {
            answers.iter().filter(move |(of, _, answer)| *of == number && answer.as_u16() == status).collect::<Vec<_>>()
        };
        let (created, existing, conflicts) = (of(202), of(200), of(409));
        assert_eq!(created.len() + existing.len() + conflicts.len(), 6, "{answers:?}");
        assert_eq!(created.len(), 1, "one made it: {answers:?}");
        // Whoever came first, the others asked for the same or for something else.
        assert_eq!(conflicts.len(), if created[0].1 { 5 } else { 1 });
    }
    fleet.settled(&[&here, &there, &worker]).await;
    assert_eq!(fleet.count("SELECT count(*) FROM jobs").await, jobs);
    assert_eq!(fleet.count("SELECT count(*) FROM events WHERE state = 'completed'").await, jobs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_links_hold_at_every_node() {
    let Some(fleet) = Fleet::new().await else { return };
    let (here, there, _worker) = three(&fleet).await;
    let added = keys(&fleet, "add");
    let secret = String::from_utf8(added.stdout).unwrap().trim().to_owned();
    assert!(secret.starts_with("spl_"), "{}", String::from_utf8_lossy(&added.stderr));
    for node in [&here, &there] {
        known(node, &secret, 200).await;
        known(node, "spl_another", 401).await;
    }
    let request = fleet.request("linked", &fleet.world.image_url(), false);
    let post = client().post(here.url(GENERATE)).header("content-type", "application/json").header("prefer", "wait=25");
    let ended = post.bearer_auth(&secret).body(request.to_string()).send().await.unwrap();
    assert_eq!(ended.status(), 200);
    let ended: Value = serde_json::from_str(&ended.text().await.unwrap()).unwrap();
    let link = ended["result_url"].as_str().unwrap();
    assert!(link.starts_with(&here.url("/")), "{link}");
    // Signed here, followed there, without a key.
    let elsewhere = link.replace(&here.url("/"), &there.url("/"));
    assert_eq!(client().get(&elsewhere).send().await.unwrap().status(), 200, "{elsewhere}");
    let forged = elsewhere.replace("linked", "other");
    assert_ne!(client().get(&forged).send().await.unwrap().status(), 200, "{forged}");

    assert!(keys(&fleet, "revoke").status.success());
    for node in [&here, &there] {
        known(node, &secret, 401).await;
    }
    assert_ne!(client().get(&elsewhere).send().await.unwrap().status(), 200, "a link of a key that is gone");
}

/// The command `keys`, beside the nodes.
fn keys(fleet: &Fleet, what: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinelift"));
    command.args(["keys", what, "app"]).env("DATABASE_URL", fleet.url()).current_dir(fleet.folder()).output().unwrap()
}

/// Waits until a node answers a key so.
async fn known(node: &Server, secret: &str, expected: u16) {
    let began = Instant::now();
    loop {
        let list = client().get(node.url("/api/v1/mesh/jobs")).bearer_auth(secret);
        let answer = list.send().await.unwrap().status().as_u16();
        // Until there is a key, everybody is let in.
        let open = client().get(node.url("/api/v1/mesh/jobs")).send().await.unwrap().status();
        if answer == expected && open == 401 {
            return;
        }
        assert!(began.elapsed() < KEYS_KNOWN + BUSY, "{answer}, {open} without a key");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
