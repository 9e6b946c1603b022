//! Previews.

use crate::service::{MESH, Service, image, star};
use crate::wire::Ask;

fn preview(query: &str) -> Ask {
    Ask::post(format!("{MESH}/preview{query}"))
}

#[tokio::test]
async fn an_image_becomes_its_mesh_without_a_trace() {
    let service = Service::start().await;
    let mesh =
        service.send(preview("?detail_factor=0.02&blur=3").body(image("limbs-octopus-512.png"))).await.expect(200);
    let mesh = mesh.json();
    assert_eq!(mesh["metadata"]["parameters"]["detail_factor"], 0.02);
    assert!(mesh["metadata"]["warnings"][0].as_str().unwrap().contains("blur_kernel_size"));
    assert!(service.get(format!("{MESH}/jobs")).await.json()["jobs"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_preview_equals_the_jobs_result() {
    let service = Service::start().await;
    service.completed("a").await;
    let result = service.get(format!("{MESH}/a/result")).await.expect(200);
    assert_eq!(service.send(preview("").body(star())).await.expect(200).body, result.body);
    let star = star();
    let form: [(&str, Option<&str>, &[u8]); 1] = [("file", Some("a.png"), &star)];
    assert_eq!(service.send(preview("").form(&form)).await.expect(200).body, result.body);
}

#[tokio::test]
async fn formats_go_by_name_or_media_type() {
    let service = Service::start().await;
    let png = service.send(preview("?format=png").body(star())).await.expect(200);
    assert!(png.body.starts_with(b"\x89PNG"));
    let svg = service.send(preview("").header("accept", "image/svg+xml").body(star())).await.expect(200);
    assert_eq!(svg.header("content-type"), Some("image/svg+xml"));
}

#[tokio::test]
async fn what_is_wrong_with_an_image_is_said() {
    let service = Service::with(|config| {
        config.images.limits.max_width = 1024;
        config.images.limits.max_bytes = 200_000;
    })
    .await;
    let of = async |query: &str, body: &[u8]| service.send(preview(query).body(body)).await;
    of("", b"<html>").await.refused(415, "IMAGE_FORMAT_UNSUPPORTED");
    of("", b"").await.refused(415, "IMAGE_FORMAT_UNSUPPORTED");
    of("", &star()[..60]).await.refused(422, "IMAGE_LOAD_FAILED");
    of("", &image("large-dna-2048.png")).await.refused(413, "IMAGE_TOO_LARGE");
    of("", &vec![0; 200_001]).await.refused(413, "IMAGE_TOO_LARGE");
    of("?binary_threshold=255", &star()).await.refused(422, "CONTOUR_EXTRACTION_FAILED");
    of("?detail_factor=2&alpha_threshold=x", &star()).await.refused(422, "VALIDATION_FAILED");
}

#[tokio::test]
async fn an_empty_parameter_is_absent() {
    let service = Service::without_workers(|_| {}).await;
    service.send(preview("?detail_factor=&format=").body(star())).await.expect(200);
}
