//! What every answer has, and the routes about the service itself.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::service::{MESH, Service, eventually, image, request};
use crate::wire::Ask;

#[tokio::test]
async fn a_request_keeps_its_id() {
    let service = Service::start().await;
    let kept = service.send(Ask::get("/health").header("x-request-id", "web-1.2_3")).await;
    assert_eq!(kept.header("x-request-id"), Some("web-1.2_3"));
    let long = "x".repeat(129);
    for bad in ["a b", "a/b", "", "ä", &long] {
        let made = service.send(Ask::get("/health").header("x-request-id", bad)).await;
        assert_eq!(made.header("x-request-id").unwrap().len(), 32, "{bad}");
    }
    let error = service.send(Ask::get("/nowhere").header("x-request-id", "web-2")).await;
    assert_eq!(error.json()["error"]["request_id"], "web-2");
}

#[tokio::test]
async fn errors_are_problems_for_who_asks() {
    let service = Service::start().await;
    let of = async |accept: &str| {
        let answer = service.send(Ask::get("/nowhere").header("accept", accept).header("x-request-id", "r")).await;
        answer.header("content-type").unwrap().to_owned()
    };
    assert_eq!(of("application/problem+json").await, "application/problem+json");
    assert_eq!(of("image/png, application/problem+json;q=0.5").await, "application/problem+json");
    assert_eq!(of("*/*").await, "application/json");
    assert_eq!(of("application/json, application/problem+json;q=0.5").await, "application/json");
    let problem = service.send(Ask::get("/nowhere").header("accept", "application/problem+json")).await;
    insta::assert_json_snapshot!(problem.json(), { ".request_id" => "[id]" }, @r#"
    {
      "code": "ROUTE_NOT_FOUND",
      "detail": "there is no such route; see /docs",
      "details": {},
      "request_id": "[id]",
      "status": 404,
      "title": "Not Found",
      "type": "about:blank"
    }
    "#);
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let service = Service::start().await;
    let put = service.send(Ask::new("PUT", format!("{MESH}/generate"))).await;
    put.refused(405, "METHOD_NOT_ALLOWED");
    assert_eq!(put.header("allow"), Some("POST"));
    let options = service.send(Ask::new("OPTIONS", format!("{MESH}/a/status"))).await.expect(204);
    assert_eq!(options.header("allow"), Some("GET,HEAD"));
    assert!(service.send(Ask::new("HEAD", "/health")).await.expect(200).body.is_empty());
    service.send(Ask::new("BREW", "/health")).await.refused(405, "METHOD_NOT_ALLOWED");
    service.send(Ask::new("OPTIONS", "/nowhere")).await.refused(404, "ROUTE_NOT_FOUND");
}

#[tokio::test]
async fn health_depends_on_nothing_and_readiness_on_everything() {
    let service = Service::without_workers(|config| config.jobs.queue_limit = 1).await;
    let ready = service.get("/ready").await.expect(200).json();
    assert_eq!(ready["checks"], json!({ "database": "ok", "storage": "ok", "queue": "ok", "draining": "ok" }));
    service.post(&format!("{MESH}/generate"), &request("a")).await.expect(202);
    eventually("the queue is full", async || service.get("/ready").await.json()["checks"]["queue"] == "full").await;
    service.app.drain();
    let stopping = service.get("/ready").await.expect(503).json();
    assert_eq!((&stopping["status"], &stopping["checks"]["draining"]), (&json!("unready"), &json!("stopping")));
    service.app.store.close().await;
    std::fs::remove_dir_all(service.folder.path()).unwrap();
    std::fs::write(service.folder.path(), b"in the way").unwrap();
    let fails = async |name: &str| service.get("/ready").await.json()["checks"][name] == "not writable";
    eventually("the database fails", async || fails("database").await).await;
    eventually("the storage fails", async || fails("storage").await).await;
    let health = service.get("/health").await.expect(200).json();
    assert_eq!((&health["status"], &health["version"]), (&json!("healthy"), &json!(env!("CARGO_PKG_VERSION"))));
    std::fs::remove_file(service.folder.path()).unwrap();
}

#[tokio::test]
async fn metrics_go_by_route_and_never_by_path() {
    let service = Service::start().await;
    service.get(format!("{MESH}/some-id/status")).await.refused(404, "JOB_NOT_FOUND");
    service.get("/some/path").await.refused(404, "ROUTE_NOT_FOUND");
    service.send(Ask::new("BREW", "/health")).await.refused(405, "METHOD_NOT_ALLOWED");
    let text = service.get("/metrics").await.expect(200).text();
    assert!(text.contains("route=\"/api/v1/mesh/{job_id}/status\",status=\"404\"} 1"), "{text}");
    assert!(text.contains("method=\"other\""));
    assert!(!text.contains("some"));
    assert!(text.contains("spinelift_queue_jobs 0"));
}

#[tokio::test]
async fn the_pages_load_nothing_from_elsewhere() {
    let service = Service::start().await;
    let welcome = service.get("/").await.expect(200).text();
    let docs = service.get("/docs/").await.expect(200);
    assert!(docs.header("content-security-policy").unwrap().contains("script-src 'self'"));
    for page in [&welcome, &docs.text()] {
        for source in page.split(['"', '\'']).filter(|text| text.contains("//")) {
            let shown = source == format!("http://mesh.localhost{MESH}/preview");
            assert!(shown || source.starts_with("http://www.w3.org/"), "{source}");
        }
    }
    let assets: Vec<String> = docs
        .text()
        .split('"')
        .filter(|text| text.ends_with(".js") || text.ends_with(".css"))
        .map(str::to_owned)
        .collect();
    assert!(assets.len() >= 3, "{assets:?}");
    for asset in assets {
        service.get(format!("/docs/{}", asset.trim_start_matches("./"))).await.expect(200);
    }
    let start = service.get("/docs/swagger-initializer.js").await.text();
    assert!(start.contains("/openapi.json") && start.contains("\"validatorUrl\": \"none\""), "{start}");
    service.get("/docs").await.expect(303);
}

#[tokio::test]
async fn another_prefix_moves_the_api_alone() {
    let service = Service::with(|config| config.http.api_prefix = "/mesh-api".into()).await;
    let answer = service.send(Ask::post("/mesh-api/mesh/preview").body(image("tiny-star-12.png"))).await;
    assert_eq!(answer.status, 200);
    assert!(service.get("/").await.text().contains("/mesh-api/mesh/preview"));
    let document = service.get("/openapi.json").await.json();
    assert!(document["paths"]["/mesh-api/mesh/generate"].is_object());
    service.get("/health").await.expect(200);
}

#[tokio::test]
async fn a_body_may_take_longer_to_come_than_a_request_to_be_handled() {
    let service = Service::without_workers(|config| config.http.request_timeout = Duration::from_millis(300)).await;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let body = request("a").to_string();
    let (first, second) = body.split_at(10);
    let head = format!(
        "POST {MESH}/generate HTTP/1.1\r\nhost: mesh.localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{first}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(900)).await;
    stream.write_all(second.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
}

#[tokio::test]
async fn refusals_are_counted_by_their_code() {
    let service = Service::without_workers(|_| {}).await;
    let lost = "spinelift_errors_total{code=\"STORAGE_UNAVAILABLE\"}";
    assert!(service.metric(lost) < 0.5);
    service.app.store.close().await;
    service.get(format!("{MESH}/a/status")).await.refused(503, "STORAGE_UNAVAILABLE");
    assert!(service.metric(lost) > 0.5);
}

#[tokio::test]
async fn paths_are_as_callers_see_them_behind_a_proxy() {
    let service = Service::without_workers(|config| {
        config.http.public_url = Some("https://example.com/lift".into());
    })
    .await;
    let accepted = service.post(&format!("{MESH}/generate"), &request("a")).await.expect(202);
    assert_eq!(accepted.header("location"), Some("/lift/api/v1/mesh/a/status"));
    assert_eq!(service.get("/openapi.json").await.json()["servers"], json!([{ "url": "/lift" }]));
    assert!(service.get("/").await.text().contains("\"https://example.com/lift/api/v1/mesh/preview\""));
}

#[tokio::test]
async fn a_queue_that_cannot_be_read_is_not_said_to_be_full() {
    let service = Service::without_workers(|_| {}).await;
    service.app.store.close().await;
    let checks = service.get("/ready").await.expect(503).json()["checks"].clone();
    assert_eq!((&checks["database"], &checks["queue"]), (&json!("not writable"), &json!("unknown")));
}

#[tokio::test]
async fn an_answer_beyond_the_cap_has_what_every_answer_has() {
    let service = Service::without_workers(|config| config.http.max_connections = 1).await;
    service.post(&format!("{MESH}/generate"), &request("a")).await.expect(202);
    let _held = Ask::get(format!("{MESH}/a/events")).open(service.address).await;
    // It has the one place once another does not.
    let mut refused = service.get(format!("{MESH}/jobs")).await;
    while refused.status == 200 {
        refused = service.get(format!("{MESH}/jobs")).await;
    }
    refused.refused(503, "OVERLOADED");
    assert_eq!(refused.json()["error"]["request_id"].as_str(), refused.header("x-request-id"));
}
