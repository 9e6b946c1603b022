//! A TCP proxy between nodes and their database that breaks connections as networks do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::caller::next_random;

/// How often a message of a node costs its connection.
#[derive(Debug, Default)]
struct Cuts {
    /// Of so many messages one; 0 for none.
    one_in: AtomicUsize,
    random: AtomicU64,
    /// The message came through, and its answer did not.
    after: AtomicUsize,
    /// The message did not come through.
    before: AtomicUsize,
}

/// Lives as long as the test's runtime.
pub(crate) struct Proxy {
    address: SocketAddr,
    cuts: Arc<Cuts>,
    /// Whether it carries anything; how often it has forgotten all connections.
    forwards: watch::Sender<(bool, usize)>,
}

impl Proxy {
    /// To a server.
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = Arc::new(Cuts { random: AtomicU64::new(0x5eed), ..Cuts::default() });
        let forwards = watch::Sender::new((true, 0));
        let (cutting, forwarding) = (Arc::clone(&cuts), forwards.subscribe());
        tokio::spawn(async move {
            while let Ok((node, _)) = listener.accept().await {
                tokio::spawn(carry(node, server, Arc::clone(&cutting), forwarding.clone()));
            }
        });
        Self { address, cuts, forwards }
    }

    /// A database's URL by way of this.
    pub(crate) fn url(&self, database: &str) -> String {
        let mut url = url::Url::parse(database).unwrap();
        url.set_ip_host(self.address.ip()).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url.into()
    }

    /// From now on one of so many messages costs its connection, before or after it is carried to the server; 0 for none.
    pub(crate) fn cut_one_in(&self, messages: usize) {
        self.cuts.one_in.store(messages, Ordering::Relaxed);
    }

    /// Connections that were cut before a message was carried, and after.
    pub(crate) fn cuts(&self) -> (usize, usize) {
        (self.cuts.before.load(Ordering::Relaxed), self.cuts.after.load(Ordering::Relaxed))
    }

    /// Holds everything back, and connections open, or carries on with what was held back.
    pub(crate) fn forward(&self, does: bool) {
        self.forwards.send_modify(|(forwards, _)| *forwards = does);
    }

    /// Nothing comes through the connections that there are any more, and nobody is told. New ones are carried.
    pub(crate) fn forget(&self) {
        self.forwards.send_modify(|(_, times)| *times += 1);
    }
}

/// What happens to a connection upon a message.
enum Fate {
    Carried,
    CutBefore,
    CutAfter,
}

impl Cuts {
    fn fate(&self) -> Fate {
        let one_in = self.one_in.load(Ordering::Relaxed);
        if one_in == 0 {
            return Fate::Carried;
        }
        let mut random = self.random.load(Ordering::Relaxed);
        let drawn = next_random(&mut random);
        self.random.store(random, Ordering::Relaxed);
        match (drawn % one_in as u64, drawn / one_in as u64 % 2) {
            (0, 0) => Fate::CutBefore,
            (0, _) => Fate::CutAfter,
            _ => Fate::Carried,
        }
    }
}

/// Whether a connection carries anything.
#[derive(Clone)]
struct Forwards {
    now: watch::Receiver<(bool, usize)>,
    when_opened: usize,
}

impl Forwards {
    /// Ends once it does.
    async fn come(&mut self) {
        let opened = self.when_opened;
        let _ = self.now.wait_for(|(forwards, times)| *forwards && *times == opened).await;
    }
}

async fn carry(node: TcpStream, server: SocketAddr, cuts: Arc<Cuts>, forwards: watch::Receiver<(bool, usize)>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_node, to_node) = node.into_split();
    let (from_server, to_server) = server.into_split();
    let (cut, is_cut) = watch::channel(false);
    let when_opened = forwards.borrow().1;
    let forwards = Forwards { when_opened, now: forwards };
    let asking = ask(from_node, to_server, &cuts, cut, forwards.clone());
    let answering = answer(from_server, to_node, is_cut, forwards);
    // Whichever ends first takes both ends down.
    tokio::select! {
        () = asking => {}
        () = answering => {}
    }
}

/// From the node to the server.
async fn ask(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    cuts: &Cuts,
    cut: watch::Sender<bool>,
    mut forwards: Forwards,
) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        forwards.come().await;
        let fate = cuts.fate();
        if let Fate::CutBefore = fate {
            cuts.before.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let Fate::CutAfter = fate {
            cut.send_replace(true);
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
        if let Fate::CutAfter = fate {
            cuts.after.fetch_add(1, Ordering::Relaxed);
            // What the server now does is done; its answer is swallowed meanwhile.
            tokio::time::sleep(Duration::from_millis(50)).await;
            return;
        }
    }
}

/// From the server to the node.
async fn answer(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    is_cut: watch::Receiver<bool>,
    mut forwards: Forwards,
) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        forwards.come().await;
        if !*is_cut.borrow() && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
