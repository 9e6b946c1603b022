//! Lists and cancels.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::service::{MESH, Service, image, request};
use crate::wire::Ask;

fn ids(list: &Value) -> Vec<&str> {
    list["jobs"].as_array().unwrap().iter().map(|job| job["job_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn pages_go_from_new_to_old_without_gaps() {
    let service = Service::without_workers(|_| {}).await;
    for id in ["a", "b", "c", "d", "e"] {
        service.post(&format!("{MESH}/generate"), &request(id)).await.expect(202);
    }
    let first = service.get(format!("{MESH}/jobs?limit=2")).await.expect(200).json();
    assert_eq!(ids(&first), ["e", "d"]);
    // A job that comes in between moves nothing.
    service.post(&format!("{MESH}/generate"), &request("f")).await.expect(202);
    let next = |page: &Value| format!("{MESH}/jobs?limit=2&cursor={}", page["next_cursor"].as_str().unwrap());
    let second = service.get(next(&first)).await.expect(200).json();
    assert_eq!(ids(&second), ["c", "b"]);
    let third = service.get(next(&second)).await.expect(200).json();
    assert_eq!((ids(&third), &third["next_cursor"]), (vec!["a"], &Value::Null));
}

#[tokio::test]
async fn a_list_is_filtered_by_status() {
    let service = Service::without_workers(|_| {}).await;
    for id in ["a", "b"] {
        service.post(&format!("{MESH}/generate"), &request(id)).await.expect(202);
    }
    service.send(Ask::new("DELETE", format!("{MESH}/a"))).await.expect(200);
    let of = async |status: &str| service.get(format!("{MESH}/jobs?status={status}")).await.expect(200).json();
    assert_eq!(ids(&of("failed").await), ["a"]);
    assert_eq!(ids(&of("processing").await), ["b"]);
    assert!(ids(&of("completed").await).is_empty());
    for bad in ["status=queued", "limit=0", "limit=101", "limit=x", "cursor=abc"] {
        service.get(format!("{MESH}/jobs?{bad}")).await.refused(422, "VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn a_running_job_ends_soon_after_it_was_called_off() {
    let service = Service::with(|config| config.jobs.concurrent = 1).await;
    let large = image("large-trex-4096.png");
    service.upload("a", &large).await.expect(202);
    let cancel = service.send(Ask::new("DELETE", format!("{MESH}/a"))).await;
    assert!(matches!(cancel.status, 200 | 202), "{}", cancel.text());
    let began = Instant::now();
    let status = service.ended("a").await;
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(status["error"]["code"] == "CANCELLED" || status["status"] == "completed", "{status}");
    // What has ended stays as it is.
    let again = service.send(Ask::new("DELETE", format!("{MESH}/a"))).await.expect(200).json();
    assert_eq!(again["status"], status["status"]);
    service.send(Ask::new("DELETE", format!("{MESH}/b"))).await.refused(404, "JOB_NOT_FOUND");
}
