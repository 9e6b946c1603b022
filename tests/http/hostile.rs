//! What nobody means well with.

use serde_json::json;

use crate::service::{MESH, Service, star};
use crate::wire::Ask;

#[tokio::test]
async fn an_id_in_a_path_is_never_more_than_an_id() {
    let service = Service::without_workers(|_| {}).await;
    let long = "x".repeat(65);
    for id in
        ["%2e%2e", "..%2f..%2fetc%2fpasswd", "%00", "a%00b", "%ff", "a%20b", "%F0%9F%92%A9", "a.b", &long, "generate"]
    {
        for part in ["status", "result", "events"] {
            service.get(format!("{MESH}/{id}/{part}")).await.refused(404, "JOB_NOT_FOUND");
        }
        let cancel = service.send(Ask::new("DELETE", format!("{MESH}/{id}"))).await;
        assert!(matches!(cancel.status, 404 | 405), "{id}: {}", cancel.text());
    }
    service.get(format!("{MESH}/../../etc/passwd/status")).await.refused(404, "ROUTE_NOT_FOUND");
}

#[tokio::test]
async fn an_id_in_a_body_is_checked() {
    let service = Service::without_workers(|_| {}).await;
    let long = "x".repeat(65);
    for id in ["../../etc/passwd", "%2e%2e", "a\0b", "", "jobs", "a b", &long] {
        let body = json!({ "image_url": "http://127.0.0.1:9/a.png", "job_id": id });
        let answer = service.post(&format!("{MESH}/generate"), &body).await;
        answer.refused(422, "VALIDATION_FAILED");
        assert_eq!(answer.json()["error"]["details"]["violations"][0]["name"], "job_id");
    }
}

#[tokio::test]
async fn broken_json_is_refused_with_a_reason() {
    let service = Service::without_workers(|_| {}).await;
    let deep = "[".repeat(10_000);
    let deep = format!("{{\"image_url\": {deep}");
    let bodies: [(&[u8], &str); 12] = [
        (b"", "EOF"),
        (b"{", "EOF"),
        (b"[]", "must be an object"),
        (b"{\"image_url\": \"\xff\"}", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"{\"a\": NaN}", "expected value"),
        (b"{\"a\": 1e999}", "out of range"),
        (b"{\"job_id\": \"a\", \"job_id\": \"b\"}", "same name twice"),
        (deep.as_bytes(), "nested"),
        (b"{} {}", "trailing"),
        (b"{\"a\": \"\n\"}", "control character"),
        (b"{\"a\": \"\\ud800\"}", "hex escape"),
    ];
    for (body, reason) in bodies {
        let answer = service.send(Ask::post(format!("{MESH}/generate")).text(body)).await;
        answer.refused(400, "MALFORMED_REQUEST");
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(reason), "{reason:?} is not in {message:?}");
    }
}

#[tokio::test]
async fn broken_forms_are_refused() {
    let service = Service::without_workers(|_| {}).await;
    let star = star();
    let path = || Ask::post(format!("{MESH}/generate"));
    let twice: [(&str, Option<&str>, &[u8]); 3] =
        [("file", None, &star), ("job_id", None, b"a"), ("job_id", None, b"b")];
    let refusal = async |parts: &[(&str, Option<&str>, &[u8])]| {
        let answer = service.send(path().form(parts)).await;
        answer.refused(400, "MALFORMED_REQUEST");
        answer.json()["error"]["message"].as_str().unwrap().to_owned()
    };
    assert!(refusal(&twice).await.ends_with("the field \"job_id\" occurs twice"));
    let not_json: [(&str, Option<&str>, &[u8]); 2] = [("file", None, &star), ("parameters", None, b"{")];
    service.send(path().form(&not_json)).await.refused(400, "MALFORMED_REQUEST");
    let not_utf8: [(&str, Option<&str>, &[u8]); 2] = [("file", None, &star), ("job_id", None, b"\xff")];
    assert!(refusal(&not_utf8).await.ends_with("the field \"job_id\" is a text, but not UTF-8"));
    let mut cut = path().form(&[("file", None, &star)]);
    cut.body.truncate(80);
    service.send(cut).await.refused(400, "MALFORMED_REQUEST");
    let no_boundary = path().header("content-type", "multipart/form-data").body("x");
    service.send(no_boundary).await.refused(400, "MALFORMED_REQUEST");
    service.send(path().header("content-type", "text/plain").body("x")).await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    service.send(path().body("x")).await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
}

#[tokio::test]
async fn a_file_under_a_wrong_name_is_said_to_be_one() {
    let service = Service::without_workers(|_| {}).await;
    let star = star();
    let long = "x\\y".repeat(100);
    let parts: [(&str, Option<&str>, &[u8]); 5] = [
        ("wrong", Some("a.png"), &star),
        (&long, Some("b.png"), &star),
        ("c", Some("c.txt"), b"text"),
        ("d", Some("d.png"), &star),
        ("e", None, b"no file"),
    ];
    let message = async |path: &str, parts: &[(&str, Option<&str>, &[u8])]| {
        let answer = service.send(Ask::post(path).form(parts)).await;
        assert_eq!(answer.status, 422, "{}", answer.text());
        let body = answer.json();
        body.get("detail").unwrap_or(&body["error"]["message"]).as_str().unwrap().to_owned()
    };
    let routes = [
        (format!("{MESH}/generate"), "file is null, must be the image, a file of a multipart form"),
        (format!("{MESH}/preview"), "file is null, must be one file"),
        (
            format!("{MESH}/batch"),
            "images is 0, must be 1 to 100 images in all, as `images`, `image_urls` or `file`s of a multipart form",
        ),
        ("/api/generate_mesh_from_file".into(), "file is null, must be the image, a file of a multipart form"),
        ("/api/extract_layers".into(), "psd_file is null, must be one file, a part of a multipart form"),
    ];
    let shown = format!("\"{}...\"", "x\\\\y".repeat(20));
    for (path, missing) in routes {
        let one = message(&path, &parts[..1]).await;
        assert_eq!(one, format!("{missing}; a file was sent as \"wrong\" instead"), "{path}");
        let all = message(&path, &parts).await;
        assert_eq!(
            all,
            format!("{missing}; files were sent as \"wrong\", {shown}, \"c\" and 1 more instead"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_file_that_no_route_reads_is_ignored_beside_the_image() {
    let service = Service::start().await;
    let star = star();
    // Tools send a text as a file where it comes from one.
    let parts: [(&str, Option<&str>, &[u8]); 4] = [
        ("thumbnail", Some("b.png"), &star),
        ("file", Some("a.png"), &star),
        ("parameters", Some("p.json"), b"{\"detail_factor\": 0.02}"),
        ("job_id", None, b"a"),
    ];
    service.send(Ask::post(format!("{MESH}/generate")).form(&parts)).await.expect(202);
    assert_eq!(service.ended("a").await["status"], "completed");
    let metadata = service.get(format!("{MESH}/a/result")).await.expect(200).json()["metadata"].take();
    assert_eq!(metadata["parameters"]["detail_factor"], 0.02);
    assert_eq!(metadata["warnings"][0], "the unknown field \"thumbnail\" is ignored");
}

#[tokio::test]
async fn no_answer_repeats_what_should_stay_inside() {
    let service = Service::without_workers(|_| {}).await;
    service.app.store.close().await;
    let answer = service.get(format!("{MESH}/a/status")).await;
    answer.refused(503, "STORAGE_UNAVAILABLE");
    let folder = service.folder.path().display().to_string();
    assert!(!answer.text().contains(&folder) && !answer.text().to_lowercase().contains("sql"), "{}", answer.text());
}
