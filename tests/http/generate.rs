//! Submitting jobs.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::service::{MESH, Service, image, request, source, star};
use crate::wire::Ask;

fn generate() -> String {
    format!("{MESH}/generate")
}

#[tokio::test]
async fn a_job_is_accepted_and_its_status_is_where_it_says() {
    let service = Service::start().await;
    let url = source(image("limbs-octopus-512.png")).await;
    let body =
        json!({ "image_url": url, "parameters": { "detail_factor": "0.02" }, "callback_url": null, "job_id": null });
    let accepted = service.post(&generate(), &body).await.expect(202);
    let id = accepted.json()["job_id"].as_str().unwrap().to_owned();
    assert_eq!(accepted.json()["status"], "processing");
    assert!(accepted.json()["estimated_time"].as_u64().unwrap() >= 1);
    assert_eq!(accepted.header("location"), Some(format!("{MESH}/{id}/status").as_str()));
    let status = service.ended(&id).await;
    assert_eq!(status["progress"], 100);
    assert_eq!(status["result_url"], format!("http://mesh.localhost{MESH}/{id}/result"));
    let mesh = service.get(format!("{MESH}/{id}/result")).await.expect(200).json();
    assert_eq!(mesh["metadata"]["parameters"]["detail_factor"], 0.02);
}

#[tokio::test]
async fn a_form_carries_its_image_and_single_parameters() {
    let service = Service::start().await;
    let parts: [(&str, Option<&str>, &[u8]); 5] = [
        ("file", Some("star.png"), &star()),
        ("job_id", None, b"star"),
        ("parameters", None, b"{\"detail_factor\": 0.03, \"blur_kernel_size\": 3}"),
        ("detail_factor", None, b"0.04"),
        ("parameter", None, b"1"),
    ];
    service.send(Ask::post(generate()).form(&parts)).await.expect(202);
    assert_eq!(service.ended("star").await["status"], "completed");
    let mesh = service.get(format!("{MESH}/star/result")).await.json();
    let parameters = &mesh["metadata"]["parameters"];
    assert_eq!((&parameters["detail_factor"], &parameters["blur_kernel_size"]), (&json!(0.04), &json!(3)));
    assert_eq!(mesh["metadata"]["warnings"], json!(["the unknown field \"parameter\" is ignored"]));
}

#[tokio::test]
async fn every_mistake_is_told_at_once() {
    let service = Service::without_workers(|_| {}).await;
    let body = json!({
        "image_url": 5, "callback_url": "ftp://example.com/", "job_id": "../../etc/passwd",
        "parameters": { "detail_factor": 7, "binary_threshold": "x" },
    });
    let answer = service.send(Ask::post(generate()).json(&body).header("idempotency-key", "a b")).await;
    answer.refused(422, "VALIDATION_FAILED");
    let violations = answer.json()["error"]["details"]["violations"].clone();
    let names: Vec<&str> = violations.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    let expected = ["image_url", "callback_url", "job_id", "detail_factor", "binary_threshold", "Idempotency-Key"];
    assert_eq!(names, expected);
    assert_eq!(
        violations[3],
        json!({ "name": "detail_factor", "value": 7, "expected": "a number from 0.001 to 0.05" })
    );
}

/// URL parsers take them, and not every database does.
#[tokio::test]
async fn a_url_has_no_control_characters() {
    let service = Service::without_workers(|_| {}).await;
    for name in ["image_url", "callback_url"] {
        let mut body = json!({ "image_url": "https://assets.example/a.png" });
        body[name] = "https://assets.example/\u{0}x".into();
        let answer = service.post(&generate(), &body).await;
        answer.refused(422, "VALIDATION_FAILED");
        assert_eq!(answer.json()["error"]["details"]["violations"][0]["name"], name);
    }
}

#[tokio::test]
async fn an_image_comes_from_one_place() {
    let service = Service::without_workers(|_| {}).await;
    service.post(&generate(), &json!({})).await.refused(422, "VALIDATION_FAILED");
    let star = star();
    let both: [(&str, Option<&str>, &[u8]); 2] =
        [("file", None, &star), ("image_url", None, b"http://127.0.0.1/a.png")];
    service.send(Ask::post(generate()).form(&both)).await.refused(422, "VALIDATION_FAILED");
    let two: [(&str, Option<&str>, &[u8]); 2] = [("file", None, &star), ("file", None, &star)];
    service.send(Ask::post(generate()).form(&two)).await.refused(422, "VALIDATION_FAILED");
}

#[tokio::test]
async fn only_public_urls_are_taken_outside_development() {
    let service = Service::without_workers(|config| config.dev = false).await;
    for url in ["http://127.0.0.1/a.png", "http://[::1]/", "file:///etc/passwd", "http://user@example.com/", "nonsense"]
    {
        let answer = service.post(&generate(), &json!({ "image_url": url })).await;
        answer.refused(422, "URL_NOT_ALLOWED");
        assert_eq!(answer.json()["error"]["details"]["violations"][0]["name"], "image_url");
    }
}

#[tokio::test]
async fn fifty_identical_posts_make_one_job() {
    let service = Service::without_workers(|_| {}).await;
    let posts: Vec<_> =
        (0..50).map(|_| tokio::spawn(service.send(Ask::post(generate()).json(&request("same"))))).collect();
    let mut accepted = 0;
    for post in posts {
        let answer = post.await.unwrap();
        assert!(matches!(answer.status, 200 | 202), "{}", answer.text());
        assert_eq!(answer.json()["job_id"], "same");
        accepted += usize::from(answer.status == 202);
    }
    assert_eq!(accepted, 1);
    let list = service.get(format!("{MESH}/jobs")).await.json();
    assert_eq!(list["jobs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_id_belongs_to_one_request() {
    let service = Service::without_workers(|_| {}).await;
    service.post(&generate(), &request("one")).await.expect(202);
    let again = service.post(&generate(), &request("one")).await.expect(200);
    assert_eq!(again.json()["message"], "Queued");
    let mut other = request("one");
    other["parameters"] = json!({ "detail_factor": 0.02 });
    service.post(&generate(), &other).await.refused(409, "JOB_ID_CONFLICT");
}

#[tokio::test]
async fn a_cancelled_job_starts_anew() {
    let service = Service::without_workers(|_| {}).await;
    service.post(&generate(), &request("again")).await.expect(202);
    service.send(Ask::new("DELETE", format!("{MESH}/again"))).await.expect(200);
    service.post(&generate(), &request("again")).await.expect(202);
    assert_eq!(service.get(format!("{MESH}/again/status")).await.json()["status"], "processing");
}

#[tokio::test]
async fn an_idempotency_key_finds_its_job() {
    let service = Service::without_workers(|_| {}).await;
    let body = json!({ "image_url": "http://127.0.0.1:9/a.png" });
    let ask = |body: &Value| Ask::post(generate()).json(body).header("idempotency-key", "order-17");
    let first = service.send(ask(&body)).await.expect(202);
    assert_eq!(first.header("idempotent-replayed"), None);
    let second = service.send(ask(&body)).await.expect(202);
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    assert_eq!(second.json()["job_id"], first.json()["job_id"]);
    let other = json!({ "image_url": "http://127.0.0.1:9/b.png" });
    service.send(ask(&other)).await.refused(422, "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test]
async fn ids_are_new_and_sort_by_time() {
    let service = Service::without_workers(|_| {}).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let answer = service.post(&generate(), &json!({ "image_url": "http://127.0.0.1:9/a.png" })).await;
        ids.push(answer.json()["job_id"].as_str().unwrap().to_owned());
    }
    assert!(ids.is_sorted());
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 5);
}

#[tokio::test]
async fn who_prefers_to_wait_gets_the_end() {
    let service = Service::start().await;
    let parts: [(&str, Option<&str>, &[u8]); 1] = [("file", Some("a.png"), &star())];
    let answer = service.send(Ask::post(generate()).form(&parts).header("prefer", "respond-async, wait=20")).await;
    assert_eq!(answer.clone().expect(200).json()["status"], "completed");
    assert_eq!(answer.header("preference-applied"), Some("wait=20"));
}

#[tokio::test]
async fn a_wait_that_is_over_gives_the_usual_answer() {
    let service = Service::without_workers(|_| {}).await;
    let answer =
        service.send(Ask::post(generate()).json(&request("slow")).header("prefer", "wait=1")).await.expect(202);
    assert_eq!(answer.header("preference-applied"), None);
    // A preference out of bounds is no preference.
    service.send(Ask::post(generate()).json(&request("slower")).header("prefer", "wait=3600")).await.expect(202);
}

#[tokio::test]
async fn a_stop_ends_a_wait() {
    let service = Service::without_workers(|_| {}).await;
    let waiting = tokio::spawn(service.send(Ask::post(generate()).json(&request("a")).header("prefer", "wait=60")));
    crate::service::eventually("the job is there", async || {
        service.get(format!("{MESH}/a/status")).await.status == 200
    })
    .await;
    service.app.drain();
    waiting.await.unwrap().expect(202);
}

#[tokio::test]
async fn a_key_with_another_id_is_another_request() {
    let service = Service::without_workers(|_| {}).await;
    let ask = |id: &str| service.send(Ask::post(generate()).json(&request(id)).header("idempotency-key", "k"));
    ask("a").await.expect(202);
    ask("b").await.refused(422, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(ask("a").await.expect(202).header("idempotent-replayed"), Some("true"));
}

#[tokio::test]
async fn an_upload_that_is_refused_is_not_written() {
    let service = Service::without_workers(|config| config.jobs.queue_limit = 1).await;
    service.post(&generate(), &request("a")).await.expect(202);
    service.upload("b", &star()).await.refused(503, "QUEUE_FULL");
    let parts: [(&str, Option<&str>, &[u8]); 1] = [("file", Some("a.png"), &star())];
    let batch = service.send(Ask::post(format!("{MESH}/batch")).form(&parts)).await;
    batch.refused(503, "QUEUE_FULL");
    // The id is another request's.
    service.upload("a", &star()).await.refused(409, "JOB_ID_CONFLICT");
    assert!(!service.folder.path().join("blobs/sha256").exists());
    assert!(service.metric("spinelift_rejections_total{outcome=\"queue_full\"}") > 1.0);
}

#[tokio::test]
async fn an_empty_field_of_a_form_is_absent() {
    let service = Service::without_workers(|_| {}).await;
    let parts: [(&str, Option<&str>, &[u8]); 5] = [
        ("file", Some("a.png"), &star()),
        ("job_id", None, b""),
        ("callback_url", None, b""),
        ("image_url", None, b""),
        ("detail_factor", None, b""),
    ];
    service.send(Ask::post(generate()).form(&parts)).await.expect(202);
}
