//! Event streams.

use std::time::{Duration, Instant};

use serde_json::Value;
use spinelift::key::{Limit, Scopes};

use crate::keys::by;
use crate::service::{MESH, Service, eventually, request};
use crate::wire::{Answer, Ask};

/// The events of a whole stream: id, name, data.
fn events(answer: &Answer) -> Vec<(u64, String, Value)> {
    let text = answer.text();
    let value =
        |block: &str, name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let blocks = text.split("\n\n").filter(|block| block.contains("data:"));
    let read = |block: &str| {
        let data = serde_json::from_str(&value(block, "data:")).unwrap();
        (value(block, "id:").parse().unwrap(), value(block, "event:"), data)
    };
    blocks.map(read).collect()
}

fn path() -> String {
    format!("{MESH}/a/events")
}

#[tokio::test]
async fn a_stream_tells_everything_and_ends() {
    let service = Service::start().await;
    service.completed("a").await;
    let answer = service.get(path()).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let events = events(&answer);
    let (last, earlier) = events.split_last().unwrap();
    assert!(events.iter().zip(1..).all(|((id, _, data), sequence)| *id == sequence && data["sequence"] == sequence));
    assert!(earlier.iter().all(|(_, name, data)| name == "progress" && data["status"] == "processing"));
    assert_eq!((last.1.as_str(), &last.2["progress"]), ("completed", &100.into()));
    assert_eq!(last.2["result_url"], service.get(format!("{MESH}/a/status")).await.json()["result_url"]);
    for (_, _, data) in &events {
        service.contract.check_value("JobEvent", data);
    }
}

#[tokio::test]
async fn the_last_event_id_replays_what_came_after() {
    let service = Service::start().await;
    service.completed("a").await;
    let all = events(&service.get(path()).await);
    let from = async |id: &str| service.send(Ask::get(path()).header("last-event-id", id)).await;
    assert_eq!(events(&from("3").await), all[3..]);
    for garbage in ["x", "-1", "", "1.5"] {
        assert_eq!(events(&from(garbage).await), all, "{garbage:?}");
    }
    let last = all.len().to_string();
    for over in [last.as_str(), "999999", "18446744073709551615"] {
        assert!(from(over).await.expect(204).body.is_empty());
    }
}

#[tokio::test]
async fn a_listener_hears_of_what_happens_later() {
    let mut service = Service::without_workers(|_| {}).await;
    service.upload("a", &crate::service::star()).await.expect(202);
    // Beyond the end is as good as at the end while the job goes on.
    let mut stream = Ask::get(path()).header("last-event-id", "77").open(service.address).await;
    assert_eq!(stream.status, 200);
    service.work();
    let mut lines = Vec::new();
    while !lines.iter().any(|line: &String| line.contains("\"completed\"")) {
        lines.push(stream.line().await);
    }
    assert!(!lines.iter().any(|line| line == "id: 1"));
}

#[tokio::test]
async fn a_stream_goes_on_over_an_earlier_end() {
    let service = Service::without_workers(|_| {}).await;
    service.post(&format!("{MESH}/generate"), &request("a")).await.expect(202);
    service.send(Ask::new("DELETE", format!("{MESH}/a"))).await.expect(200);
    service.post(&format!("{MESH}/generate"), &request("a")).await.expect(202);
    let stream = tokio::spawn(service.send(Ask::get(path())));
    service.send(Ask::new("DELETE", format!("{MESH}/a"))).await.expect(200);
    let names: Vec<String> = events(&stream.await.unwrap()).into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, ["progress", "failed", "progress", "failed"]);
}

#[tokio::test]
async fn a_thousand_listeners_cost_little_and_all_hear_the_end() {
    let service = Service::without_workers(|config| config.http.max_connections = 4000).await;
    service.post(&format!("{MESH}/generate"), &request("a")).await.expect(202);
    let listeners: Vec<_> = (0..1000).map(|_| tokio::spawn(service.send(Ask::get(path())))).collect();
    let answered =
        "spinelift_http_requests_total{method=\"GET\",route=\"/api/v1/mesh/{job_id}/events\",status=\"200\"}";
    eventually("all listen", async || service.metric(answered) >= 1000.0).await;
    service.send(Ask::new("DELETE", format!("{MESH}/a"))).await.expect(200);
    for listener in listeners {
        assert_eq!(events(&listener.await.unwrap()).last().unwrap().1, "failed");
    }
}

#[tokio::test]
async fn a_stop_ends_a_stream() {
    let service = Service::without_workers(|_| {}).await;
    service.post(&format!("{MESH}/generate"), &request("a")).await.expect(202);
    let stream = tokio::spawn(service.send(Ask::get(path())));
    let answered =
        "spinelift_http_requests_total{method=\"GET\",route=\"/api/v1/mesh/{job_id}/events\",status=\"200\"}";
    eventually("it listens", async || service.metric(answered) >= 1.0).await;
    service.app.drain();
    assert_eq!(events(&stream.await.unwrap()).len(), 1);
}

#[tokio::test]
async fn a_stream_ends_with_the_time_of_a_request() {
    let service = Service::without_workers(|config| config.http.request_timeout = Duration::from_secs(1)).await;
    service.post(&format!("{MESH}/generate"), &request("a")).await.expect(202);
    let began = Instant::now();
    let answer = service.get(path()).await.expect(200);
    assert_eq!(events(&answer).len(), 1);
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
}

#[tokio::test]
async fn those_who_wait_leave_connections_to_others() {
    let service = Service::without_workers(|config| config.http.max_connections = 2).await;
    service.post(&format!("{MESH}/generate"), &request("a")).await.expect(202);
    let mut stream = Ask::get(path()).open(service.address).await;
    stream.line().await;
    for waiting in [path(), format!("{MESH}/a/status?wait=60")] {
        let refused = service.get(waiting).await;
        refused.refused(503, "OVERLOADED");
        assert!(refused.header("retry-after").is_some());
    }
    // What is only preferred is left out.
    let ask = Ask::post(format!("{MESH}/generate")).json(&request("b")).header("prefer", "wait=60");
    service.send(ask).await.expect(202);
    drop(stream);
    eventually("the place is free again", async || service.get(format!("{MESH}/a/status?wait=1")).await.status == 200)
        .await;
}

#[tokio::test]
async fn one_owner_leaves_places_to_the_others() {
    let service = Service::without_workers(|config| config.http.max_connections = 8).await;
    for name in ["rails", "artist"] {
        service.add_key(name, Scopes::ALL, Limit::Usual).await;
        let submit = Ask::post(format!("{MESH}/generate")).json(&request("a"));
        service.send(by(name, submit)).await.expect(202);
    }
    // Four places in all, two for each.
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = by("rails", Ask::get(path())).open(service.address).await;
        stream.line().await;
        streams.push(stream);
    }
    let wait = || Ask::get(format!("{MESH}/a/status?wait=1"));
    service.send(by("rails", wait())).await.refused(503, "OVERLOADED");
    service.send(by("artist", wait())).await.expect(200);
    drop(streams.pop());
    eventually("it is free again", async || service.send(by("rails", wait())).await.status == 200).await;
}
