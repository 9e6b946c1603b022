//! Every code of the registry, brought about for real, in both shapes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use spinelift::compute::{Task, Watch};
use spinelift::export::FORMATS;
use spinelift::job::JobId;
use spinelift::key::{Limit, Scope, Scopes};
use spinelift::mesh::MeshParameters;
use sqlx::Connection;

use crate::keys::by;
use crate::service::{MESH, Service, image, request, star};
use crate::wire::Ask;

/// Codes that no request is known to bring about, and why.
const UNMET: [(&str, &str); 1] =
    [("TRIANGULATION_FAILED", "every contour of at least min_contour_area has been found to have a polygon")];

/// Asks twice, once for each shape, and remembers the code.
struct Met(BTreeSet<String>);

impl Met {
    async fn meet(&mut self, service: &Service, ask: Ask, code: &str) {
        for accept in ["application/json", "application/problem+json"] {
            let accept = if code == "NOT_ACCEPTABLE" { format!("text/html, {accept};q=0.5") } else { accept.into() };
            let accept = if code == "NOT_ACCEPTABLE" && accept.contains("/json") { "text/html".into() } else { accept };
            let is_problem = accept.contains("problem");
            let answer = service.send(ask.clone().header("accept", accept)).await;
            assert_eq!(answer.code(), code, "{}", answer.text());
            assert_eq!(answer.header("content-type").unwrap().contains("problem"), is_problem);
            assert_eq!(answer.json().get("error").is_none(), is_problem);
        }
        self.0.insert(code.to_owned());
    }
}

fn generate() -> Ask {
    Ask::post(format!("{MESH}/generate"))
}

fn preview(query: &str, body: Vec<u8>) -> Ask {
    Ask::post(format!("{MESH}/preview{query}")).body(body)
}

fn job(id: &str, part: &str) -> Ask {
    Ask::get(format!("{MESH}/{id}/{part}"))
}

#[tokio::test]
async fn every_code_is_met_in_both_shapes() {
    let mut met = Met(BTreeSet::new());
    ordinary(&mut met).await;
    limited(&mut met).await;
    stored(&mut met).await;
    loaded(&mut met).await;
    called_back(&mut met).await;
    let service = Service::with_keys().await;
    met.meet(&service, job("a", "status"), "UNAUTHORIZED").await;
    let (once, readers) = (Limit::Own("1/24h".parse().unwrap()), Scopes::from_iter([Scope::Read]));
    service.add_key("reader", readers, Limit::Usual).await;
    met.meet(&service, by("reader", generate()), "SCOPE_MISSING").await;
    service.add_key("once", readers, once).await;
    service.send(by("once", job("a", "status"))).await.refused(404, "JOB_NOT_FOUND");
    met.meet(&service, by("once", job("a", "status")), "RATE_LIMITED").await;
    let all: BTreeSet<String> = service.contract.codes().into_iter().collect();
    met.0.extend(UNMET.map(|(code, _)| code.to_owned()));
    assert_eq!(met.0, all);
}

/// Refusals to send a callback again.
async fn called_back(met: &mut Met) {
    let service = Service::without_workers(|_| {}).await;
    let mut body = request("a");
    body["callback_url"] = json!("http://127.0.0.1:9/");
    service.send(generate().json(&body)).await.expect(202);
    service.send(Ask::new("DELETE", format!("{MESH}/a"))).await.expect(200);
    let again = |id: &str| Ask::post(format!("{MESH}/a/callbacks/{id}/redeliver"));
    met.meet(&service, again("msg_a_9"), "CALLBACK_NOT_FOUND").await;
    met.meet(&service, again("msg_a_1"), "CALLBACK_SUPERSEDED").await;
    service.app.store.claim_deliveries("sender", 1, spinelift::store::To::ANYBODY).await.unwrap();
    met.meet(&service, again("msg_a_2"), "CALLBACK_IN_FLIGHT").await;
}

/// Refusals of a service in its usual state.
async fn ordinary(met: &mut Met) {
    let service = Service::without_workers(|_| {}).await;
    met.meet(&service, generate().text("{"), "MALFORMED_REQUEST").await;
    met.meet(&service, generate().header("origin", "https://evil.example"), "ORIGIN_NOT_ALLOWED").await;
    met.meet(&service, Ask::get("/nowhere"), "ROUTE_NOT_FOUND").await;
    met.meet(&service, Ask::get(format!("{MESH}/generate")), "METHOD_NOT_ALLOWED").await;
    met.meet(&service, job("a", "status"), "JOB_NOT_FOUND").await;
    met.meet(&service, Ask::get(format!("{MESH}/batch/a")), "BATCH_NOT_FOUND").await;
    met.meet(&service, generate().header("content-type", "text/plain"), "UNSUPPORTED_MEDIA_TYPE").await;
    met.meet(&service, generate().json(&json!({})), "VALIDATION_FAILED").await;
    met.meet(&service, generate().json(&json!({ "image_url": "ftp://a/" })), "URL_NOT_ALLOWED").await;
    met.meet(&service, preview("", b"<html>".to_vec()), "IMAGE_FORMAT_UNSUPPORTED").await;
    met.meet(&service, preview("", star()[..60].to_vec()), "IMAGE_LOAD_FAILED").await;
    met.meet(&service, preview("?binary_threshold=255", star()), "CONTOUR_EXTRACTION_FAILED").await;
    let dense = "?internal_vertex_density=100&density_scaling_factor=10000&min_triangle_area=0.1";
    met.meet(&service, preview(dense, image("limbs-octopus-512.png")), "MESH_TOO_LARGE").await;

    service.post(&format!("{MESH}/generate"), &request("a")).await.expect(202);
    met.meet(&service, job("a", "result"), "JOB_NOT_COMPLETED").await;
    met.meet(&service, job("a", "result"), "NOT_ACCEPTABLE").await;
    let other = json!({ "image_url": "http://127.0.0.1:9/other.png", "job_id": "a" });
    met.meet(&service, generate().json(&other), "JOB_ID_CONFLICT").await;
    let keyed = |url: &str| generate().json(&json!({ "image_url": url })).header("idempotency-key", "k");
    service.send(keyed("http://127.0.0.1:9/a.png")).await.expect(202);
    met.meet(&service, keyed("http://127.0.0.1:9/b.png"), "IDEMPOTENCY_KEY_REUSED").await;
    service.send(Ask::new("DELETE", format!("{MESH}/a"))).await.expect(200);
    met.meet(&service, job("a", "result"), "JOB_FAILED").await;
    service.app.drain();
    met.meet(&service, generate().json(&request("b")), "DRAINING").await;
}

/// Refusals by size and time.
async fn limited(met: &mut Met) {
    let service = Service::without_workers(|config| {
        config.http.max_request_bytes = 10_000;
        config.images.limits.max_width = 8;
    })
    .await;
    met.meet(&service, generate().text(vec![b' '; 20_000]), "REQUEST_TOO_LARGE").await;
    met.meet(&service, preview("", star()), "IMAGE_TOO_LARGE").await;
    let unsent = generate().header("content-type", "application/json").header("content-length", "50");
    met.meet(&service, unsent, "REQUEST_TOO_SLOW").await;
    let service = Service::without_workers(|config| config.http.request_timeout = Duration::from_millis(1)).await;
    met.meet(&service, preview("", image("large-trex-4096.png")), "REQUEST_TIMEOUT").await;
}

/// Refusals that come from what is stored.
async fn stored(met: &mut Met) {
    let service = Service::start().await;
    service.completed("a").await;
    let mut database = sqlx::SqliteConnection::connect(&service.app.config.database.url).await.unwrap();
    let row = service.app.store.job("", &JobId::parse("a").unwrap()).await.unwrap().unwrap();
    let damage = sqlx::query("UPDATE jobs SET request = '{\"source\":{},\"parameters\":{}}' WHERE id = 'a'");
    assert_eq!(damage.execute(&mut database).await.unwrap().rows_affected(), 1);
    met.meet(&service, job("a", "result?format=svg"), "INTERNAL").await;
    service.app.blobs.delete(&row.result.unwrap().hash).await.unwrap();
    met.meet(&service, job("a", "result"), "RESULT_EXPIRED").await;
    service.app.store.close().await;
    met.meet(&service, job("a", "status"), "STORAGE_UNAVAILABLE").await;
}

/// Refusals for load.
async fn loaded(met: &mut Met) {
    let service = Service::without_workers(|config| {
        config.jobs.queue_limit = 1;
        config.jobs.cpu_threads = 1;
    })
    .await;
    service.post(&format!("{MESH}/generate"), &request("a")).await.expect(202);
    met.meet(&service, generate().json(&request("b")), "QUEUE_FULL").await;

    let large = bytes::Bytes::from(image("large-trex-4096.png"));
    let task = Task { image: large, parameters: MeshParameters::default(), warnings: vec![], format: &FORMATS[0] };
    let watch = Arc::new(Watch::until(Instant::now() + Duration::from_secs(60)));
    let line = join_all((0..80).map(|_| service.app.compute.run(task.clone(), Arc::clone(&watch))));
    tokio::select! {
        _ = line => panic!("the line should have been longer"),
        () = met.meet(&service, preview("", star()), "OVERLOADED") => watch.stop(),
    }
}
