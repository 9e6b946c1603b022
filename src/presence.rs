//! Tells the database, and thereby operators, that this process lives, and counts the others. For display: whether a
//! worker lives is decided by the leases of its jobs.

use std::process;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::app::App;
use crate::config::Role;
use crate::store::{Node, Store};

/// How often a process tells of itself.
pub const EVERY: Duration = Duration::from_secs(10);

/// How long ago a process was seen that counts as living: two words of it may be lost.
pub const LIVING: Duration = Duration::from_secs(30);

/// How long a stop waits for the database.
const GOODBYE: Duration = Duration::from_secs(2);

/// A process that tells of itself. Dropped without an end it leaves its row behind, as a crash does.
pub struct Presence {
    stop: oneshot::Sender<()>,
    telling: JoinHandle<()>,
    store: Arc<dyn Store>,
    name: String,
}

/// Begins to tell of this process. `name` is new with every boot, and its worker's if it has one; `host` is the machine's,
/// empty if it is not known.
#[must_use]
pub fn start(app: &App, name: &str, host: &str) -> Presence {
    let role = app.config.role;
    let slots = if role == Role::Api { 0 } else { app.config.jobs.concurrent };
    let node = Node {
        name: name.to_owned(),
        role: role.as_str().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: host.to_owned(),
        pid: process::id(),
        slots: u32::try_from(slots).unwrap_or(u32::MAX),
        draining: false,
    };
    let (stop, stopped) = oneshot::channel();
    let telling = tokio::spawn(tell(app.clone(), node, stopped));
    Presence { stop, telling, store: Arc::clone(&app.store), name: name.to_owned() }
}

impl Presence {
    /// Takes the row away. If the database does not let it, somebody drops it in a day.
    pub async fn end(self) {
        let Self { stop, telling, store, name } = self;
        drop(stop);
        let goodbye = async {
            // What is under way would write the row anew.
            let _ = telling.await;
            store.forget_node(&name).await
        };
        match timeout(GOODBYE, goodbye).await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => tracing::warn!(%cause, "this process stays in the list of nodes"),
            Err(_) => tracing::warn!("this process stays in the list of nodes: the database hangs"),
        }
    }
}

/// Every few seconds, and at once when a stop begins.
async fn tell(app: App, mut node: Node, mut stopped: oneshot::Receiver<()>) {
    let mut draining = app.draining();
    let mut failed = false;
    loop {
        node.draining = *draining.borrow_and_update();
        let told = look(&app, &node).await;
        if let (Err(cause), false) = (&told, failed) {
            tracing::warn!(%cause, "cannot tell that this process lives; trying again");
        }
        failed = told.is_err();
        tokio::select! {
            _ = &mut stopped => return,
            // The sender lives in the app.
            Ok(()) = draining.changed() => {}
            () = sleep(EVERY) => {}
        }
    }
}

async fn look(app: &App, node: &Node) -> crate::store::Result<()> {
    app.store.note_node(node).await?;
    let nodes = app.store.nodes().await?;
    let living = nodes.iter().filter(|seen| seen.unseen_for <= LIVING);
    app.metrics.nodes(living.map(|seen| seen.node.role.as_str()));
    Ok(())
}
