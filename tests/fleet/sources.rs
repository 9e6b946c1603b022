//! Images that come when the test wants them to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use tokio::sync::watch;

/// What is fetched.
pub(crate) const IMAGE: &str = "testdata/corpus/noto-dragon-136.png";

/// How a gate stands.
#[derive(Debug, Clone, Copy, Default)]
struct Gate {
    asked: usize,
    opened: usize,
}

type Gates = Arc<Mutex<HashMap<String, watch::Sender<Gate>>>>;

/// A server of images; it lives as long as the test's runtime.
pub(crate) struct Sources {
    address: SocketAddr,
    gates: Gates,
}

impl Sources {
    pub(crate) async fn start() -> Self {
        let gates = Gates::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/after/{milliseconds}", get(after))
            .route("/gate/{waiting}/{name}", get(gate))
            .with_state(Arc::clone(&gates));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, gates }
    }

    /// An image that comes after a while.
    pub(crate) fn after(&self, milliseconds: usize) -> String {
        format!("http://{}/after/{milliseconds}", self.address)
    }

    /// An image that comes to who asks first once the gate is opened, and to others at once.
    pub(crate) fn gated(&self, name: &str) -> String {
        self.gated_for(1, name)
    }

    /// An image for which so many wait; each opening of the gate lets the next one have it.
    pub(crate) fn gated_for(&self, waiting: usize, name: &str) -> String {
        format!("http://{}/gate/{waiting}/{name}", self.address)
    }

    /// Waits until it has been asked for so often.
    pub(crate) async fn asked_for(&self, name: &str, times: usize) {
        let mut gate = of(&self.gates, name).subscribe();
        let asked = gate.wait_for(|gate| gate.asked >= times);
        tokio::time::timeout(super::caller::SETTLE, asked).await.unwrap().unwrap();
    }

    pub(crate) fn open(&self, name: &str) {
        of(&self.gates, name).send_modify(|gate| gate.opened += 1);
    }
}

fn of(gates: &Gates, name: &str) -> watch::Sender<Gate> {
    gates.lock().unwrap().entry(name.to_owned()).or_insert_with(|| watch::Sender::new(Gate::default())).clone()
}

async fn after(Path(milliseconds): Path<u64>) -> Vec<u8> {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    std::fs::read(IMAGE).unwrap()
}

async fn gate(State(gates): State<Gates>, Path((waiting, name)): Path<(usize, String)>) -> Vec<u8> {
    let gate = of(&gates, &name);
    let mut place = 0;
    gate.send_modify(|gate| {
        gate.asked += 1;
        place = gate.asked;
    });
    if place <= waiting {
        let _ = gate.subscribe().wait_for(|gate| gate.opened >= place).await;
    }
    std::fs::read(IMAGE).unwrap()
}
