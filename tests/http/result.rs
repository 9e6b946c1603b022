//! Results in every format.

use spinelift::export::FORMATS;
use spinelift::job::JobId;

use crate::service::{MESH, Service, request};
use crate::wire::Ask;

#[tokio::test]
async fn every_format_is_had_by_its_name() {
    let service = Service::start().await;
    service.completed("a").await;
    for format in FORMATS {
        let answer = service.get(format!("{MESH}/a/result?format={}", format.name)).await.expect(200);
        assert_eq!(answer.header("content-type"), Some(format.media_type), "{}", format.name);
        assert!(!answer.body.is_empty());
        let tag = answer.header("etag").unwrap().to_owned();
        let known = Ask::get(format!("{MESH}/a/result?format={}", format.name)).header("if-none-match", &tag);
        service.send(known).await.expect(304);
    }
    assert!(service.get(format!("{MESH}/a/result?format=png")).await.body.starts_with(b"\x89PNG"));
    let svg = service.get(format!("{MESH}/a/result?format=svg")).await;
    assert!(svg.text().contains("data:image/png;base64"), "the picture is under the drawing");
    assert!(svg.header("content-security-policy").unwrap().contains("sandbox"));
}

#[tokio::test]
async fn the_media_type_chooses_and_the_name_wins() {
    let service = Service::start().await;
    service.completed("a").await;
    let path = format!("{MESH}/a/result");
    let of = async |path: &str, accept: &str| {
        let answer = service.send(Ask::get(path).header("accept", accept)).await.expect(200);
        assert_eq!(answer.header("vary"), Some("accept, authorization"));
        answer.header("content-type").unwrap().to_owned()
    };
    assert_eq!(of(&path, "image/png").await, "image/png");
    assert_eq!(of(&path, "image/*;q=0.5, image/svg+xml;q=0.9").await, "image/svg+xml");
    assert_eq!(of(&path, "*/*").await, "application/json");
    assert_eq!(of(&path, "application/problem+json").await, "application/json");
    assert_eq!(of(&format!("{path}?format=svg"), "image/png").await, "image/svg+xml");
    service.send(Ask::get(&path).header("accept", "text/html")).await.refused(406, "NOT_ACCEPTABLE");
    let unknown = service.get(format!("{path}?format=obj5")).await;
    unknown.refused(422, "VALIDATION_FAILED");
    assert!(unknown.text().contains("one of json, "));
}

#[tokio::test]
async fn a_result_may_be_kept_as_long_as_it_is_and_has_a_head() {
    let service = Service::start().await;
    service.completed("a").await;
    let path = format!("{MESH}/a/result");
    let whole = service.get(&path).await.expect(200);
    // For as long as it is kept: a week, unless set otherwise.
    let control = whole.header("cache-control").unwrap();
    let age = control.strip_prefix("private, max-age=").and_then(|rest| rest.strip_suffix(", immutable")).unwrap();
    assert!((604_700..=604_800).contains(&age.parse::<u64>().unwrap()), "{control}");
    assert_eq!(whole.header("vary"), Some("accept, authorization"));
    let head = service.send(Ask::new("HEAD", &path)).await.expect(200);
    assert!(head.body.is_empty());
    for name in ["etag", "content-length", "content-type"] {
        assert_eq!(head.header(name), whole.header(name), "{name}");
    }
}

#[tokio::test]
async fn a_drawing_is_asked_for_again_and_its_head_costs_no_drawing() {
    let service = Service::start().await;
    service.completed("a").await;
    let path = format!("{MESH}/a/result?format=svg");
    let whole = service.get(&path).await.expect(200);
    assert_eq!(whole.header("cache-control"), Some("private, no-cache"));
    let id = JobId::parse("a").unwrap();
    let source = service.app.store.job("", &id).await.unwrap().unwrap().result.unwrap().source_hash;
    service.app.blobs.delete(&source).await.unwrap();
    let head = service.send(Ask::new("HEAD", &path)).await.expect(200);
    for name in ["etag", "content-type", "cache-control", "vary"] {
        assert_eq!(head.header(name), whole.header(name), "{name}");
    }
}

#[tokio::test]
async fn what_is_not_there_says_why() {
    let mut service = Service::without_workers(|_| {}).await;
    service.post(&format!("{MESH}/generate"), &request("a")).await.expect(202);
    let early = service.get(format!("{MESH}/a/result")).await;
    early.refused(409, "JOB_NOT_COMPLETED");
    assert_eq!(early.header("retry-after"), Some("1"));
    service.send(Ask::new("DELETE", format!("{MESH}/a"))).await.expect(200);
    let failed = service.get(format!("{MESH}/a/result")).await;
    failed.refused(409, "JOB_FAILED");
    assert_eq!(failed.json()["error"]["details"]["error"]["code"], "CANCELLED");
    service.get(format!("{MESH}/b/result")).await.refused(404, "JOB_NOT_FOUND");

    service.work();
    service.completed("c").await;
    let job = service.app.store.job("", &JobId::parse("c").unwrap()).await.unwrap().unwrap();
    service.app.blobs.delete(&job.result.unwrap().hash).await.unwrap();
    service.get(format!("{MESH}/c/result")).await.refused(404, "RESULT_EXPIRED");
}
