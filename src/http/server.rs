//! The connection loop: every connection has a time for its header, a size for it, a place or none, and an end.
//!
//! At [`Limits::max_connections`] newcomers wait in a lobby, and those who have sent a whole header get the place of
//! whoever keeps us waiting, see `place`. If nobody does, they are answered only if they ask after the service's health,
//! so that a flood does not make an orchestrator restart a service that is only busy. When the lobby is full, its oldest
//! connection is closed for the newest: strangers who hold connections open cannot keep a probe out.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use super::place::{Places, Seat, Ticket};
use super::socket::{Socket, UnreadBody};
use crate::config::Http;
use crate::metrics::Metrics;

/// How long a caller may take for its header, and how long a connection may idle between requests: hyper has one timer
/// for both. Longer holds places for nothing; shorter cuts off mobile callers, and proxies that keep connections.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The same for a connection beyond the cap. A probe sends its header at once.
const RESERVE_HEADER_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections beyond the cap: enough that one whose header is on its way is not closed for the next ones of a flood.
const RESERVE: usize = 512;

/// Largest header, bytes: twice what nginx allows by default, far below what would add up over all connections.
const HEADER_BYTES: usize = 16 << 10;

/// Most header fields of a request. Browsers behind two proxies send under 50.
const HEADER_FIELDS: usize = 100;

/// How long a caller may leave a full socket unread. Ends those who ask for much and read nothing.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a caller that is still sending is listened to after it was refused, so that it reads why.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Pause after an error of `accept` that is not one connection's: the process is out of descriptors or memory, and the
/// next call would fail at once. Existing connections go on and end meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Paths that are answered beyond the cap: a flood is when its metrics are wanted.
const HEALTH_PATHS: [&str; 3] = ["/health", "/ready", "/metrics"];

/// What one server allows its callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections served at a time.
    pub max_connections: usize,
    /// Connections beyond those, in the lobby.
    pub reserve: usize,
    /// How long a header may take, and a connection idle.
    pub header_timeout: Duration,
    /// How long a caller may leave its answer unread.
    pub write_timeout: Duration,
    /// How long requests may go on after the server was asked to stop.
    pub drain_timeout: Duration,
}

impl Limits {
    /// The limits of the settings, and ours.
    #[must_use]
    pub fn new(settings: &Http) -> Self {
        Self {
            max_connections: settings.max_connections,
            reserve: RESERVE,
            header_timeout: HEADER_TIMEOUT,
            write_timeout: WRITE_TIMEOUT,
            drain_timeout: settings.drain_timeout,
        }
    }
}

/// What every connection shares.
pub struct Server {
    /// Answers requests.
    pub router: Router,
    /// What callers may do.
    pub limits: Limits,
    /// Where connections are counted.
    pub metrics: Arc<Metrics>,
    /// The answer beyond the cap: 503 with Retry-After.
    pub busy: fn() -> Response,
}

/// Serves until `shutdown` ends, then lets requests in flight finish. Returns how many connections had to be cut off.
pub async fn serve(listener: TcpListener, server: Server, shutdown: impl Future<Output = ()>) -> usize {
    let server = Arc::new(server);
    let places = Places::new(server.limits.max_connections, server.limits.reserve);
    let mut connections = JoinSet::new();
    let (stop, stopping) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            (stream, peer) = accept(&listener) => {
                let ticket = Arc::new(places.let_in());
                let connection = Connection { server: Arc::clone(&server), peer, ticket };
                let stopping = stopping.clone();
                server.metrics.connection_opened();
                let open = Open(Arc::clone(&server.metrics));
                connections.spawn(async move {
                    // Counted down however the task ends.
                    let _open = open;
                    connection.serve(stream, stopping).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    stop.send_replace(());
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(server.limits.drain_timeout, drained).await;
    let left = connections.len();
    connections.shutdown().await;
    left
}

/// The next connection. Never fails: what is wrong with one is no reason to refuse the next.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(connection) => return connection,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections; raise the limit of open files if it is reached");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Counts a connection down when it ends, in whatever way.
struct Open(Arc<Metrics>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connection_closed();
    }
}

/// One connection.
#[derive(Clone)]
struct Connection {
    server: Arc<Server>,
    peer: SocketAddr,
    ticket: Arc<Ticket>,
}

impl Connection {
    /// Answers its requests until it ends, idles, breaks a limit or the server stops.
    async fn serve(self, stream: TcpStream, mut stopping: watch::Receiver<()>) {
        // Without it small answers wait for the caller's acknowledgement; that it fails on a socket just closed is no news.
        let _ = stream.set_nodelay(true);
        let unread = UnreadBody::default();
        let Limits { write_timeout, .. } = self.server.limits;
        let socket = Socket::new(stream, self.ticket.place.clone(), unread.clone(), write_timeout, LEAVE_TIMEOUT);
        let http = self.http();
        let place = self.ticket.place.clone();
        let service = service_fn(move |request| {
            let answer = self.clone().answer(request, unread.clone());
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let mut connection = pin!(http.serve_connection(TokioIo::new(socket), service));
        let ended = tokio::select! {
            // First, or a request whose bytes are there would still be begun.
            biased;
            () = place.lost() => return,
            ended = connection.as_mut() => ended,
            _ = stopping.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }

    fn http(&self) -> http1::Builder {
        let timeout = self.server.limits.header_timeout;
        let is_in_lobby = self.ticket.is_in_lobby();
        let timeout = if is_in_lobby { timeout.min(RESERVE_HEADER_TIMEOUT) } else { timeout };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new());
        http.header_read_timeout(timeout);
        http.max_header_size(HEADER_BYTES);
        http.max_headers(HEADER_FIELDS);
        http.keep_alive(!is_in_lobby);
        http
    }

    async fn answer(self, mut request: Request<Incoming>, unread: UnreadBody) -> Response {
        unread.begin_anew();
        let Ticket { place, .. } = &*self.ticket;
        if !place.begin() {
            // Nobody reads it.
            unread.leave();
            return (self.server.busy)();
        }
        match self.ticket.take_seat() {
            Seat::Taken => {}
            Seat::TakenOver => self.server.metrics.rejected("slow"),
            Seat::None if is_health(&request) => {}
            Seat::None => {
                self.server.metrics.rejected("connections");
                unread.leave();
                return (self.server.busy)();
            }
        }
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request.extensions_mut().insert(unread);
        request.extensions_mut().insert(place.clone());
        let answer = self.server.router.clone().oneshot(request.map(Body::new)).await;
        answer.unwrap_or_else(|never| match never {}).map(|body| place.clone().answering(body))
    }
}

fn is_health(request: &Request<Incoming>) -> bool {
    request.method() == Method::GET && HEALTH_PATHS.contains(&request.uri().path())
}
