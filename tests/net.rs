//! Requests to URLs that callers name: which are refused, and what hostile servers cannot do.

#![cfg(feature = "serve")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[path = "net/hostile.rs"]
mod hostile;

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hostile::{Act, Hostile, answer};
use spinelift::job::FailureCode;
use spinelift::net::{FetchError, Limits, Net, NetError, Policy, Refusal, SendError};

/// The cap of these tests, bytes.
const CAP: u64 = 1000;

/// Limits short enough to wait for, in the order of the real ones.
fn short() -> Limits {
    Limits {
        connect: Duration::from_millis(300),
        first_byte: Duration::from_millis(300),
        idle: Duration::from_millis(300),
        total: Duration::from_secs(2),
        grace: Duration::from_millis(500),
        ..Limits::default()
    }
}

fn net(dev: bool, hosts: &[&str]) -> Net {
    Net::new(&policy(dev, hosts), short()).unwrap()
}

fn policy(dev: bool, hosts: &[&str]) -> Policy {
    Policy { dev, allowed_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), ..Policy::default() }
}

async fn fetch(url: &str) -> Result<Bytes, FetchError> {
    net(true, &[]).fetch(url, CAP).await
}

fn port_of(server: &Hostile) -> &str {
    server.url.rsplit(':').next().unwrap()
}

/// What a fetch from a server with this habit ends in.
async fn fetch_from(act: Act) -> Result<Bytes, FetchError> {
    let server = Hostile::always(act).await;
    fetch(&server.url).await
}

#[track_caller]
fn assert_error(result: Result<Bytes, FetchError>, code: FailureCode, transient: bool) -> FetchError {
    let error = result.unwrap_err();
    assert_eq!((error.failure.code, error.transient), (code, transient), "{error}: {:?}", error.cause);
    let told = error.failure.message.clone();
    assert!(!told.contains("127.0.0.1") && !told.contains("os error"), "{told}");
    error
}

#[tokio::test]
async fn an_image_is_fetched_as_it_is() {
    let server = Hostile::by(|request| {
        let asks = request.to_lowercase();
        assert!(asks.contains("accept-encoding: identity\r\n") && asks.contains("user-agent: spinelift/"), "{asks}");
        answer("200 OK", "", b"picture")
    })
    .await;
    assert_eq!(fetch(&server.url).await.unwrap(), "picture");
}

#[tokio::test]
async fn exactly_the_cap_is_read_and_one_byte_more_is_not() {
    let cap = vec![7; CAP as usize];
    let more = vec![7; CAP as usize + 1];
    assert_eq!(fetch_from(answer("200 OK", "", &cap)).await.unwrap().len(), cap.len());
    let error = assert_error(fetch_from(answer("200 OK", "", &more)).await, FailureCode::SourceTooLarge, false);
    assert_eq!(error.failure.details["limit_bytes"], CAP);
    for (body, fits) in [(&cap, true), (&more, false)] {
        let mut text = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        text.extend_from_slice(body);
        assert_eq!(fetch_from(Act::Say(text)).await.is_ok(), fits, "without a length");
    }
}

#[tokio::test]
async fn a_length_that_is_too_large_is_refused_before_the_body() {
    let lie = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000000\r\n\r\n".to_vec();
    let began = Instant::now();
    assert_error(fetch_from(Act::SayAndHang(lie)).await, FailureCode::SourceTooLarge, false);
    assert!(began.elapsed() < short().idle, "{:?}", began.elapsed());
}

#[tokio::test]
async fn endless_chunks_end_at_the_cap() {
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let chunk = [b"64\r\n".to_vec(), vec![7; 100], b"\r\n".to_vec()].concat();
    assert_error(fetch_from(Act::Drip(head, chunk, Duration::ZERO)).await, FailureCode::SourceTooLarge, false);
}

#[tokio::test]
async fn a_server_that_never_answers_is_left() {
    assert_error(fetch_from(Act::SayAndHang(Vec::new())).await, FailureCode::SourceTimeout, true);
    let half = b"HTTP/1.1 200 OK\r\nx: y".to_vec();
    assert_error(fetch_from(Act::SayAndHang(half)).await, FailureCode::SourceTimeout, true);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_left() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc".to_vec();
    let error = assert_error(fetch_from(Act::SayAndHang(head)).await, FailureCode::SourceTimeout, true);
    assert!(error.failure.message.contains("sent nothing"), "{error}");
}

#[tokio::test]
async fn a_byte_now_and_then_is_too_slow() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n".to_vec();
    let drip = Act::Drip(head, b"x".to_vec(), Duration::from_millis(50));
    let began = Instant::now();
    let error = assert_error(fetch_from(drip).await, FailureCode::SourceTimeout, true);
    assert!(error.failure.message.contains("8192 bytes a second"), "{error}");
    assert!(began.elapsed() < Duration::from_millis(1200), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_whole_has_a_limit_too() {
    // Each hop keeps to its own limits.
    let server = Hostile::by(|_| {
        std::thread::sleep(Duration::from_millis(250));
        answer("302 Found", "location: /\r\n", b"")
    })
    .await;
    let limits = Limits { total: Duration::from_millis(400), ..short() };
    let net = Net::new(&policy(true, &[]), limits).unwrap();
    assert_error(net.fetch(&server.url, CAP).await, FailureCode::SourceTimeout, true);
}

#[tokio::test]
async fn a_body_shorter_than_its_length_is_tried_again() {
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec();
    assert_error(fetch_from(Act::Say(short)).await, FailureCode::SourceUnavailable, true);
    let cut_chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\nhalf".to_vec();
    assert_error(fetch_from(Act::Say(cut_chunk)).await, FailureCode::SourceUnavailable, true);
}

#[tokio::test]
async fn a_body_longer_than_its_length_ends_there() {
    let long = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\npicture and more".to_vec();
    assert_eq!(fetch_from(Act::Say(long)).await.unwrap(), "picture");
}

#[tokio::test]
async fn what_speaks_no_http_is_tried_again() {
    for nonsense in [&b""[..], b"220 mail ready\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nx"] {
        assert_error(fetch_from(Act::Say(nonsense.to_vec())).await, FailureCode::SourceUnavailable, true);
    }
}

#[tokio::test]
async fn nobody_listening_is_tried_again() {
    let url = Hostile::always(answer("200 OK", "", b"")).await.url.clone();
    assert_error(fetch(&url).await, FailureCode::SourceUnavailable, true);
}

#[tokio::test]
async fn every_status_has_its_meaning() {
    use FailureCode::{SourceNotFound, SourceUnavailable};
    let cases = [
        ("404 Not Found", SourceNotFound, false),
        ("410 Gone", SourceNotFound, false),
        ("400 Bad Request", SourceUnavailable, false),
        ("401 Unauthorized", SourceUnavailable, false),
        ("403 Forbidden", SourceUnavailable, false),
        ("408 Request Timeout", SourceUnavailable, true),
        ("425 Too Early", SourceUnavailable, true),
        ("429 Too Many Requests", SourceUnavailable, true),
        ("500 Internal Server Error", SourceUnavailable, true),
        ("503 Service Unavailable", SourceUnavailable, true),
        ("206 Partial Content", SourceUnavailable, false),
        ("204 No Content", SourceUnavailable, false),
        ("304 Not Modified", SourceUnavailable, false),
        ("300 Multiple Choices", SourceUnavailable, false),
    ];
    for (status, code, transient) in cases {
        assert_error(fetch_from(answer(status, "", b"")).await, code, transient);
    }
}

#[tokio::test]
async fn a_source_may_ask_to_be_left_alone_for_a_while() {
    for (text, seconds) in [("120", Some(120)), ("-1", None), ("999999999999999999999", Some(86_400))] {
        let header = format!("retry-after: {text}\r\n");
        let error = fetch_from(answer("503 Service Unavailable", &header, b"")).await.unwrap_err();
        assert_eq!(error.retry_after, seconds.map(Duration::from_secs), "{text}");
    }
}

#[tokio::test]
async fn an_encoding_other_than_gzip_is_refused() {
    for encoding in ["gzip, gzip", "br", "deflate", "gzip, br", "identity, zstd", "x"] {
        let header = format!("content-encoding: {encoding}\r\n");
        let error = fetch_from(answer("200 OK", &header, b"x")).await;
        assert_error(error, FailureCode::SourceUnavailable, false);
    }
    let twice = "content-encoding: gzip\r\ncontent-encoding: gzip\r\n";
    assert_error(fetch_from(answer("200 OK", twice, &gzip(b"x"))).await, FailureCode::SourceUnavailable, false);
    for plain in ["Identity", "", "identity, identity"] {
        let header = format!("content-encoding: {plain}\r\n");
        assert_eq!(fetch_from(answer("200 OK", &header, b"x")).await.unwrap(), "x");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn gzip_is_unpacked_up_to_the_cap() {
    let packed = |bytes: &[u8]| answer("200 OK", "content-encoding: GZIP\r\n", &gzip(bytes));
    assert_eq!(fetch_from(packed(b"picture")).await.unwrap(), "picture");
    assert_eq!(fetch_from(packed(&[7; CAP as usize])).await.unwrap().len(), CAP as usize);
    assert_error(fetch_from(packed(&[7; CAP as usize + 1])).await, FailureCode::SourceTooLarge, false);
    let old_name = answer("200 OK", "content-encoding: x-gzip\r\n", &gzip(b"picture"));
    assert_eq!(fetch_from(old_name).await.unwrap(), "picture");
}

#[tokio::test]
async fn gzip_that_is_none_or_cut_short_is_refused() {
    let whole = gzip(b"a picture of some length");
    let members = [gzip(b"pic"), gzip(b"ture")].concat();
    for broken in [members, b"not packed".to_vec(), whole[..whole.len() - 1].to_vec(), whole[..12].to_vec(), Vec::new()]
    {
        let result = fetch_from(answer("200 OK", "content-encoding: gzip\r\n", &broken)).await;
        assert_error(result, FailureCode::SourceUnavailable, false);
    }
    let mut wrong_sum = whole;
    let sum = wrong_sum.len() - 8;
    wrong_sum[sum] ^= 1;
    let result = fetch_from(answer("200 OK", "content-encoding: gzip\r\n", &wrong_sum)).await;
    assert_error(result, FailureCode::SourceUnavailable, false);
}

/// 1 MB that unpacks to 1 GiB, made once.
fn bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    (0..1024).for_each(|_| encoder.write_all(&zeros).unwrap());
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_gzip_bomb_is_seen_in_its_first_piece() {
    let bomb = bomb();
    assert!((1_000_000..1_100_000).contains(&bomb.len()), "{}", bomb.len());
    let server = Hostile::always(answer("200 OK", "content-encoding: gzip\r\n", &bomb)).await;
    let net = net(true, &[]);
    let began = Instant::now();
    let result = net.fetch(&server.url, 64 << 20).await;
    println!("a bomb of {} bytes was refused after {:?}", bomb.len(), began.elapsed());
    let error = assert_error(result, FailureCode::SourceTooLarge, false);
    assert!(error.failure.message.contains("unpacks"), "{error}");
    // The bar is 50 ms; a busy machine gets more.
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_header_without_end_is_refused() {
    let fields = "x-filler: 0123456789\r\n".repeat(129);
    let many = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 7\r\n\r\npicture").into_bytes();
    assert_error(fetch_from(Act::Say(many)).await, FailureCode::SourceUnavailable, true);
    let endless = Act::Drip(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'x'; 65536], Duration::ZERO);
    let began = Instant::now();
    assert_error(fetch_from(endless).await, FailureCode::SourceUnavailable, true);
    assert!(began.elapsed() < short().first_byte, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_redirects_own_body_is_not_read() {
    let server = Hostile::by(|request| {
        if request.starts_with("GET /end ") {
            answer("200 OK", "", b"picture")
        } else {
            answer("302 Found", "location: /end\r\n", &vec![7; 20 << 20])
        }
    })
    .await;
    let began = Instant::now();
    assert_eq!(fetch(&server.url).await.unwrap(), "picture");
    assert!(began.elapsed() < short().first_byte * 2, "{:?}", began.elapsed());
}

/// A server whose `/N` redirects to `/N-1`, and `/0` is the image.
async fn stairs() -> Hostile {
    Hostile::by(|request| {
        let step: u32 = request.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        match step {
            0 => answer("200 OK", "", b"picture"),
            step => answer("307 Temporary Redirect", &format!("location: /{}\r\n", step - 1), b""),
        }
    })
    .await
}

#[tokio::test]
async fn three_redirects_are_followed_and_a_fourth_is_not() {
    let server = stairs().await;
    assert_eq!(fetch(&format!("{}/3", server.url)).await.unwrap(), "picture");
    assert_eq!(server.connections(), 4);
    let error = fetch(&format!("{}/4", server.url)).await;
    assert_error(error, FailureCode::SourceUnavailable, false);
    assert_eq!(server.connections(), 8);
}

#[tokio::test]
async fn every_kind_of_redirect_is_followed() {
    for status in ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent"] {
        let server = Hostile::by(move |request| {
            if request.starts_with("GET /end ") {
                answer("200 OK", "", b"picture")
            } else {
                answer(status, "location: end\r\n", b"")
            }
        })
        .await;
        assert_eq!(fetch(&server.url).await.unwrap(), "picture", "{status}");
    }
}

#[tokio::test]
async fn a_redirect_to_nowhere_ends_there() {
    for headers in ["", "location: http://\r\n", "location: \u{e4}\r\n", "location: http://[\r\n"] {
        let result = fetch_from(answer("302 Found", headers, b"")).await;
        assert_error(result, FailureCode::SourceUnavailable, false);
    }
}

#[tokio::test]
async fn a_redirect_is_judged_like_the_first_url() {
    let inner = Hostile::always(answer("200 OK", "", b"secret")).await;
    let targets = [
        inner.url.clone(),
        format!("//127.0.0.1:{}/", port_of(&inner)),
        format!("http://0x7f000001:{}/", port_of(&inner)),
        "http://169.254.169.254/latest/meta-data/".into(),
        "file:///etc/passwd".into(),
        "data:image/png;base64,AAAA".into(),
    ];
    for target in targets {
        let header = format!("location: {target}\r\n");
        let outer = Hostile::always(answer("302 Found", &header, b"")).await;
        // Listed by name and port, so the other server on the same machine is not.
        let listed = net(false, &[&format!("localhost:{}", port_of(&outer))]);
        let result = listed.fetch(&format!("http://localhost:{}/", port_of(&outer)), CAP).await;
        let error = assert_error(result, FailureCode::UrlNotAllowed, false);
        assert!(!error.failure.message.contains("169.254"), "{error}");
    }
    assert_eq!(inner.connections(), 0);
}

#[test]
fn only_web_urls_without_users_are_reached() {
    let net = net(true, &["example.com"]);
    assert_eq!(net.check("http://example.com/a.png").unwrap().as_str(), "http://example.com/a.png");
    let refused = [
        ("", Refusal::Form),
        ("image.png", Refusal::Form),
        ("//example.com/", Refusal::Form),
        ("http://", Refusal::Form),
        ("http://exa mple.com/", Refusal::Form),
        ("http://[::1/", Refusal::Form),
        ("http://example.com:99999/", Refusal::Form),
        ("http://1.2.3.4.5/", Refusal::Form),
        ("file:///etc/passwd", Refusal::Scheme("file".into())),
        ("gopher://example.com/", Refusal::Scheme("gopher".into())),
        ("data:image/png;base64,AAAA", Refusal::Scheme("data".into())),
        ("ftp://example.com/a.png", Refusal::Scheme("ftp".into())),
        ("javascript:alert(1)", Refusal::Scheme("javascript".into())),
        ("http://user@example.com/", Refusal::UserInfo),
        ("http://user:password@example.com/", Refusal::UserInfo),
        ("http://:password@example.com/", Refusal::UserInfo),
        ("http://example.com@127.0.0.1/", Refusal::UserInfo),
        ("http://example.com:8080/", Refusal::Port(8080)),
    ];
    for (url, refusal) in refused {
        assert_eq!(net.check(url), Err(refusal), "{url}");
    }
    let long = format!("http://example.com/{}", "x".repeat(2048));
    assert_eq!(net.check(&long), Err(Refusal::Length(long.len())));
    // Short as written, long once its letters are escaped.
    let escaped = format!("http://example.com/{}", "ä".repeat(800));
    assert!(matches!(net.check(&escaped), Err(Refusal::Length(_))));
}

#[test]
fn a_listed_host_is_found_in_any_spelling() {
    let net = net(false, &["example.com:81", "images.example:8080", "bücher.example:82", "[::1]:81", "10.0.0.1"]);
    let reached = [
        "http://example.com:81/",
        "https://example.com:81/",
        "http://EXAMPLE.com:81/",
        "http://example.com.:81/",
        "http://ｅｘａｍｐｌｅ.com:81/",
        "http://%65xample.com:81/",
        "http://images.example:8080/",
        "http://bücher.example:82/",
        "http://xn--bcher-kva.example:82/",
        "http://[0:0:0:0:0:0:0:1]:81/",
        "http://0xa000001/",
        "https://10.0.0.1/",
    ];
    for url in reached {
        assert!(net.check(url).is_ok(), "{url}: {:?}", net.check(url));
    }
    let refused = [
        "http://example.com:8080/",
        "http://example.com..:81/",
        "http://www.example.com:81/",
        "http://images.example:81/",
        "http://[::1]/",
        "http://[::1]:80/",
        "http://10.0.0.2/",
        "http://10.0.0.1:81/",
        "http://bucher.example:82/",
    ];
    for url in refused {
        assert!(net.check(url).is_err(), "{url}");
    }
}

/// This machine, as strangers spell it.
const LOOPBACK: &[&str] = &[
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.255.255.254/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://127.0.0.1./",
    "http://１２７.０.０.１/",
    "http://127。0。0。1/",
    "http://%31%32%37.0.0.1/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://images.localhost/",
    "http://127.0.0.1:8000/",
];

#[test]
fn this_machine_is_reached_only_by_developers() {
    let (public, dev) = (net(false, &[]), net(true, &[]));
    for url in LOOPBACK {
        assert!(matches!(public.check(url), Err(Refusal::NotPublic | Refusal::Port(8000))), "{url}");
        assert!(dev.check(url).is_ok(), "{url}: {:?}", dev.check(url));
    }
    for url in ["http://0.0.0.0/", "http://10.0.0.1/", "http://[::]/", "http://[fd00::1]/", "http://169.254.169.254/"] {
        assert_eq!(dev.check(url), Err(Refusal::NotPublic), "{url}");
    }
}

#[tokio::test]
async fn a_refused_url_is_neither_fetched_nor_called() {
    let server = Hostile::always(answer("200 OK", "", b"secret")).await;
    let net = net(false, &["example.com"]);
    for host in ["127.0.0.1", "localhost", "0x7f000001", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{}/", port_of(&server));
        let error = net.fetch(&url, CAP).await.unwrap_err();
        assert_eq!((error.failure.code, error.transient), (FailureCode::UrlNotAllowed, false));
        let error = net.post(&url, &[], Bytes::new(), Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(error, SendError::Refused(Refusal::Port(_))), "{error:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn localhost_is_this_machine_without_asking_anybody() {
    let server = Hostile::always(answer("200 OK", "", b"picture")).await;
    for name in ["localhost", "images.localhost", "localhost."] {
        assert_eq!(fetch(&format!("http://{name}:{}/", port_of(&server))).await.unwrap(), "picture", "{name}");
    }
}

#[test]
fn a_list_with_a_mistake_is_refused_with_the_entry() {
    for entry in ["", "http://example.com", "example.com/", "example.com:", "example.com:http", "a b", "u@example.com"]
    {
        let error = Net::new(&policy(false, &[entry]), short()).unwrap_err();
        assert!(matches!(&error, NetError::AllowedHost(named) if named == entry), "{entry:?}: {error:?}");
    }
}

async fn post(act: Act) -> Result<spinelift::net::Answer, SendError> {
    let server = Hostile::always(act).await;
    let headers = [("webhook-id", "msg_1".to_owned())];
    net(true, &[]).post(&server.url, &headers, Bytes::from_static(b"{}"), Duration::from_millis(500)).await
}

#[tokio::test]
async fn a_receivers_status_is_its_answer_whatever_follows() {
    let began = Instant::now();
    let endless = Act::Drip(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![7; 65536], Duration::ZERO);
    assert_eq!(post(endless).await.unwrap().status, 200);
    assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());
    let hangs_after = Act::SayAndHang(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec());
    assert_eq!(post(hangs_after).await.unwrap().status, 204);
    let half = Act::SayAndHang(b"HTTP/1.1 500 Oh\r\ncontent-length: 9\r\n\r\nhalf".to_vec());
    assert_eq!(post(half).await.unwrap().status, 500);
}

#[tokio::test]
async fn a_receivers_redirect_is_an_answer() {
    let elsewhere = Hostile::always(answer("200 OK", "", b"")).await;
    let header = format!("location: {}\r\nretry-after: 7\r\n", elsewhere.url);
    let answer = post(answer("307 Temporary Redirect", &header, b"")).await.unwrap();
    assert_eq!((answer.status, answer.retry_after), (307, Some(Duration::from_secs(7))));
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_left() {
    let error = post(Act::SayAndHang(Vec::new())).await.unwrap_err();
    assert!(matches!(error, SendError::TimedOut(_)), "{error:?}");
    let error = post(Act::Say(Vec::new())).await.unwrap_err();
    assert!(matches!(error, SendError::Failed(_)) && error.source().is_some(), "{error:?}");
    assert!(!error.to_string().contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn no_error_holds_the_secret_of_a_url() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let policy = Policy { dev: true, ..Default::default() };
    let net = Net::new(&policy, Limits::default()).unwrap();
    let url = format!("http://{closed}/?X-Amz-Signature=SECRET");
    let fetched = net.fetch(&url, 1000).await.unwrap_err();
    let sent = net.post(&url, &[], Bytes::new(), Duration::from_secs(5)).await.unwrap_err();
    for shown in [format!("{fetched} {fetched:?}"), format!("{sent} {sent:?}")] {
        assert!(!shown.contains("SECRET"), "{shown}");
    }
}
