//! Who may see what.

use serde_json::json;

use crate::service::{MESH, Service, request, star};
use crate::wire::{Answer, Ask};

fn as_rails(ask: Ask) -> Ask {
    ask.header("authorization", "Bearer rails-secret")
}

fn as_artist(ask: Ask) -> Ask {
    ask.header("authorization", "bearer artist-secret")
}

#[tokio::test]
async fn without_a_key_only_the_service_itself_is_seen() {
    let service = Service::with_keys().await;
    for path in ["/", "/health", "/ready", "/openapi.json", "/docs/"] {
        service.get(path).await.expect(200);
    }
    let routes = ["jobs", "a/status", "a/result", "a/events", "batch/a"].map(|path| Ask::get(format!("{MESH}/{path}")));
    let posts = ["generate", "batch", "preview"].map(|path| Ask::post(format!("{MESH}/{path}")));
    let others = [Ask::new("DELETE", format!("{MESH}/a")), Ask::get("/metrics")];
    for ask in routes.into_iter().chain(posts).chain(others) {
        for secret in [None, Some("Bearer wrong"), Some("Bearer "), Some("Basic rails-secret"), Some("rails-secret")] {
            let ask = secret.iter().fold(ask.clone(), |ask, secret| ask.header("authorization", *secret));
            let answer = service.send(ask).await;
            answer.refused(401, "UNAUTHORIZED");
            let invalid = if secret == Some("Bearer wrong") { ", error=\"invalid_token\"" } else { "" };
            assert_eq!(
                answer.header("www-authenticate"),
                Some(format!("Bearer realm=\"spinelift\"{invalid}").as_str())
            );
        }
    }
    let old = service.post("/api/generate_mesh", &json!({})).await.expect(401);
    assert!(old.json()["detail"].is_string());
}

#[tokio::test]
async fn jobs_are_their_owners_alone() {
    let service = Service::with_keys().await;
    let generate = || Ask::post(format!("{MESH}/generate")).json(&request("same"));
    service.send(as_rails(generate())).await.expect(202);
    service.send(as_artist(Ask::get(format!("{MESH}/same/status")))).await.refused(404, "JOB_NOT_FOUND");
    service.send(as_artist(Ask::new("DELETE", format!("{MESH}/same")))).await.refused(404, "JOB_NOT_FOUND");
    // The same id is free for the other.
    service.send(as_artist(generate())).await.expect(202);
    let list = service.send(as_artist(Ask::get(format!("{MESH}/jobs")))).await.json();
    assert_eq!(list["jobs"].as_array().unwrap().len(), 1);
    let body = json!({ "image_urls": ["http://127.0.0.1:9/a.png"] });
    let batch = service.send(as_rails(Ask::post(format!("{MESH}/batch")).json(&body))).await.expect(202);
    let path = batch.header("location").unwrap();
    service.send(as_artist(Ask::get(path))).await.refused(404, "BATCH_NOT_FOUND");
    service.send(as_rails(Ask::get(path))).await.expect(200);
}

#[tokio::test]
async fn a_results_link_needs_no_key() {
    let service = Service::with_keys().await;
    let star = star();
    let parts: [(&str, Option<&str>, &[u8]); 2] = [("file", Some("a.png"), &star), ("job_id", None, b"a")];
    let ask = as_rails(Ask::post(format!("{MESH}/generate")).form(&parts)).header("prefer", "wait=30");
    let status = service.send(ask).await.expect(200).json();
    let url = status["result_url"].as_str().unwrap();
    let path = url.strip_prefix("http://mesh.localhost").unwrap().to_owned();
    let fetch = async |path: &str| -> Answer { service.get(path).await };
    fetch(&path).await.expect(200);
    fetch(&format!("{path}&format=svg")).await.expect(200);
    // It is good for this job, this owner and this time alone.
    fetch(&path.replace("/a/", "/b/")).await.refused(401, "UNAUTHORIZED");
    fetch(&path.replace("key=rails", "key=artist")).await.refused(401, "UNAUTHORIZED");
    fetch(&path.replace("expires=", "expires=9")).await.refused(401, "UNAUTHORIZED");
    fetch(&path.replace("/result", "/status")).await.refused(401, "UNAUTHORIZED");
    fetch(path.split('?').next().unwrap()).await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_page_of_another_site_may_not_call_where_there_are_no_keys() {
    let service = Service::without_workers(|config| {
        config.dev = false;
        config.http.public_url = Some("https://mesh.example/lift".into());
    })
    .await;
    let preview = || Ask::post(format!("{MESH}/preview")).body(star());
    let from = |origin: &str| service.send(preview().header("origin", origin));
    for foreign in ["https://evil.example", "null", "", "https://mesh.example.evil.example", "http://localhost"] {
        from(foreign).await.refused(403, "ORIGIN_NOT_ALLOWED");
    }
    for own in ["https://mesh.example", "http://mesh.localhost", "http://mesh.localhost:8000"] {
        from(own).await.expect(200);
    }
    service.send(preview()).await.expect(200);
    // Whoever has keys has let in whom it wanted.
    let service = Service::with_keys().await;
    service.send(as_rails(preview().header("origin", "https://evil.example"))).await.expect(200);
}

#[tokio::test]
async fn a_developers_service_is_called_by_the_names_of_its_machine() {
    let service = Service::without_workers(|_| {}).await;
    let jobs = |host: &str| service.send(Ask::get(format!("{MESH}/jobs")).header("host", host));
    for foreign in ["evil.example", "evil.example:8000", "10.0.0.1", "a b"] {
        jobs(foreign).await.refused(403, "ORIGIN_NOT_ALLOWED");
    }
    for own in ["localhost:8000", "127.0.0.1", "[::1]:8000", "app.localhost"] {
        jobs(own).await.expect(200);
    }
    service.send(Ask::get("/health").header("host", "evil.example")).await.expect(200);
    let twice = Ask::get(format!("{MESH}/jobs")).header("host", "localhost").header("host", "evil.example");
    service.send(twice).await.refused(400, "MALFORMED_REQUEST");
}

#[tokio::test]
async fn a_wrong_key_is_told_from_none() {
    let service = Service::with_keys().await;
    let jobs = || Ask::get(format!("{MESH}/jobs"));
    assert!(service.send(jobs()).await.text().contains("needs an API key"));
    assert!(service.send(jobs().header("authorization", "Bearer x")).await.text().contains("key is not known"));
    assert!(service.send(jobs().header("authorization", "Basic x")).await.text().contains("must be `Bearer KEY`"));
}
