//! Keys of the database: what each may do, on every route that there is.

use serde_json::{Value, json};
use spinelift::key::{Digest, Limit, Scope, Scopes};
use spinelift::store::{KeyId, NewKey};

use crate::service::{MESH, Service, eventually, request, star};
use crate::wire::{Answer, Ask};

impl Service {
    /// A key of the database; its secret is its name twice.
    pub(crate) async fn add_key(&self, name: &str, scopes: Scopes, limit: Limit) -> KeyId {
        let key =
            NewKey { name: name.into(), digest: Digest::of(&format!("{name}{name}")), scopes, limit, links: None };
        let id = self.app.store.add_key(key).await.unwrap();
        self.app.keys.refresh(&*self.app.store).await.unwrap();
        id
    }

    pub(crate) async fn revoke_key(&self, id: KeyId) {
        assert_eq!(self.app.store.revoke_keys(&[id]).await.unwrap(), 1);
        self.app.keys.refresh(&*self.app.store).await.unwrap();
    }

    /// Every operation of the document: method, path, and what it says of itself.
    pub(crate) async fn operations(&self) -> Vec<(String, String, Value)> {
        let document = self.get("/openapi.json").await.json();
        let items = document["paths"].as_object().unwrap().iter();
        let of_item = |(path, item): (&String, &Value)| -> Vec<_> {
            let operations = item.as_object().unwrap().iter();
            operations.map(|(method, about)| (method.to_uppercase(), path.clone(), about.clone())).collect()
        };
        items.flat_map(of_item).collect()
    }
}

/// With the secret of a key that [`Service::add_key`] has made.
pub(crate) fn by(name: &str, ask: Ask) -> Ask {
    ask.header("authorization", format!("Bearer {name}{name}"))
}

fn without_braces(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "a1" } else { part }).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_route_wants_the_scope_that_the_document_says() {
    let service = Service::without_workers(|_| {}).await;
    for scope in Scope::ALL {
        service.add_key(scope.as_str(), Scopes::from_iter([scope]), Limit::Usual).await;
    }
    let mut guarded = 0;
    for (method, path, about) in service.operations().await {
        let ask = Ask::new(&method, without_braces(&path));
        let Some(needed) = about["security"][1]["key"][0].as_str() else {
            assert!(["/health", "/ready"].contains(&path.as_str()), "{method} {path} needs no key");
            continue;
        };
        guarded += 1;
        let none = service.send(ask.clone()).await.expect(401);
        assert_eq!(none.header("www-authenticate"), Some("Bearer realm=\"spinelift\""));
        for scope in Scope::ALL.map(Scope::as_str) {
            let answer = service.send(by(scope, ask.clone())).await;
            let policy = answer.header("ratelimit-policy");
            assert_eq!(policy, Some("\"default\";q=6000;w=60"), "{method} {path}");
            if scope == needed {
                assert!(![401, 403, 429].contains(&answer.status), "{method} {path}: {}", answer.text());
                continue;
            }
            let challenge = format!("Bearer realm=\"spinelift\", error=\"insufficient_scope\", scope=\"{needed}\"");
            assert_eq!(answer.header("www-authenticate"), Some(challenge.as_str()));
            assert_eq!(answer.status, 403, "{method} {path} by {scope}");
            if !["/api/generate_mesh", "/api/extract_layers"].iter().any(|old| path.starts_with(old)) {
                answer.refused(403, "SCOPE_MISSING");
                let details = answer.json()["error"]["details"].clone();
                assert_eq!(details, json!({ "needed": needed, "scopes": [scope] }));
            }
            assert!(answer.text().contains(&format!("--scope {needed}")));
        }
    }
    assert!(guarded >= 12, "{guarded}");
}

#[tokio::test]
async fn on_every_route_jobs_are_their_owners_alone() {
    let service = Service::without_workers(|_| {}).await;
    for name in ["rails", "artist"] {
        service.add_key(name, Scopes::ALL, Limit::Usual).await;
    }
    let submit = Ask::post(format!("{MESH}/batch"));
    let body = json!({ "images": [{ "image_url": "http://127.0.0.1:9/a.png", "job_id": "hero" }] });
    let batch = service.send(by("rails", submit.json(&body))).await.expect(202).json();
    let batch_id = batch["batch_id"].as_str().unwrap();
    let mut asked = 0;
    for (method, path, _) in service.operations().await {
        if !path.contains('{') {
            continue;
        }
        asked += 1;
        let path = path.replace("{job_id}", "hero").replace("{batch_id}", batch_id);
        let answer = service.send(by("artist", Ask::new(&method, without_braces(&path)))).await;
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
        assert!(!answer.text().contains("hero"), "{}", answer.text());
    }
    assert!(asked >= 5, "{asked}");
    let list = service.send(by("artist", Ask::get(format!("{MESH}/jobs?batch={batch_id}")))).await.json();
    assert_eq!(list["jobs"], json!([]));
    // Nor was anything done to it.
    let status = service.send(by("rails", Ask::get(format!("{MESH}/hero/status")))).await.expect(200).json();
    assert_eq!(status["status"], "processing");
}

#[tokio::test]
async fn a_setting_and_the_database_name_the_same_owner() {
    let service = Service::with_keys().await;
    service.add_key("rails", Scopes::USUAL, Limit::Usual).await;
    let generate = Ask::post(format!("{MESH}/generate")).json(&request("a"));
    service.send(by("rails", generate)).await.expect(202);
    let old = Ask::get(format!("{MESH}/a/status")).header("authorization", "Bearer rails-secret");
    service.send(old).await.expect(200);
}

#[tokio::test]
async fn a_revoked_key_is_not_told_from_one_that_never_was() {
    let service = Service::without_workers(|_| {}).await;
    let id = service.add_key("rails", Scopes::ALL, Limit::Usual).await;
    let jobs = || Ask::get(format!("{MESH}/jobs")).header("x-request-id", "r");
    service.send(by("rails", jobs())).await.expect(200);
    service.revoke_key(id).await;
    let (revoked, unknown) = (service.send(by("rails", jobs())).await, service.send(by("nobody", jobs())).await);
    revoked.refused(401, "UNAUTHORIZED");
    let told = "Bearer realm=\"spinelift\", error=\"invalid_token\"";
    assert_eq!(revoked.header("www-authenticate"), Some(told));
    let told = |answer: &Answer| answer.headers.iter().filter(|(name, _)| name != "date").cloned().collect::<Vec<_>>();
    assert_eq!((revoked.text(), told(&revoked)), (unknown.text(), told(&unknown)));
    // All are revoked, and that opens nothing.
    service.send(jobs()).await.expect(401);
}

#[tokio::test]
async fn a_key_takes_its_links_along_and_what_listens_with_it() {
    let mut service = Service::without_workers(|_| {}).await;
    let id = service.add_key("rails", Scopes::USUAL, Limit::Usual).await;
    service.add_key("artist", Scopes::USUAL, Limit::Usual).await;
    let generate = by("rails", Ask::post(format!("{MESH}/generate")).json(&request("waits")));
    service.send(generate).await.expect(202);
    let mut stream = by("rails", Ask::get(format!("{MESH}/waits/events"))).open(service.address).await;
    while !stream.line().await.starts_with("data:") {}
    service.work();
    let star = star();
    let ask = by("rails", Ask::post(format!("{MESH}/generate")).form(&[("file", Some("a.png"), &star)]));
    let done = service.send(ask.header("prefer", "wait=30")).await.expect(200).json();
    let url = done["result_url"].as_str().unwrap().strip_prefix("http://mesh.localhost").unwrap().to_owned();
    let linked = service.get(url.as_str()).await.expect(200);
    // Pages of other sites may show it, as whoever has the link may.
    assert_eq!(linked.header("cross-origin-resource-policy"), Some("cross-origin"));
    service.revoke_key(id).await;
    service.get(url.as_str()).await.refused(401, "UNAUTHORIZED");
    // The worker asks the same keys: it gives out no link that opens nothing.
    let job = spinelift::job::JobId::parse("a").unwrap();
    let links = spinelift::result_link::ResultLinks::new(
        &service.app.config,
        service.app.keys.clone(),
        service.app.blobs.clone(),
    );
    assert!(links.own_url("rails", &job, 0).is_none() && links.own_url("artist", &job, 0).is_some());
    let rest = async { while stream.line_or_end().await.is_some() {} };
    tokio::time::timeout(crate::wire::PATIENCE, rest).await.unwrap();
}

#[tokio::test]
async fn a_service_hears_of_keys_by_itself() {
    let service = Service::without_workers(|_| {}).await;
    let jobs = || Ask::get(format!("{MESH}/jobs"));
    service.send(jobs()).await.expect(200);
    let key = NewKey {
        name: "rails".into(),
        digest: Digest::of("railsrails"),
        scopes: Scopes::USUAL,
        limit: Limit::Usual,
        links: None,
    };
    service.app.store.add_key(key).await.unwrap();
    eventually("a key is needed", async || service.send(jobs()).await.status == 401).await;
    service.send(by("rails", jobs())).await.expect(200);
    let noted = async || service.app.store.keys().await.unwrap()[0].last_used_at_ms.is_some();
    eventually("its use is noted", noted).await;
}
