//! One HTTP exchange over one connection, opened to one of the addresses that it is given.
//!
//! Nothing here looks up a name, follows a redirect, reads a proxy from the environment or keeps a connection: what was
//! judged is what is connected to, and a receiver's stale connection never costs a callback.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::tls;

/// How long an address has to answer before the next one is tried beside it: RFC 8305 section 5.
const HEAD_START: Duration = Duration::from_millis(250);

/// Addresses that are tried side by side: a name of many that are silent must not cost many sockets.
const AT_A_TIME: usize = 2;

/// Largest header of an answer, bytes, and most fields: beyond what browsers take.
const HEADER_BYTES: usize = 64 << 10;
const HEADER_FIELDS: usize = 128;

/// The way to encrypted hosts.
pub(super) struct Client {
    tls: TlsConnector,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// A client that trusts whom the system trusts.
    pub(super) fn new() -> Result<Self, rustls::Error> {
        Ok(Self { tls: TlsConnector::from(Arc::new(tls::client()?)) })
    }

    /// Connects to one of the addresses, and agrees on TLS where the URL asks for it.
    pub(super) async fn connect(&self, url: &Url, addresses: &[SocketAddr]) -> io::Result<Connection> {
        let stream = connect_any(addresses).await?;
        // Fails on a socket just closed, which the next write tells as well.
        let _ = stream.set_nodelay(true);
        if url.scheme() == "https" {
            let stream = self.tls.connect(server_name(url)?, stream).await?;
            shake_hands(stream).await
        } else {
            shake_hands(stream).await
        }
    }
}

/// The first connection to come about. An address that does not answer delays the second by no more than [`HEAD_START`].
async fn connect_any(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut untried = addresses.iter();
    let mut attempts = JoinSet::new();
    let mut failed = io::Error::new(io::ErrorKind::AddrNotAvailable, "there is no address");
    loop {
        if attempts.len() < AT_A_TIME
            && let Some(address) = untried.next()
        {
            attempts.spawn(TcpStream::connect(*address));
        } else if attempts.is_empty() {
            return Err(failed);
        }
        let room = attempts.len() < AT_A_TIME && untried.len() > 0;
        tokio::select! {
            Some(ended) = attempts.join_next() => match ended {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = error,
                Err(error) => failed = io::Error::other(error),
            },
            () = sleep(HEAD_START), if room => {}
        }
    }
}

/// The name that a certificate must have.
fn server_name(url: &Url) -> io::Result<ServerName<'static>> {
    match url.host() {
        Some(Host::Domain(name)) => {
            ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned()).map_err(io::Error::other)
        }
        Some(Host::Ipv4(address)) => Ok(ServerName::IpAddress(address.into())),
        Some(Host::Ipv6(address)) => Ok(ServerName::IpAddress(address.into())),
        None => Err(io::Error::other("the URL has no host")),
    }
}

async fn shake_hands<S>(stream: S) -> io::Result<Connection>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut http = http1::Builder::new();
    http.max_header_size(HEADER_BYTES).max_headers(HEADER_FIELDS);
    let (sender, connection) = http.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Its errors are those of the request that waits for it.
    let driver = Driver(tokio::spawn(async { drop(connection.await) }));
    Ok(Connection { sender, driver })
}

/// The task that moves the bytes of a connection, which ends with it.
#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection that is good for one request.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
}

impl Connection {
    /// Sends a request and waits for the header of the answer.
    pub(super) async fn ask(mut self, request: Request<Full<Bytes>>) -> hyper::Result<Reply> {
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        Ok(Reply { status: head.status, headers: head.headers, body, _driver: self.driver })
    }
}

/// An answer, whose connection ends with it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Incoming,
    _driver: Driver,
}

impl Reply {
    /// The body's length, where the header tells it.
    pub(super) fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next piece of the body.
    pub(super) async fn piece(&mut self) -> hyper::Result<Option<Bytes>> {
        loop {
            match self.body.frame().await.transpose()? {
                None => return Ok(None),
                // Trailers say nothing that is wanted here.
                Some(frame) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }
}
