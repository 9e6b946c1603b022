//! How often a key may come, and strangers without one.

use serde_json::json;
use spinelift::key::{Limit, Scopes};

use crate::keys::by;
use crate::service::{MESH, Service, star};
use crate::wire::{Answer, Ask};

fn limit(text: &str) -> Limit {
    Limit::Own(text.parse().unwrap())
}

fn jobs() -> Ask {
    Ask::get(format!("{MESH}/jobs"))
}

/// `r` and `t` of the answer's policy.
#[track_caller]
fn left(answer: &Answer, policy: &str) -> (u64, u64) {
    let text = answer.header("ratelimit").unwrap().strip_prefix(&format!("\"{policy}\";r=")).unwrap();
    let (requests, seconds) = text.split_once(";t=").unwrap();
    (requests.parse().unwrap(), seconds.parse().unwrap())
}

#[tokio::test]
async fn a_key_is_told_what_it_has_left_and_when_to_come_back() {
    let service = Service::without_workers(|_| {}).await;
    service.add_key("slow", Scopes::ALL, limit("3/1h")).await;
    service.add_key("other", Scopes::ALL, limit("3/1h")).await;
    service.add_key("free", Scopes::ALL, Limit::Unlimited).await;
    for expected in [2, 1, 0] {
        let answer = service.send(by("slow", jobs())).await.expect(200);
        assert_eq!(answer.header("ratelimit-policy"), Some("\"default\";q=3;w=3600"));
        let (requests, seconds) = left(&answer, "default");
        assert_eq!(requests, expected);
        assert!(seconds <= 1200 * (3 - requests) && seconds > 1200 * (3 - requests) - 60, "{seconds}");
    }
    for path in ["jobs", "a/status", "a/result"] {
        let refused = service.send(by("slow", Ask::get(format!("{MESH}/{path}")))).await;
        refused.refused(429, "RATE_LIMITED");
        let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1100..=1200).contains(&after), "{after}");
        assert_eq!(left(&refused, "default"), (0, after));
        assert_eq!(refused.json()["error"]["details"]["requests"], 3);
    }
    let legacy = service.send(by("slow", Ask::post("/api/generate_mesh").json(&json!({})))).await.expect(429);
    assert!(legacy.json()["detail"].as_str().unwrap().contains("come back in"));
    // Others are let in, and machines that ask whether it lives always.
    service.send(by("other", jobs())).await.expect(200);
    assert_eq!(service.send(by("free", jobs())).await.expect(200).header("ratelimit"), None);
    for path in ["/health", "/ready", "/"] {
        let answer = service.send(by("slow", Ask::get(path))).await.expect(200);
        assert_eq!(answer.header("ratelimit"), None);
    }
    assert!(service.metric("spinelift_rejections_total{outcome=\"rate_limit\"}") > 3.5);
}

#[tokio::test]
async fn a_batch_counts_its_images() {
    let service = Service::without_workers(|config| config.jobs.max_batch = 100).await;
    service.add_key("app", Scopes::ALL, limit("10/24h")).await;
    service.add_key("small", Scopes::ALL, limit("2/24h")).await;
    let batch = |count: usize| {
        let urls = vec!["http://127.0.0.1:9/a.png"; count];
        Ask::post(format!("{MESH}/batch")).json(&json!({ "image_urls": urls }))
    };
    let answer = service.send(by("app", batch(4))).await.expect(202);
    assert_eq!(left(&answer, "default").0, 6);
    let refused = service.send(by("app", batch(7))).await;
    refused.refused(429, "RATE_LIMITED");
    let list = service.send(by("app", jobs())).await.expect(200);
    assert_eq!(list.json()["jobs"].as_array().unwrap().len(), 4, "of a batch that was refused there is no job");
    assert_eq!(left(&list, "default").0, 4, "but it was a request");
    assert_eq!(left(&service.send(by("app", batch(4))).await.expect(202), "default").0, 0);
    service.send(by("app", jobs())).await.refused(429, "RATE_LIMITED");
    // More than the rate ever allows is let in by a key that has done nothing else, and paid for afterwards.
    service.send(by("small", batch(5))).await.expect(202);
    let refused = service.send(by("small", jobs())).await;
    refused.refused(429, "RATE_LIMITED");
    let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(after.abs_diff(4 * 12 * 3600) < 60, "{after}");
    service.add_key("late", Scopes::ALL, limit("2/24h")).await;
    service.send(by("late", jobs())).await.expect(200);
    let refused = service.send(by("late", batch(5))).await;
    refused.refused(429, "RATE_LIMITED");
    // Two are taken, and both have to be there again when it comes anew.
    let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(after.abs_diff(24 * 3600) < 60, "{after}");
}

#[tokio::test]
async fn sliders_may_be_dragged() {
    let service = Service::without_workers(|_| {}).await;
    service.add_key("app", Scopes::USUAL, Limit::Usual).await;
    // Two seconds of 30 a second.
    for _ in 0..60 {
        service.send(by("app", Ask::post(format!("{MESH}/preview")).body(star()))).await.expect(200);
    }
}

#[tokio::test]
async fn the_setting_holds_for_keys_without_a_rate_and_zero_is_none() {
    let service = Service::without_workers(|config| config.access.rate_limit = 2).await;
    service.add_key("app", Scopes::USUAL, Limit::Usual).await;
    let answer = service.send(by("app", jobs())).await.expect(200);
    assert_eq!(answer.header("ratelimit-policy"), Some("\"default\";q=2;w=60"));
    let service = Service::without_workers(|config| config.access.rate_limit = 0).await;
    service.add_key("app", Scopes::USUAL, Limit::Usual).await;
    assert_eq!(service.send(by("app", jobs())).await.expect(200).header("ratelimit-policy"), None);
    // Without keys there is nobody to count.
    let service = Service::without_workers(|config| config.access.rate_limit = 1).await;
    for _ in 0..3 {
        assert_eq!(service.send(jobs()).await.expect(200).header("ratelimit"), None);
    }
}

#[tokio::test]
async fn who_has_a_link_cannot_use_up_what_its_owner_has_nor_the_other_links() {
    let service = Service::with(|_| {}).await;
    service.add_key("app", Scopes::USUAL, limit("6/24h")).await;
    let star = star();
    let mut paths = Vec::new();
    for job in ["one", "two", "three"] {
        let form = [("file", Some("a.png"), &star[..]), ("job_id", None, job.as_bytes())];
        let ask = by("app", Ask::post(format!("{MESH}/generate")).form(&form));
        let done = service.send(ask.header("prefer", "wait=30")).await.expect(200).json();
        paths.push(done["result_url"].as_str().unwrap().strip_prefix("http://mesh.localhost").unwrap().to_owned());
    }
    for expected in [5, 4, 3, 2, 1, 0] {
        let answer = service.get(paths[0].as_str()).await.expect(200);
        assert_eq!(answer.header("ratelimit-policy"), Some("\"links\";q=6;w=86400"));
        assert_eq!(left(&answer, "links").0, expected);
    }
    service.get(paths[0].as_str()).await.refused(429, "RATE_LIMITED");
    // One of them may share its place, one time in thousands; not both.
    let others = [service.get(paths[1].as_str()).await.status, service.get(paths[2].as_str()).await.status];
    assert!(others.contains(&200), "{others:?}");
    assert_eq!(left(&service.send(by("app", jobs())).await.expect(200), "default").0, 2);
}

#[tokio::test]
async fn strangers_who_hammer_are_told_to_stop_and_a_good_key_is_let_in() {
    let service = Service::without_workers(|_| {}).await;
    service.add_key("app", Scopes::ALL, Limit::Usual).await;
    let attempts: [Ask; 4] = [
        jobs(),
        jobs().header("authorization", "Bearer wrong"),
        Ask::get(format!("{MESH}/a/result?key=app&expires=99999999999&signature={}", "0".repeat(64))),
        Ask::get("/metrics").header("authorization", "Basic wrong"),
    ];
    let mut refused = None;
    for n in 0..100 {
        let answer = service.send(attempts[n % attempts.len()].clone()).await;
        if answer.status == 429 {
            refused = Some((n, answer));
            break;
        }
        answer.refused(401, "UNAUTHORIZED");
    }
    let (after, refused) = refused.unwrap();
    assert!((60..70).contains(&after), "{after}");
    refused.refused(429, "RATE_LIMITED");
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(refused.header("ratelimit"), None);
    service.send(by("app", jobs())).await.expect(200);
    service.get("/health").await.expect(200);
    assert!(service.metric("spinelift_rejections_total{outcome=\"failed_keys\"}") > 0.5);
}
