//! Attacks from end to end: jobs whose URLs, names, redirects and receivers lead inward, and a canary that must hear nothing.
//!
//! The canary listens on every address of this machine. Its port is one that hosts may be reached on, so that nothing
//! stands between it and an attack but the judgement of addresses.

#![cfg(feature = "serve")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]
#![expect(dead_code, reason = "the worlds of other tests can do more")]

#[path = "net/hostile.rs"]
mod hostile;
#[path = "net/name_server.rs"]
mod name_server;
#[path = "survival/server.rs"]
mod server;
#[path = "worker/world.rs"]
mod world;

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hostile::{Hostile, answer};
use name_server::{NameServer, Says};
use serde_json::{Value, json};
use spinelift::job::{FailureCode, JobState};
use spinelift::net::{Limits, Net, Policy, Refusal};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceExt;
use world::{World, fetched, image, with_callback};

/// An independent client of the service.
fn client() -> reqwest::Client {
    // Installed by whichever test is first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Hears everything that comes to its port, whichever of this machine's addresses it comes by.
struct Canary {
    port: u16,
    heard: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Canary {
    async fn new() -> Self {
        // On Linux `::` is IPv4 as well.
        let listener = match TcpListener::bind("[::]:0").await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind("0.0.0.0:0").await.unwrap(),
        };
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            loop {
                drop(listener.accept().await.unwrap());
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, heard, task }
    }

    fn heard(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Public by every rule, given to nobody, and routed nowhere.
const NOWHERE: &str = "2000::1";

/// The name under which a server of ours is listed, so that attacks have somewhere to begin.
const DOOR: &str = "door.example";

/// Addresses of names that lead inward, by the first part of the name.
fn inward(label: &str, asked: usize) -> Says {
    let all = |addresses: &[&str]| Says::Addresses(addresses.iter().map(|text| ip(text)).collect());
    match label {
        "door" => all(&["127.0.0.1"]),
        "v4" | "public" => all(&["127.0.0.1"]),
        "v6" => all(&["::1"]),
        "any" => all(&["0.0.0.0"]),
        "any6" => all(&["::"]),
        "mapped" => all(&["::ffff:127.0.0.1"]),
        "nat64" => all(&["64:ff9b::7f00:1"]),
        "metadata" => all(&["169.254.169.254"]),
        "private" => Says::Addresses(vec![own_address()]),
        "public-first" => all(&[NOWHERE, "::1"]),
        "inward-first" => all(&["127.0.0.1", NOWHERE]),
        "families" => all(&["127.0.0.1", NOWHERE]),
        "alias" => Says::Alias("localhost", vec![ip("127.0.0.1")]),
        "alias-out" => Says::Alias("public.example", vec![ip("127.0.0.1")]),
        "many" => {
            let public = (1..500).map(|n| ip(&format!("2000::{n:x}")));
            Says::Addresses(public.chain([ip("::1")]).collect())
        }
        // Public when it is first looked at, inward from then on.
        "rebinding" if asked == 0 => all(&[NOWHERE]),
        "rebinding" => all(&["127.0.0.1"]),
        "servfail" => Says::Code(2),
        "nowhere" => Says::Code(3),
        "empty" => Says::Addresses(Vec::new()),
        "silent" => Says::Nothing,
        other => panic!("nobody knows {other}"),
    }
}

/// This machine's address on its network, if it has one.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // Sends nothing: it only asks which way a packet would go.
    let found = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    found.map_or(Ipv4Addr::LOCALHOST.into(), |address| address.ip())
}

/// A service whose names are told by a name server of ours.
struct Field {
    world: World,
    canary: Canary,
    names: NameServer,
}

impl Field {
    /// `door` is the server that is listed as [`DOOR`].
    async fn new(door: Option<&Hostile>) -> Self {
        let canary = Canary::new().await;
        let names = NameServer::by(|name, asked| inward(name.split('.').next().unwrap(), asked)).await;
        let policy = Policy {
            allowed_hosts: door.iter().map(|door| format!("{DOOR}:{}", port_of(door))).collect(),
            ports: vec![80, 443, canary.port],
            name_servers: vec![names.address],
            ..Policy::default()
        };
        let limits = Limits { connect: Duration::from_millis(500), ..Limits::default() };
        let mut world = World::with(|config| config.dev = false).await;
        world.app.net = Arc::new(Net::new(&policy, limits).unwrap());
        world.start();
        Self { world, canary, names }
    }

    /// What a job for an image there ends in, if it is not tried again.
    async fn refused(&self, id: &str, url: &str) {
        let job = self.world.run(fetched(id, url)).await;
        let error = job.error.unwrap();
        assert_eq!(error.code, FailureCode::UrlNotAllowed, "{url}: {error:?}");
        for address in ["127.0.0.1", "::1", "169.254", "7f00"] {
            assert!(!error.message.contains(address), "{url}: {}", error.message);
        }
        assert_eq!(self.canary.heard(), 0, "{url} has reached this machine");
    }
}

fn port_of(server: &Hostile) -> &str {
    server.url.rsplit(':').next().unwrap()
}

/// Waits for whoever might still be on the way, then makes sure that the canary is alive.
async fn was_silent(canary: &Canary) {
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(canary.heard(), 0);
    drop(tokio::net::TcpStream::connect(("127.0.0.1", canary.port)).await.unwrap());
    while canary.heard() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// This machine, written in eighteen ways.
const LITERALS: [&str; 18] = [
    "127.0.0.1",
    "127.1",
    "127.0.0.1.",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "１２７.０.０.１",
    "%31%32%37.0.0.1",
    "0.0.0.0",
    "0",
    "localhost",
    "LOCALHOST.",
    "images.localhost",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:0:0]",
    "[0:0:0:0:0:ffff:7f00:1]",
];

#[tokio::test(flavor = "multi_thread")]
async fn literals_reach_nothing_from_a_job_or_a_callback() {
    let field = Field::new(None).await;
    for (number, host) in LITERALS.iter().enumerate() {
        let url = format!("http://{host}:{}/", field.canary.port);
        assert_eq!(field.world.app.net.check(&url), Err(Refusal::NotPublic), "{url}");
        field.refused(&format!("image-{number}"), &url).await;
        // Past the check of the route, as if the rules had been stricter since.
        let upload = field.world.upload(&format!("callback-{number}"), image()).await;
        field.world.run(with_callback(upload, &url)).await;
    }
    field.world.metric_at_least("spinelift_deliveries_total{outcome=\"given_up\"}", LITERALS.len() as f64).await;
    was_silent(&field.canary).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_inward_reach_nothing() {
    let field = Field::new(None).await;
    let names = [
        "v4",
        "v6",
        "any",
        "any6",
        "mapped",
        "nat64",
        "metadata",
        "private",
        "public-first",
        "inward-first",
        "families",
        "alias",
        "alias-out",
        "many",
    ];
    for name in names {
        field.refused(name, &format!("http://{name}.example:{}/", field.canary.port)).await;
    }
    was_silent(&field.canary).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_turns_inward_between_two_attempts_reaches_nothing() {
    let field = Field::new(None).await;
    let url = format!("http://rebinding.example:{}/", field.canary.port);
    // The first attempt finds nobody at a public address and is made again.
    let job = field.world.run(fetched("turns", &url)).await;
    assert_eq!((job.attempt, job.error.unwrap().code), (2, FailureCode::UrlNotAllowed));
    assert_eq!(field.names.asked(), 2, "each attempt looks once");
    was_silent(&field.canary).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_turns_inward_between_judgement_and_connection_is_connected_to_as_judged() {
    let good = Hostile::always(answer("200 OK", "", b"picture")).await;
    let port: u16 = port_of(&good).parse().unwrap();
    let names = NameServer::by(|_, asked| {
        let first = if asked == 0 { "127.0.0.1" } else { "127.0.0.3" };
        Says::Addresses(vec![ip(first)])
    })
    .await;
    let trap = TcpListener::bind(("127.0.0.3", port)).await.unwrap();
    let policy = Policy {
        allowed_networks: vec!["127.0.0.1/32".parse().unwrap()],
        ports: vec![port],
        name_servers: vec![names.address],
        ..Policy::default()
    };
    let net = Net::new(&policy, Limits::default()).unwrap();
    let url = format!("http://rebinding.example:{port}/");
    assert_eq!(net.fetch(&url, 1000).await.unwrap(), "picture");
    assert_eq!((names.asked(), good.connections()), (1, 1));
    // From now on it leads elsewhere, and is refused.
    let error = net.fetch(&url, 1000).await.unwrap_err();
    assert_eq!(error.failure.code, FailureCode::UrlNotAllowed);
    let heard = tokio::time::timeout(Duration::from_millis(100), trap.accept()).await;
    assert!(heard.is_err(), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_inward_reach_nothing() {
    let canary_port = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&canary_port);
    // `/STATUS/TARGET` redirects there.
    let door = Hostile::by(move |request| {
        let path = request.split(' ').nth(1).unwrap();
        let (status, target) = path[1..].split_once('/').unwrap();
        let target =
            TARGETS[target.parse::<usize>().unwrap()].replace("PORT", &told.load(Ordering::SeqCst).to_string());
        answer(&format!("{status} Elsewhere"), &format!("location: {target}\r\n"), b"")
    })
    .await;
    let field = Field::new(Some(&door)).await;
    canary_port.store(field.canary.port.into(), Ordering::SeqCst);
    let statuses = [301, 302, 303, 307, 308];
    for (number, target) in TARGETS.iter().enumerate() {
        let status = statuses[number % statuses.len()];
        let url = format!("http://{DOOR}:{}/{status}/{number}", port_of(&door));
        field.refused(&format!("redirect-{number}"), &url).await;
        assert!(door.connections() > number, "{target}");
    }
    was_silent(&field.canary).await;
}

/// Where redirects lead. The door's own address is not listed, only its name.
const TARGETS: [&str; 16] = [
    "http://127.0.0.1:PORT/",
    "//127.0.0.1:PORT/",
    "http://localhost:PORT/",
    "http://[::1]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://0x7f000001:PORT/",
    "http://0:PORT/",
    "\\\\127.0.0.1:PORT\\",
    "https:127.0.0.1:PORT",
    "http://door.example@127.0.0.1:PORT/",
    "http://v4.example:PORT/",
    "http://v6.example:PORT/",
    "http://mapped.example:PORT/",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.example/latest/meta-data/",
    "file:///etc/passwd",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_through_the_door_leads_inward_at_the_second_hop_too() {
    let canary_port = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&canary_port);
    let door = Hostile::by(move |request| {
        let port = told.load(Ordering::SeqCst);
        let target =
            if request.starts_with("GET /end ") { format!("http://v4.example:{port}/") } else { "/end".into() };
        answer("302 Found", &format!("location: {target}\r\n"), b"")
    })
    .await;
    let field = Field::new(Some(&door)).await;
    canary_port.store(field.canary.port.into(), Ordering::SeqCst);
    field.refused("hops", &format!("http://{DOOR}:{}/", port_of(&door))).await;
    assert_eq!(door.connections(), 2);
    was_silent(&field.canary).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_lead_inward_get_nothing() {
    let field = Field::new(None).await;
    let names = ["v4", "v6", "any", "mapped", "private", "inward-first", "alias", "many"];
    for name in names {
        let upload = field.world.upload(name, image()).await;
        let url = format!("http://{name}.example:{}/", field.canary.port);
        let job = field.world.run(with_callback(upload, &url)).await;
        assert_eq!(job.state, JobState::Completed, "the job itself has nothing to do with it");
    }
    // Answers of name servers change, so these are tried again.
    field.world.metric_at_least("spinelift_deliveries_total{outcome=\"retried\"}", names.len() as f64).await;
    was_silent(&field.canary).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_turns_inward_between_two_attempts_gets_no_second() {
    let canary = Canary::new().await;
    let receiver = Hostile::always(answer("500 Oh", "", b"")).await;
    let port: u16 = port_of(&receiver).parse().unwrap();
    // The receiver's address is allowed; then its name has another one, where somebody listens too.
    let names = NameServer::by(|_, asked| {
        let first = if asked == 0 { "127.0.0.1" } else { "127.0.0.4" };
        Says::Addresses(vec![ip(first)])
    })
    .await;
    let trap = TcpListener::bind(("127.0.0.4", port)).await.unwrap();
    let policy = Policy {
        allowed_networks: vec!["127.0.0.1/32".parse().unwrap()],
        ports: vec![port],
        name_servers: vec![names.address],
        ..Policy::default()
    };
    let mut world = World::with(|config| config.dev = false).await;
    world.app.net = Arc::new(Net::new(&policy, Limits::default()).unwrap());
    world.start();
    let upload = world.upload("a", image()).await;
    world.run(with_callback(upload, &format!("http://turning.example:{port}/"))).await;
    world.metric_at_least("spinelift_deliveries_total{outcome=\"retried\"}", 2.0).await;
    assert_eq!(receiver.connections(), 1);
    let heard = tokio::time::timeout(Duration::from_millis(100), trap.accept()).await;
    assert!(heard.is_err(), "{heard:?}");
    was_silent(&canary).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receivers_redirect_inward_is_not_followed() {
    let canary_port = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&canary_port);
    let door = Hostile::by(move |_| {
        let target = format!("location: http://127.0.0.1:{}/\r\n", told.load(Ordering::SeqCst));
        answer("307 Elsewhere", &target, b"")
    })
    .await;
    let field = Field::new(Some(&door)).await;
    canary_port.store(field.canary.port.into(), Ordering::SeqCst);
    let upload = field.world.upload("a", image()).await;
    field.world.run(with_callback(upload, &format!("http://{DOOR}:{}/", port_of(&door)))).await;
    field.world.metric_at_least("spinelift_deliveries_total{outcome=\"retried\"}", 1.0).await;
    assert!(door.connections() > 0);
    was_silent(&field.canary).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_nobody_can_tell_are_told_apart() {
    let field = Field::new(None).await;
    let limits = Limits { resolve: Duration::from_millis(300), ..Limits::default() };
    let policy = Policy { name_servers: vec![field.names.address], ..Policy::default() };
    let net = Net::new(&policy, limits).unwrap();
    for (name, code, transient) in [
        ("nowhere", FailureCode::SourceNotFound, false),
        ("empty", FailureCode::SourceNotFound, false),
        ("servfail", FailureCode::SourceUnavailable, true),
        ("silent", FailureCode::SourceTimeout, true),
    ] {
        let began = std::time::Instant::now();
        let error = net.fetch(&format!("http://{name}.example/"), 1000).await.unwrap_err();
        assert_eq!((error.failure.code, error.transient), (code, transient), "{name}: {error} {:?}", error.cause);
        assert!(began.elapsed() < Duration::from_secs(2), "{name}: {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_500_addresses_is_reached_by_one_of_the_first() {
    let good = Hostile::always(answer("200 OK", "", b"picture")).await;
    let port: u16 = port_of(&good).parse().unwrap();
    let names = NameServer::by(|_, _| Says::Addresses((0..500).map(|_| ip("127.0.0.1")).collect())).await;
    let policy = Policy {
        allowed_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ports: vec![port],
        name_servers: vec![names.address],
        ..Policy::default()
    };
    let net = Net::new(&policy, Limits::default()).unwrap();
    assert_eq!(net.fetch(&format!("http://many.example:{port}/"), 1000).await.unwrap(), "picture");
    assert_eq!(good.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_does_not_answer_leaves_time_for_the_next() {
    let good = Hostile::always(answer("200 OK", "", b"picture")).await;
    let port: u16 = port_of(&good).parse().unwrap();
    let names = NameServer::by(|_, _| Says::Addresses(vec![ip("127.0.0.9"), ip("127.0.0.1")])).await;
    let policy = Policy {
        allowed_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ports: vec![port],
        name_servers: vec![names.address],
        ..Policy::default()
    };
    let net = Net::new(&policy, Limits::default()).unwrap();
    assert_eq!(net.fetch(&format!("http://two.example:{port}/"), 1000).await.unwrap(), "picture");
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_in_the_environment_are_not_used() {
    let canary = Canary::new().await;
    let images = Hostile::always(answer("200 OK", "", &image())).await;
    let folder = tempfile::tempdir().unwrap();
    let proxy = format!("http://127.0.0.1:{}", canary.port);
    let names = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let settings: Vec<(&str, &str)> = names.iter().map(|name| (*name, proxy.as_str())).collect();
    let service = server::Server::start(folder.path(), &settings).await;
    let url = format!("http://{}/api/v1/mesh/generate", service.address);
    let body = json!({ "image_url": images.url, "callback_url": images.url }).to_string();
    let asked = client().post(url).header("content-type", "application/json").header("prefer", "wait=20").body(body);
    let status: Value = serde_json::from_str(&asked.send().await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(status["status"], "completed", "{status}");
    assert!(images.connections() > 0);
    was_silent(&canary).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_route_refuses_inward_urls_before_there_is_a_job() {
    let field = Field::new(None).await;
    let routes = spinelift::http::router(field.world.app.clone());
    for host in LITERALS {
        for name in ["image_url", "callback_url"] {
            let mut body = json!({ "image_url": "http://images.example/a.png" });
            body[name] = format!("http://{host}:{}/", field.canary.port).into();
            let asked = Request::post("/api/v1/mesh/generate")
                .header("host", "127.0.0.1")
                .header("content-type", "application/json");
            let answer = routes.clone().oneshot(asked.body(Body::from(body.to_string())).unwrap()).await.unwrap();
            let status = answer.status();
            let told = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            let told = String::from_utf8_lossy(&told);
            assert!(
                status == 422 && told.contains("not a public one") && !told.contains("127.0.0.1\""),
                "{host}: {told}"
            );
        }
    }
    was_silent(&field.canary).await;
}
