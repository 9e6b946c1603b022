//! Status answers and long polls.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::service::{MESH, Service, request};
use crate::wire::Ask;

#[tokio::test]
async fn a_queued_job_is_processing() {
    let service = Service::without_workers(|_| {}).await;
    service.post(&format!("{MESH}/generate"), &request("a")).await.expect(202);
    let status = service.get(format!("{MESH}/a/status")).await.expect(200);
    insta::assert_json_snapshot!(status.json(), { ".created_at" => "[time]", ".updated_at" => "[time]" }, @r#"
    {
      "created_at": "[time]",
      "job_id": "a",
      "message": "Queued",
      "progress": 0,
      "status": "processing",
      "updated_at": "[time]"
    }
    "#);
}

#[tokio::test]
async fn a_known_status_is_not_sent_again() {
    let service = Service::without_workers(|_| {}).await;
    service.post(&format!("{MESH}/generate"), &request("a")).await.expect(202);
    let path = format!("{MESH}/a/status");
    let tag = service.get(&path).await.header("etag").unwrap().to_owned();
    let again = service.send(Ask::get(&path).header("if-none-match", &tag)).await.expect(304);
    assert_eq!(again.header("etag"), Some(tag.as_str()));
    service.send(Ask::new("DELETE", format!("{MESH}/a"))).await.expect(200);
    let changed = service.send(Ask::get(&path).header("if-none-match", &tag)).await.expect(200);
    assert_eq!(changed.json()["error"]["code"], "CANCELLED");
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
}

#[tokio::test]
async fn a_long_poll_ends_with_the_change() {
    let service = Service::without_workers(|_| {}).await;
    service.post(&format!("{MESH}/generate"), &request("a")).await.expect(202);
    let path = format!("{MESH}/a/status?wait=60");
    let tag = service.get(format!("{MESH}/a/status")).await.header("etag").unwrap().to_owned();
    let polls =
        [Ask::get(&path), Ask::get(&path).header("if-none-match", &tag)].map(|ask| tokio::spawn(service.send(ask)));
    service.send(Ask::new("DELETE", format!("{MESH}/a"))).await.expect(200);
    for poll in polls {
        assert_eq!(poll.await.unwrap().expect(200).json()["status"], "failed");
    }
    // What has ended, or was changed before, is told at once.
    let began = Instant::now();
    service.get(&path).await.expect(200);
    service.send(Ask::get(&path).header("if-none-match", &tag)).await.expect(200);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_poll_without_news_says_so() {
    let service = Service::without_workers(|_| {}).await;
    service.post(&format!("{MESH}/generate"), &request("a")).await.expect(202);
    let tag = service.get(format!("{MESH}/a/status")).await.header("etag").unwrap().to_owned();
    let path = format!("{MESH}/a/status?wait=1");
    service.send(Ask::get(&path).header("if-none-match", &tag)).await.expect(304);
    service.get(&path).await.expect(200);
    for bad in ["0", "61", "-1", "x"] {
        service.get(format!("{MESH}/a/status?wait={bad}")).await.refused(422, "VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn a_failure_says_what_to_do() {
    let service = Service::start().await;
    let body = json!({ "image_url": crate::service::source(b"<html>".to_vec()).await, "job_id": "page" });
    service.post(&format!("{MESH}/generate"), &body).await.expect(202);
    let status = service.ended("page").await;
    insta::assert_json_snapshot!(status["error"], @r#"
    {
      "code": "IMAGE_FORMAT_UNSUPPORTED",
      "details": {
        "found": "it begins with the bytes 3c 68 74 6d 6c 3e"
      },
      "message": "the file is not an image SpineLift reads: it begins with the bytes 3c 68 74 6d 6c 3e; use PNG, WebP, JPEG, GIF or BMP"
    }
    "#);
    assert!(status.get("result_url").is_none());
}

#[tokio::test]
async fn the_public_url_wins_over_the_host() {
    let service = Service::with(|config| config.http.public_url = Some("https://mesh.example".into())).await;
    let status = service.completed("a").await;
    assert_eq!(status["result_url"], "https://mesh.example/api/v1/mesh/a/result");
}
