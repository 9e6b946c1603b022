//! Any bytes as a request to any route: an answer that the document knows, in its form, and never a fault of ours.
//!
//! An input is a line that chooses the operation, a line with the words of the path and the query, headers, an empty
//! line and the body. Where there are neither words nor query, the second line is `?`:
//!
//! ```text
//! POST /api/v1/mesh/{job_id}/callbacks/{webhook_id}/redeliver
//! done msg_done_10?limit=5
//! accept: application/problem+json
//!
//! {}
//! ```
//!
//! There is a job `done` that has ended. What an input submits is cancelled after it, so that the next finds room.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request};
use futures_util::stream;
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::Value;
use spinelift::app::App;
use spinelift::config::{Config, Durability};
use spinelift::net::{Limits, Net, Policy};
use spinelift::{http, worker};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

const MESH: &str = "/api/v1/mesh";

/// Larger than any answer to so small a request.
const LONGEST_ANSWER: usize = 16 << 20;

/// A header of inputs that is not sent: the body comes in pieces of so many bytes.
const PIECES: &str = "pieces";

/// What the connection's own code reads and makes consistent before a route hears of a request.
const OF_THE_CONNECTION: [HeaderName; 2] = [CONTENT_LENGTH, TRANSFER_ENCODING];

static SERVICE: LazyLock<Service> = LazyLock::new(Service::start);

/// The service without a connection.
struct Service {
    runtime: Runtime,
    router: Router,
    /// Method, path and responses of each operation.
    operations: Vec<(String, String, Value)>,
    codes: Value,
    _folder: TempDir,
}

/// An answer, read to its end.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Service {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let router = runtime.block_on(open(&folder));
        let document = runtime.block_on(ask(&router, "GET", "/openapi.json", HeaderMap::new(), Body::empty())).body;
        let document: Value = serde_json::from_slice(&document).expect("the document is JSON");
        let paths = document["paths"].as_object().expect("a document has paths").iter();
        let operations = paths.flat_map(|(path, item)| {
            let operations = item.as_object().expect("a path has operations").iter();
            operations.map(|(method, operation)| (method.to_uppercase(), path.clone(), operation["responses"].clone()))
        });
        let codes = document["components"]["schemas"]["ErrorCode"]["enum"].clone();
        Self { operations: operations.collect(), codes, runtime, router, _folder: folder }
    }

    /// The operation that a line names; of any other line, one that changes with every byte of it.
    fn operation(&self, line: &str) -> &(String, String, Value) {
        let named = self.operations.iter().find(|(method, path, _)| line.split(' ').eq([method, path]));
        let sum: usize = line.bytes().map(usize::from).sum();
        named.unwrap_or_else(|| &self.operations[sum % self.operations.len()])
    }

    /// Asks as a caller does.
    fn ask(&self, method: &str, path: &str, headers: HeaderMap, body: Body) -> Answer {
        self.runtime.block_on(ask(&self.router, method, path, headers, body))
    }

    /// Cancels every job that waits.
    fn clear(&self) {
        let waiting = self.ask("GET", &format!("{MESH}/jobs?status=processing"), HeaderMap::new(), Body::empty());
        let waiting: Value = serde_json::from_slice(&waiting.body).expect("a list of jobs is JSON");
        for job in waiting["jobs"].as_array().expect("a list of jobs") {
            let id = job["job_id"].as_str().expect("a job has an id");
            let answer = self.ask("DELETE", &format!("{MESH}/{id}"), HeaderMap::new(), Body::empty());
            assert_eq!(answer.status, 200, "a queued job is cancelled at once");
        }
    }

    /// Whether the document describes the answer.
    fn verify(&self, responses: &Value, answer: &Answer) {
        let Answer { status, headers, .. } = answer;
        let text = String::from_utf8_lossy(&answer.body);
        assert!(headers.contains_key("x-request-id") && headers["x-content-type-options"] == "nosniff", "{headers:?}");
        assert_ne!(*status, 500, "our own mistake: {text}");
        assert_eq!(headers.contains_key(RETRY_AFTER), matches!(status, 429 | 503), "{status}: {headers:?} {text}");
        let media_type = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().expect("a type is text"));
        let media_type = media_type.split(';').next().unwrap_or_default();
        let json = || serde_json::from_slice::<Value>(&answer.body).expect("a body is the JSON it says it is");
        if *status >= 400 {
            self.verify_error(*status, media_type, &json());
        }
        // Words of a path can make another route of it, or none.
        if matches!(status, 404 | 405) {
            return;
        }
        let described = responses.get(status.to_string());
        let described = described.unwrap_or_else(|| panic!("{status} is not in the document: {text}"));
        match described.get("content") {
            None => assert!(text.is_empty(), "a body that is not in the document: {text}"),
            Some(content) => {
                assert!(content.get(media_type).is_some(), "{media_type} of {status} is not in the document: {text}");
                assert!(!media_type.ends_with("json") || !json().is_null(), "an answer of null");
            }
        }
    }

    /// Each of the three shapes of an error, by its media type and fields.
    fn verify_error(&self, status: u16, media_type: &str, error: &Value) {
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        let is_code = |value: &Value| self.codes.as_array().is_some_and(|codes| codes.contains(value));
        let fits = match media_type {
            "application/problem+json" => {
                is_code(&error["code"]) && is_text(&error["detail"]) && error["status"] == status
            }
            "application/json" => {
                let inner = &error["error"];
                is_text(&error["detail"]) || (is_code(&inner["code"]) && is_text(&inner["message"]))
            }
            _ => false,
        };
        assert!(fits, "{media_type} of {status} is no documented error: {error}");
    }
}

/// The routes of a service in a folder, in which the job `done` has ended.
async fn open(folder: &TempDir) -> Router {
    let mut config = Config { dev: true, ..Config::default() };
    config.database.url = format!("sqlite:{}", folder.path().join("jobs.db").display());
    config.database.durability = Durability::Process;
    config.storage.path = folder.path().join("blobs");
    config.jobs.queue_limit = 8;
    config.jobs.cpu_threads = 1;
    (config.images.limits.max_width, config.images.limits.max_height) = (256, 256);
    // Most of it is kept for the answer, so that no wait is long.
    config.http.request_timeout = Duration::from_millis(600);
    let mut app = App::open(config).await.expect("the service opens");
    // Nobody is ever reached: no port but one that is closed, on this machine.
    let policy = Policy { ports: Vec::new(), allowed_hosts: ["127.0.0.1:9".into()].into(), ..Policy::default() };
    app.net = Net::new(&policy, Limits::default()).expect("a client").into();
    let router = http::router(app.clone());
    let workers = worker::start(&app);
    let star = include_bytes!("../../testdata/corpus/tiny-star-12.png");
    let head = "--B\r\ncontent-disposition: form-data; name=\"job_id\"\r\n\r\ndone\r\n\
                --B\r\ncontent-disposition: form-data; name=\"callback_url\"\r\n\r\nhttp://127.0.0.1:9/\r\n\
                --B\r\ncontent-disposition: form-data; name=\"file\"; filename=\"star.png\"\r\n\r\n";
    let body = [head.as_bytes(), star, b"\r\n--B--\r\n"].concat();
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=B"))];
    let submitted = ask(&router, "POST", &format!("{MESH}/generate"), headers.into_iter().collect(), body.into()).await;
    assert_eq!(submitted.status, 202, "{}", String::from_utf8_lossy(&submitted.body));
    loop {
        let path = format!("{MESH}/done/status?wait=1");
        let status = ask(&router, "GET", &path, HeaderMap::new(), Body::empty()).await.body;
        let status: Value = serde_json::from_slice(&status).expect("a status is JSON");
        match status["status"].as_str() {
            Some("processing") => {}
            Some("completed") => break,
            _ => panic!("the job did not end well: {status}"),
        }
    }
    workers.stop(Duration::from_secs(1)).await;
    router
}

/// One request and its answer. Streams of events end too, as every job has.
async fn ask(router: &Router, method: &str, path: &str, headers: HeaderMap, body: Body) -> Answer {
    let mut request = Request::new(body);
    *request.method_mut() = method.parse().expect("a method of the document");
    *request.uri_mut() = path.parse().expect("a path that was read before");
    *request.headers_mut() = headers;
    request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("localhost"));
    let (parts, body) = router.clone().oneshot(request).await.expect("a router always answers").into_parts();
    let body = to_bytes(body, LONGEST_ANSWER).await.expect("a body that ends");
    Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.to_vec() }
}

/// The path of an operation with the caller's words in it, and the query; `None` of what no request line holds.
fn filled(template: &str, line: &str) -> Option<String> {
    let (words, query) = line.split_once('?').map_or((line, None), |(words, query)| (words, Some(query)));
    let mut words = words.split(' ');
    let parts =
        template.split('/').map(|part| if part.starts_with('{') { words.next().unwrap_or("done") } else { part });
    let path = parts.collect::<Vec<_>>().join("/");
    let path = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    path.parse::<axum::http::Uri>().ok().map(|_| path)
}

/// Headers by their lines, and the size of the body's pieces. What no header can be is left out.
fn read_headers<'a>(lines: impl Iterator<Item = &'a str>) -> (HeaderMap, Option<usize>) {
    let (mut headers, mut pieces) = (HeaderMap::new(), None);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if name == PIECES {
            pieces = value.parse().ok().filter(|size| *size > 0);
        } else if let (Ok(name), Ok(value)) = (name.parse(), value.parse())
            && !OF_THE_CONNECTION.contains(&name)
        {
            headers.append(name, value);
        }
    }
    (headers, pieces)
}

fuzz_target!(init: {
    // The service contains the panics of its handlers and of one decoder: a handler's is a 500, which is looked for. By
    // default the fuzzer ends at any panic, with this at those that escape.
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}, |bytes: &[u8]| -> Corpus {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((bytes, &b""[..]), |end| (&bytes[..end], &bytes[end + 2..]));
    let Ok(head) = std::str::from_utf8(head) else { return Corpus::Reject };
    let mut lines = head.split('\n');
    let (method, template, responses) = SERVICE.operation(lines.next().unwrap_or_default());
    let Some(path) = filled(template, lines.next().unwrap_or_default()) else { return Corpus::Reject };
    let (mut headers, pieces) = read_headers(lines);
    let body = match pieces {
        Some(size) => {
            let pieces: Vec<_> = body.chunks(size).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
            Body::from_stream(stream::iter(pieces))
        }
        None => {
            headers.insert(CONTENT_LENGTH, body.len().into());
            Body::from(body.to_vec())
        }
    };
    let answer = SERVICE.ask(method, &path, headers, body);
    SERVICE.verify(responses, &answer);
    // Not in time is perhaps done all the same.
    if method == "POST" && matches!(answer.status, 200 | 202 | 503) {
        SERVICE.clear();
    }
    Corpus::Keep
});
