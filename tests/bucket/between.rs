//! Somebody between the service and its bucket, who does what a network does on its worst days.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Nothing.
    Pass,
    /// The last byte of what is written is another when it arrives.
    DamageSent,
    /// The last byte of what is read is another when it comes back.
    DamageReceived,
    /// The server asks for less.
    SlowDown,
    /// The server knows the caller and says no.
    Forbid,
    /// The server does not know the bucket.
    NoBucket,
    /// The server has compared what arrived with its digest.
    CallDamaged,
    /// The server points elsewhere.
    Redirect,
    /// No answer ever comes.
    Hang,
    /// The answer takes its time.
    Wait(Duration),
}

#[derive(Clone)]
struct Between {
    server: SocketAddr,
    client: reqwest::Client,
    script: Arc<Mutex<Script>>,
    seen: Arc<AtomicUsize>,
}

/// To which requests, and how many of them, something happens.
#[derive(Debug, Clone)]
struct Script {
    method: Option<Method>,
    act: Act,
    times: usize,
}

/// The way to a server, and what lies on it.
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    between: Between,
}

impl Way {
    /// To a server that may not be there; nothing happens yet.
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let script = Script { method: None, act: Act::Pass, times: 0 };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client =
            reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).redirect(reqwest::redirect::Policy::none());
        let between = Between {
            server,
            client: client.build().unwrap(),
            script: Arc::new(Mutex::new(script)),
            seen: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(pass).with_state(between.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, between }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on this happens to so many requests of a method, or of any.
    pub(crate) fn let_happen(&self, act: Act, method: Option<Method>, times: usize) {
        *self.between.script.lock().unwrap() = Script { method, act, times };
        self.between.seen.store(0, Ordering::SeqCst);
    }

    /// Requests since then to which it might have happened.
    pub(crate) fn seen(&self) -> usize {
        self.between.seen.load(Ordering::SeqCst)
    }
}

impl Between {
    fn act(&self, method: &Method) -> Act {
        let mut script = self.script.lock().unwrap();
        if script.method.as_ref().is_some_and(|wanted| wanted != method) {
            return Act::Pass;
        }
        self.seen.fetch_add(1, Ordering::SeqCst);
        if script.times == 0 {
            return Act::Pass;
        }
        script.times -= 1;
        script.act
    }
}

async fn pass(State(between): State<Between>, request: Request) -> Response {
    match between.act(request.method()) {
        Act::Pass => forward(&between, request, false).await,
        Act::DamageSent => forward(&between, request, true).await,
        Act::DamageReceived => {
            let (head, body) = forward(&between, request, false).await.into_parts();
            let body = damaged(to_bytes(body, usize::MAX).await.unwrap());
            Response::from_parts(head, Body::from(body))
        }
        Act::SlowDown => refused(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
        Act::Forbid => refused(StatusCode::FORBIDDEN, "AccessDenied"),
        Act::NoBucket => refused(StatusCode::NOT_FOUND, "NoSuchBucket"),
        Act::CallDamaged => refused(StatusCode::BAD_REQUEST, "BadDigest"),
        Act::Redirect => {
            let there = format!("http://{}{}", between.server, request.uri());
            (StatusCode::TEMPORARY_REDIRECT, [("location", there)]).into_response()
        }
        Act::Hang => std::future::pending().await,
        Act::Wait(time) => {
            tokio::time::sleep(time).await;
            forward(&between, request, false).await
        }
    }
}

fn refused(status: StatusCode, code: &str) -> Response {
    let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>on purpose</Message></Error>");
    (status, [("content-type", "application/xml")], text).into_response()
}

/// Passes everything on as it is, the Host that was signed included.
async fn forward(between: &Between, request: Request, damage: bool) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let body = if damage { damaged(body) } else { body };
    let url = format!("http://{}{}", between.server, head.uri);
    let sent = between.client.request(head.method, url).headers(head.headers).body(body).send().await;
    // Whoever cannot be reached closes the connection as far as the other side can see.
    let Ok(answer) = sent else { return refused(StatusCode::BAD_GATEWAY, "Unreachable") };
    let mut response = Response::builder().status(answer.status());
    response.headers_mut().unwrap().extend(answer.headers().clone());
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}

fn damaged(bytes: Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    bytes.into()
}
