//! Callbacks as their job's caller sees them, and sent again.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::service::{MESH, Service, eventually, request};
use crate::wire::Ask;

/// What a receiver heard: id, timestamp, body.
type Heard = Arc<Mutex<Vec<(String, i64, String)>>>;

/// A receiver that answers ends of jobs with the statuses in turn, then with 204, and all else with 204.
async fn receiver(statuses: &[u16]) -> (String, Heard) {
    let heard = Heard::default();
    let left = Arc::new(Mutex::new(statuses.to_vec()));
    let hear = async |State((heard, left)): State<(Heard, Arc<Mutex<Vec<u16>>>)>, headers: HeaderMap, body: String| {
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        let is_end = !body.contains("\"processing\"");
        heard.lock().unwrap().push((text("webhook-id"), text("webhook-timestamp").parse().unwrap(), body));
        let mut left = left.lock().unwrap();
        let status = if is_end && !left.is_empty() { left.remove(0) } else { 204 };
        StatusCode::from_u16(status).unwrap()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hear?token=s3cret", listener.local_addr().unwrap());
    let router = Router::new().fallback(hear).with_state((Arc::clone(&heard), left));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, heard)
}

/// Submits a job that ends at once, as nothing listens where its image is said to be.
async fn submit(service: &Service, id: &str, callback: &str) {
    let mut body = request(id);
    body["image_url"] = json!("http://127.0.0.1:9/none.png");
    body["callback_url"] = callback.into();
    service.post(&format!("{MESH}/generate"), &body).await.expect(202);
    service.send(Ask::new("DELETE", format!("{MESH}/{id}"))).await;
    service.ended(id).await;
}

fn path(id: &str) -> String {
    format!("{MESH}/{id}/callbacks")
}

/// The newest callback of a job.
async fn newest(service: &Service, id: &str) -> Value {
    service.get(path(id)).await.expect(200).json()["callbacks"][0].clone()
}

async fn once(service: &Service, id: &str, state: &str) -> Value {
    eventually(state, async || newest(service, id).await["state"] == state).await;
    newest(service, id).await
}

fn ends(heard: &Heard) -> Vec<(String, i64, String)> {
    heard.lock().unwrap().iter().filter(|(.., body)| !body.contains("\"processing\"")).cloned().collect()
}

#[tokio::test]
async fn a_callback_is_listed_with_every_attempt() {
    let service = Service::start().await;
    let (url, _) = receiver(&[500]).await;
    submit(&service, "a", &url).await;
    eventually("an attempt", async || newest(&service, "a").await["attempts"][0].is_object()).await;
    let waiting = newest(&service, "a").await;
    assert_eq!(waiting["id"], format!("msg_a_{}", waiting["sequence"]));
    assert_eq!((&waiting["url"], &waiting["state"]), (&json!(url.replace("?token=s3cret", "?...")), &json!("waiting")));
    assert_eq!(waiting["attempts"][0]["status"], 500);
    assert_eq!(waiting["attempts"][0]["error"], "the receiver answers 500");
    assert!(waiting["next_attempt_at"].as_str() > waiting["attempts"][0]["at"].as_str());

    let delivered = once(&service, "a", "delivered").await;
    assert_eq!((&delivered["next_attempt_at"], &delivered["attempts"][1]["status"]), (&Value::Null, &json!(204)));
    assert_eq!(delivered["attempts"][1]["error"], Value::Null);
    assert_eq!(delivered["attempts"][0], waiting["attempts"][0]);
}

#[tokio::test]
async fn a_callback_that_was_given_up_is_sent_again() {
    let service = Service::start().await;
    let (url, heard) = receiver(&[410]).await;
    submit(&service, "a", &url).await;
    let given_up = once(&service, "a", "given_up").await;
    let redeliver = format!("{}/{}/redeliver", path("a"), given_up["id"].as_str().unwrap());
    let again = service.send(Ask::post(&redeliver)).await.expect(202).json();
    assert_eq!(again["id"], given_up["id"]);
    once(&service, "a", "delivered").await;
    let ends = ends(&heard);
    let [(first, sent_at, body), (second, sent_again_at, same)] = &ends[..] else { panic!("{ends:?}") };
    assert_eq!((first, body), (second, same));
    assert!(sent_again_at >= sent_at);
    // As often as its caller wishes.
    service.send(Ask::post(&redeliver)).await.expect(202);
    let heard_thrice = async || self::ends(&heard).len() == 3;
    eventually("a third time", heard_thrice).await;
}

#[tokio::test]
async fn what_cannot_be_sent_again_says_why() {
    let service = Service::start().await;
    let (url, _) = receiver(&[]).await;
    submit(&service, "a", &url).await;
    once(&service, "a", "delivered").await;
    let redeliver =
        async |id: &str, callback: &str| service.send(Ask::post(format!("{}/{callback}/redeliver", path(id)))).await;
    for unknown in ["msg_a_99", "msg_b_1", "msg_a_", "x", "msg_a_01", "%2e%2e", "msg_a_18446744073709551616"] {
        redeliver("a", unknown).await.refused(404, "CALLBACK_NOT_FOUND");
    }
    redeliver("a", "msg_a_18446744073709551615").await.refused(404, "CALLBACK_NOT_FOUND");
    redeliver("b", "msg_b_1").await.refused(404, "JOB_NOT_FOUND");
    redeliver("a", "msg_a_1").await.refused(409, "CALLBACK_SUPERSEDED");
    service.get(path("b")).await.refused(404, "JOB_NOT_FOUND");
    for bad in ["limit=0", "limit=51", "limit=x", "cursor=abc"] {
        service.get(format!("{}?{bad}", path("a"))).await.refused(422, "VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn a_callback_in_flight_is_not_sent_twice_at_once() {
    let service = Service::start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    submit(&service, "a", &format!("http://{}/", silent.local_addr().unwrap())).await;
    let listed = service.get(path("a")).await.expect(200).json();
    let mut sending = None;
    let mut find = async || {
        let listed = service.get(path("a")).await.expect(200).json();
        let found = listed["callbacks"].as_array().unwrap().iter().find(|callback| callback["state"] == "sending");
        sending = found.map(|callback| callback["id"].as_str().unwrap().to_owned());
        sending.is_some()
    };
    for _ in 0..500 {
        if find().await {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let id = sending.unwrap_or_else(|| panic!("nothing is sent: {listed}"));
    service.send(Ask::post(format!("{}/{id}/redeliver", path("a")))).await.refused(409, "CALLBACK_IN_FLIGHT");
}

#[tokio::test]
async fn a_callbacks_url_is_judged_again() {
    let mut service = Service::without_workers(|_| {}).await;
    let mut body = request("a");
    body["callback_url"] = json!("http://127.0.0.1:9/");
    service.post(&format!("{MESH}/generate"), &body).await.expect(202);
    service.send(Ask::new("DELETE", format!("{MESH}/a"))).await.expect(200);
    // The rules that held at submission hold no longer.
    let stricter = spinelift::net::Policy::default();
    let limits = spinelift::net::Limits::default();
    service.app.net = Arc::new(spinelift::net::Net::new(&stricter, limits).unwrap());
    let address = service.serve_again().await;
    let refused = Ask::post(format!("{}/msg_a_2/redeliver", path("a"))).send(address).await;
    refused.refused(422, "URL_NOT_ALLOWED");
    assert!(refused.json()["error"]["message"].as_str().unwrap().starts_with("callback_url: "));
}

#[tokio::test]
async fn pages_of_callbacks_go_from_new_to_old() {
    let service = Service::without_workers(|_| {}).await;
    let mut body = request("a");
    body["callback_url"] = json!("http://127.0.0.1:9/");
    for _ in 0..3 {
        service.post(&format!("{MESH}/generate"), &body).await.expect(202);
        service.send(Ask::new("DELETE", format!("{MESH}/a"))).await.expect(200);
    }
    let of = |page: &Value| -> Vec<u64> {
        let all = page["callbacks"].as_array().unwrap().iter();
        all.map(|callback| callback["sequence"].as_u64().unwrap()).collect()
    };
    let mut page = service.get(format!("{}?limit=4", path("a"))).await.expect(200).json();
    assert_eq!(of(&page), [6, 5, 4, 3]);
    let next = format!("{}?limit=4&cursor={}", path("a"), page["next_cursor"].as_str().unwrap());
    page = service.get(next).await.expect(200).json();
    assert_eq!((of(&page), &page["next_cursor"]), (vec![2, 1], &Value::Null));
}

#[tokio::test]
async fn callbacks_are_their_owners_alone() {
    let service = Service::with_keys().await;
    let (url, _) = receiver(&[]).await;
    let as_rails = |ask: Ask| ask.header("authorization", "Bearer rails-secret");
    let as_artist = |ask: Ask| ask.header("authorization", "Bearer artist-secret");
    let mut body = request("a");
    body["callback_url"] = url.into();
    service.send(as_rails(Ask::post(format!("{MESH}/generate")).json(&body))).await.expect(202);
    service.send(as_rails(Ask::get(path("a")))).await.expect(200);
    let redeliver = format!("{}/msg_a_1/redeliver", path("a"));
    for (list, again) in [(as_artist(Ask::get(path("a"))), as_artist(Ask::post(&redeliver)))] {
        service.send(list).await.refused(404, "JOB_NOT_FOUND");
        service.send(again).await.refused(404, "JOB_NOT_FOUND");
    }
    service.get(path("a")).await.refused(401, "UNAUTHORIZED");
    service.send(Ask::post(redeliver)).await.refused(401, "UNAUTHORIZED");
}
