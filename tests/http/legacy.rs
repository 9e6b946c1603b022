//! The two old routes.

use std::io::Cursor;

use base64::Engine;
use serde_json::json;
use spinelift::decode::{self, Limits};

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

const LAYERS: &str = "/api/extract_layers";

fn psd(name: &str) -> Vec<u8> {
    std::fs::read(format!("testdata/psd/{name}")).unwrap()
}

#[tokio::test]
async fn a_psd_is_taken_apart() {
    let service = Service::start().await;
    let file = psd("character.psd");
    // As the app sends it.
    let parts: [(&str, Option<&str>, &[u8]); 3] = [
        ("psd_file", Some("upload.psd"), &file),
        ("project_id", None, b"7"),
        ("callback_url", None, b"http://localhost:3000/api/v1/projects/7/processing_callback"),
    ];
    let answer = service.send(Ask::post(LAYERS).form(&parts)).await.expect(200).json();
    let expected: Vec<serde_json::Value> = serde_json::from_slice(&psd("character.psd.json")).unwrap();
    assert_eq!(answer["total_layers"], expected.len());
    let layers = answer["layers"].as_array().unwrap();
    for (position, (layer, expected)) in layers.iter().zip(&expected).enumerate() {
        let bounds =
            json!({ "x": expected["x"], "y": expected["y"], "width": expected["width"], "height": expected["height"] });
        assert_eq!(layer["name"], expected["name"]);
        assert_eq!(layer["position"], position);
        assert_eq!(layer["bounds"], bounds);
        assert_eq!([&layer["x"], &layer["y"]], [&expected["x"], &expected["y"]]);
        assert_eq!([&layer["width"], &layer["height"]], [&expected["width"], &expected["height"]]);
        assert_eq!(layer["blend_mode"], "BlendMode.NORMAL");
        let metadata = json!({ "visible": true, "has_mask": false, "groups": expected["groups"] });
        assert_eq!(layer["metadata"], metadata);
        let png = base64_of(layer["image_data"].as_str().unwrap());
        let picture = decode::rgba(Cursor::new(png), &Limits::default(), &()).unwrap();
        assert_eq!(u64::from(crc32fast::hash(picture.pixels())), expected["crc"].as_u64().unwrap());
    }
}

fn base64_of(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

#[tokio::test]
async fn what_is_no_psd_is_a_detail() {
    let service = Service::with(|config| config.images.limits.max_width = 40).await;
    let of = async |parts: &[(&str, Option<&str>, &[u8])]| {
        let answer = service.send(Ask::post(LAYERS).form(parts)).await;
        assert_eq!(answer.json().as_object().unwrap().len(), 1);
        (answer.status, answer.json()["detail"].as_str().unwrap().to_owned())
    };
    let file = psd("character.psd");
    let (status, detail) = of(&[("psd_file", Some("a.psd"), &file)]).await;
    assert_eq!(status, 413);
    assert!(detail.contains("width is 48, the limit is 40"), "{detail}");
    assert_eq!(of(&[("psd_file", Some("a.psd"), &star())]).await.0, 415);
    assert_eq!(of(&[("psd_file", Some("a.psd"), &file[..20])]).await.0, 422);
    assert_eq!(of(&[("project_id", None, b"7")]).await.0, 422);
    let answer = service.send(Ask::post(LAYERS).json(&json!({}))).await;
    assert_eq!(answer.status, 415);
    assert_eq!(answer.json()["detail"], "the Content-Type is \"application/json\", must be multipart/form-data");
    let (status, detail) = of(&[("wrong", Some("a.psd"), &file)]).await;
    assert_eq!(status, 422);
    let expected =
        "psd_file is null, must be one file, a part of a multipart form; a file was sent as \"wrong\" instead";
    assert_eq!(detail, expected);
}
