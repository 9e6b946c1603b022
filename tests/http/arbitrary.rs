//! Whatever is sent to whatever route: never a fault of ours, always an answer that the document knows.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use crate::service::{MESH, Service};
use crate::wire::Ask;

/// What a body may claim to be.
const MEDIA_TYPES: [&str; 6] = [
    "application/json",
    "application/json; charset=utf-8",
    "multipart/form-data; boundary=BOUNDARY",
    "multipart/form-data; boundary=\"",
    "image/png",
    "\u{fc}",
];

/// Beginnings that lead further in than noise does.
const BEGINNINGS: [&[u8]; 12] = [
    b"",
    b"{\"image_url\": \"",
    b"{\"image_url\": \"http://127.0.0.1:9/a.png\", \"parameters\": {\"detail_factor\": ",
    b"{\"image_urls\": [\"http://127.0.0.1:9/a.png\", ",
    b"{\"image_url\": \"http://127.0.0.1:9/a.png\", \"callback_url\": \"http://",
    b"{\"job_id\": \"",
    b"--BOUNDARY\r\n",
    b"--BOUNDARY\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n",
    b"--BOUNDARY\r\ncontent-disposition: form-data; name=\"parameters\"\r\n\r\n{",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"RIFF\x20\0\0\0WEBPVP8L",
    b"GIF89a",
];

const ENDS: [&[u8]; 5] = [b"", b"}", b"\"}", b"]}", b"\r\n--BOUNDARY--\r\n"];

fn body() -> impl Strategy<Value = Vec<u8>> {
    let middle = prop_oneof![
        vec(any::<u8>(), 0..200),
        ".{0,60}".prop_map(String::into_bytes),
        "[-0-9eE.+]{1,20}".prop_map(String::into_bytes)
    ];
    (0..BEGINNINGS.len(), middle, 0..ENDS.len())
        .prop_map(|(beginning, middle, end)| [BEGINNINGS[beginning], &middle, ENDS[end]].concat())
}

/// A method, a path of the API or beside it, and a query. What a request line cannot hold never reaches a route.
fn line() -> impl Strategy<Value = (String, String)> {
    let method = prop_oneof![4 => Just("POST"), 2 => Just("GET"), 1 => Just("DELETE"), 1 => Just("HEAD"), 1 => Just("PUT"), 1 => Just("BREW")];
    let id = "[A-Za-z0-9_.%~-]{1,70}";
    let path = prop_oneof![
        4 => prop_oneof![
            Just(format!("{MESH}/generate")),
            Just(format!("{MESH}/preview")),
            Just(format!("{MESH}/batch")),
            Just("/api/generate_mesh".to_owned()),
            Just("/api/generate_mesh_from_file".to_owned()),
            Just("/api/extract_layers".to_owned()),
        ],
        2 => (id, "status|result|events|").prop_map(|(id, part)| format!("{MESH}/{id}/{part}")),
        1 => Just(format!("{MESH}/jobs")),
        1 => id.prop_map(|id| format!("{MESH}/batch/{id}/status")),
        1 => "/[A-Za-z0-9%._~/&=+,;:@!$()*-]{0,60}",
    ];
    let name = "format|wait|limit|cursor|status|detail_factor|blur_kernel_size|expires|signature|[a-z%]{0,8}";
    let query =
        vec((name, "[A-Za-z0-9%._~/=+,;:@!$()*-]{0,30}").prop_map(|(name, value)| format!("{name}={value}")), 0..4);
    (method, path, query).prop_map(|(method, path, query)| {
        // The document knows the old routes by their one method.
        let method = if path.starts_with("/api/") && !path.starts_with(MESH) { "POST" } else { method };
        (method.to_owned(), format!("{path}?{}", query.join("&")))
    })
}

#[test]
fn any_bytes_to_any_route_are_answered_as_documented() {
    let runtime = Runtime::new().unwrap();
    let service = runtime.block_on(Service::without_workers(|config| {
        config.http.request_timeout = std::time::Duration::from_secs(2);
    }));
    let mut runner = TestRunner::new(Config { cases: 600, failure_persistence: None, ..Config::default() });
    let asked = (line(), 0..MEDIA_TYPES.len(), body(), prop_oneof![Just("*/*".to_owned()), "[ -~]{0,40}"]);
    let result = runner.run(&asked, |((method, path), media_type, body, accept)| {
        let ask = Ask::new(&method, &path).header("content-type", MEDIA_TYPES[media_type]).header("accept", accept);
        let ask = if method == "GET" || method == "HEAD" { ask } else { ask.body(body) };
        // The service's document is held against the answer in here.
        let answer = runtime.block_on(service.send(ask));
        // The old routes fetch before they answer, and no server listens at the URLs above.
        let theirs = path.starts_with("/api/generate") && answer.status == 502;
        prop_assert!(answer.status < 500 || theirs, "{}: {}", answer.status, answer.text());
        if answer.status >= 400 && method != "HEAD" {
            let error: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            prop_assert!(error.get("error").or(error.get("code")).or(error.get("detail")).is_some(), "{error}");
        }
        Ok(())
    });
    result.unwrap();
}
