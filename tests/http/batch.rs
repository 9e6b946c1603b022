//! Batches.

use serde_json::json;

use crate::service::{MESH, Service, image, request, star};
use crate::wire::Ask;

fn batch() -> String {
    format!("{MESH}/batch")
}

#[tokio::test]
async fn files_become_jobs_of_one_batch() {
    let service = Service::start().await;
    let (star, heart) = (star(), image("tiny-heart-16.png"));
    let parts: [(&str, Option<&str>, &[u8]); 4] = [
        ("file", Some("star.png"), &star),
        ("file", Some("heart.png"), &heart),
        ("file", Some("page.html"), b"<html>"),
        ("detail_factor", None, b"0.02"),
    ];
    let accepted = service.send(Ask::post(batch()).form(&parts)).await.expect(202);
    let id = accepted.json()["batch_id"].as_str().unwrap().to_owned();
    assert_eq!(accepted.header("location"), Some(format!("{}/{id}", batch()).as_str()));
    let jobs = accepted.json()["jobs"].clone();
    assert_eq!(jobs[2]["error"]["code"], "IMAGE_FORMAT_UNSUPPORTED");
    for job in &jobs.as_array().unwrap()[..2] {
        let status = service.ended(job["job_id"].as_str().unwrap()).await;
        assert_eq!((&status["status"], &status["batch_id"]), (&json!("completed"), &json!(id)));
    }
    let status = service.get(format!("{}/{id}", batch())).await.expect(200).json();
    assert_eq!((&status["status"], &status["progress"]), (&json!("completed"), &json!(100)));
    assert_eq!(status["counts"], json!({ "total": 2, "processing": 0, "completed": 2, "failed": 0 }));
    assert_eq!(status["jobs"][0]["job_id"], jobs[0]["job_id"]);
    let list = service.get(format!("{MESH}/jobs?batch={id}")).await.json();
    assert_eq!(list["jobs"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn refusals_stand_in_their_places() {
    let service = Service::without_workers(|_| {}).await;
    let body = json!({
        "images": [
            { "image_url": "http://127.0.0.1:9/a.png", "job_id": "a" },
            { "image_url": "ftp://example.com/b.png" },
            { "image_url": "http://127.0.0.1:9/c.png", "job_id": "a" },
            7,
        ],
        "image_urls": ["http://127.0.0.1:9/d.png"],
    });
    let accepted = service.post(&batch(), &body).await.expect(202).json();
    let codes: Vec<_> = accepted["jobs"].as_array().unwrap().iter().map(|job| &job["error"]["code"]).collect();
    let null = &json!(null);
    let [url, id, form] = [&json!("URL_NOT_ALLOWED"), &json!("JOB_ID_CONFLICT"), &json!("VALIDATION_FAILED")];
    assert_eq!(codes, [null, url, id, form, null]);
    let status =
        service.get(format!("{}/{}", batch(), accepted["batch_id"].as_str().unwrap())).await.expect(200).json();
    assert_eq!((&status["status"], &status["counts"]["total"]), (&json!("processing"), &json!(2)));
}

#[tokio::test]
async fn a_batch_without_a_job_is_refused() {
    let service = Service::without_workers(|config| config.jobs.max_batch = 2).await;
    let refused = service.post(&batch(), &json!({ "image_urls": ["ftp://a/", "nonsense"] })).await;
    refused.refused(422, "URL_NOT_ALLOWED");
    assert_eq!(refused.json()["error"]["details"]["jobs"].as_array().unwrap().len(), 2);
    for count in [0, 3] {
        let urls = vec!["http://127.0.0.1:9/a.png"; count];
        let refused = service.post(&batch(), &json!({ "image_urls": urls })).await;
        refused.refused(422, "VALIDATION_FAILED");
        assert!(refused.text().contains("1 to 2 images"));
    }
    service
        .post(&batch(), &json!({ "image_urls": "http://127.0.0.1:9/a.png" }))
        .await
        .refused(422, "VALIDATION_FAILED");
}

#[tokio::test]
async fn a_batch_sent_twice_is_one_batch() {
    let service = Service::without_workers(|_| {}).await;
    let body = json!({ "image_urls": ["http://127.0.0.1:9/a.png", "http://127.0.0.1:9/b.png"] });
    let ask = || Ask::post(batch()).json(&body).header("idempotency-key", "night-run");
    let first = service.send(ask()).await.expect(202);
    let second = service.send(ask()).await.expect(202);
    assert_eq!(first.json()["batch_id"], second.json()["batch_id"]);
    assert_eq!(first.json()["jobs"], second.json()["jobs"]);
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
}

#[tokio::test]
async fn a_changed_batch_is_not_the_one_of_its_key() {
    let service = Service::without_workers(|_| {}).await;
    let ask = |urls: &[&str]| {
        let body = json!({ "image_urls": urls });
        service.send(Ask::post(batch()).json(&body).header("idempotency-key", "night-run"))
    };
    let [a, b, c] = ["a", "b", "c"].map(|name| format!("http://127.0.0.1:9/{name}.png"));
    ask(&[&a, &b]).await.expect(202);
    // What begins like the first, and what is longer or shorter, is another batch all the same.
    for other in [&[&a[..], &c][..], &[&a, &b, &c], &[&a]] {
        ask(other).await.refused(422, "IDEMPOTENCY_KEY_REUSED");
    }
    // Where none of its images is in the place of one of the first, too.
    let shifted = ask(&["ftp://a/", "ftp://b/", &c]).await.expect(422);
    assert_eq!(shifted.json()["error"]["details"]["jobs"][2]["error"]["code"], "IDEMPOTENCY_KEY_REUSED");
    ask(&[&a, &b]).await.expect(202);
}

#[tokio::test]
async fn a_batch_of_jobs_that_are_there_names_the_batch_that_is() {
    let service = Service::without_workers(|_| {}).await;
    let body = json!({ "images": [request("a"), request("b")] });
    let first = service.post(&batch(), &body).await.expect(202);
    let second = service.post(&batch(), &body).await.expect(202);
    assert_eq!(second.json()["batch_id"], first.json()["batch_id"]);
    service.get(second.header("location").unwrap()).await.expect(200);
    // With a new job there is a new batch, and each job says its own.
    let body = json!({ "images": [request("a"), request("c")] });
    let mixed = service.post(&batch(), &body).await.expect(202).json();
    assert_eq!(mixed["jobs"][0]["batch_id"], first.json()["batch_id"]);
    assert_eq!(mixed["jobs"][1]["batch_id"], mixed["batch_id"]);
    assert_ne!(mixed["batch_id"], first.json()["batch_id"]);
    // A job that belongs to no batch makes none.
    service.post(&format!("{MESH}/generate"), &request("d")).await.expect(202);
    let none = service.post(&batch(), &json!({ "images": [request("d")] })).await.expect(202);
    assert_eq!((&none.json()["batch_id"], none.header("location")), (&json!(null), None));
}

#[tokio::test]
async fn too_many_images_are_refused_by_their_number() {
    let service = Service::without_workers(|_| {}).await;
    let images = |count: usize| json!({ "images": vec![0; count] });
    let refused = service.post(&batch(), &images(90_000)).await;
    refused.refused(422, "VALIDATION_FAILED");
    assert!(refused.body.len() < 1000, "{}", refused.body.len());
    service.post(&batch(), &images(110_000)).await.refused(400, "MALFORMED_REQUEST");
}

#[tokio::test]
async fn an_unknown_batch_is_not_found() {
    let service = Service::without_workers(|_| {}).await;
    for id in ["x", "0199aa10-7d1c-7c3e-9d0a-3f6a7e0c9b1d", "%00", "..%2f.."] {
        service.get(format!("{}/{id}", batch())).await.refused(404, "BATCH_NOT_FOUND");
    }
}
