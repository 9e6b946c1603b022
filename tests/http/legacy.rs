//! The two old routes.

use serde_json::json;

use crate::service::{Service, image, source, star};
use crate::wire::Ask;

const FROM_URL: &str = "/api/generate_mesh";
const FROM_FILE: &str = "/api/generate_mesh_from_file";

#[tokio::test]
async fn both_routes_answer_with_the_mesh() {
    let service = Service::start().await;
    let octopus = image("limbs-octopus-512.png");
    let url = source(octopus.clone()).await;
    let by_url =
        service.post(FROM_URL, &json!({ "image_url": url, "detail_factor": 0.02, "user": 7 })).await.expect(200);
    let nested = json!({ "image_url": url, "parameters": { "detail_factor": 0.02 } });
    assert_eq!(service.post(FROM_URL, &nested).await.expect(200).body, by_url.body);
    let parts: [(&str, Option<&str>, &[u8]); 2] = [("file", Some("a.png"), &octopus), ("detail_factor", None, b"0.02")];
    let by_file = service.send(Ask::post(FROM_FILE).form(&parts)).await.expect(200);
    assert_eq!(by_file.body, by_url.body);
    let mesh = by_file.json()["mesh"].clone();
    let names: Vec<&String> = mesh.as_object().unwrap().keys().collect();
    assert_eq!(names, ["bounds", "metadata", "triangles", "uvs", "vertices"]);
}

#[tokio::test]
async fn errors_are_a_detail_whatever_is_accepted() {
    let service = Service::with(|config| config.images.limits.max_bytes = 10_000).await;
    let of = async |body| {
        let ask = Ask::post(FROM_URL).json(&body).header("accept", "application/problem+json");
        let answer = service.send(ask).await;
        assert_eq!(answer.json().as_object().unwrap().len(), 1);
        (answer.status, answer.json()["detail"].as_str().unwrap().to_owned())
    };
    assert_eq!(of(json!({})).await.0, 422);
    assert_eq!(of(json!({ "image_url": source(b"<html>".to_vec()).await })).await.0, 415);
    assert_eq!(of(json!({ "image_url": source(vec![0; 20_000]).await })).await.0, 413);
    assert_eq!(of(json!({ "image_url": "ftp://example.com/" })).await.0, 422);
    let (status, detail) = of(json!({ "image_url": "http://127.0.0.1:1/a.png" })).await;
    assert_eq!(status, 502);
    assert!(!detail.contains("127.0.0.1"), "{detail}");
    let star = star();
    let url = source(star).await;
    assert_eq!(of(json!({ "image_url": url, "detail_factor": 9 })).await.0, 422);
}

#[tokio::test]
async fn errors_are_a_detail_wherever_they_come_from() {
    let service = Service::without_workers(|config| config.http.max_request_bytes = 1000).await;
    let large = Ask::post(FROM_URL).text(vec![b' '; 2000]);
    let foreign = Ask::post(FROM_URL).json(&json!({})).header("origin", "https://evil.example");
    for (ask, status) in [(large, 413), (foreign, 403)] {
        let answer = service.send(ask).await.expect(status);
        assert!(answer.json()["detail"].is_string(), "{}", answer.text());
    }
}
