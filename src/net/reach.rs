//! From a URL to an answer's header: judged, looked up, judged again, connected to, asked, each step within its time.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use thiserror::Error as ThisError;
use tokio::time::timeout;
use url::{Host, Position, Url};

use super::client::Reply;
use super::names::NameError;
use super::policy::Ground;
use super::{Net, Refusal};

/// What the service calls itself to others.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("SpineLift/", env!("CARGO_PKG_VERSION")));

/// Most addresses of a name that are tried. More would let a stranger's name send us to many hosts with each request.
const MOST_ADDRESSES: usize = 4;

/// Why there is no answer.
#[derive(Debug, ThisError)]
pub(super) enum ReachError {
    /// The URL, or an address of its host, may not be reached.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The host does not exist.
    #[error("the host does not exist")]
    NoSuchHost,
    /// A step took too long.
    #[error("the host {did_not} within {} s", limit.as_secs_f64())]
    TimedOut {
        /// What did not come about.
        did_not: &'static str,
        /// How long it may take.
        limit: Duration,
    },
    /// It could not be looked up or connected to, or broke off.
    #[error("the host could not be reached or broke off")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl Net {
    /// Sends a request to a URL and waits for the header of the answer, once connected for at most `patience`. The
    /// connection goes to an address that was judged in this very call.
    pub(super) async fn reach(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        patience: Duration,
    ) -> Result<Reply, ReachError> {
        let addresses = self.addresses(url).await?;
        let request = request(method, url, headers, body)?;
        let connecting = timeout(self.limits.connect, self.client.connect(url, &addresses)).await;
        let connection = connecting
            .map_err(|_| ReachError::TimedOut { did_not: "could not be connected to", limit: self.limits.connect })?
            .map_err(|cause| ReachError::Failed(cause.into()))?;
        let asking = timeout(patience, connection.ask(request)).await;
        asking
            .map_err(|_| ReachError::TimedOut { did_not: "did not answer", limit: patience })?
            .map_err(|cause| ReachError::Failed(cause.into()))
    }

    /// The judged addresses of a judged URL.
    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, ReachError> {
        let ground = self.judge.judge(url)?;
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(Refusal::Form.into());
        };
        let listed = ground == Ground::Listed;
        let addresses = match host {
            Host::Ipv4(address) => vec![address.into()],
            Host::Ipv6(address) => vec![address.into()],
            Host::Domain(name) => self.names.look_up(name, listed).await?,
        };
        if !listed {
            self.judge.judge_addresses(&addresses)?;
        }
        let tried = alternating(&addresses).take(MOST_ADDRESSES);
        Ok(tried.map(|address| SocketAddr::new(address, port)).collect())
    }
}

/// The addresses, IPv4 and IPv6 in turns: either may be all that this machine can reach.
fn alternating(addresses: &[IpAddr]) -> impl Iterator<Item = IpAddr> {
    let of = |v6: bool| addresses.iter().copied().filter(move |address| address.is_ipv6() == v6);
    let mut families = [of(false), of(true)];
    std::iter::from_fn(move || {
        families.rotate_left(1);
        families[1].next().or_else(|| families[0].next())
    })
}

impl From<NameError> for ReachError {
    fn from(error: NameError) -> Self {
        match error {
            NameError::Unknown => Self::NoSuchHost,
            NameError::TimedOut(limit) => Self::TimedOut { did_not: "could not be looked up", limit },
            NameError::Failed(cause) => Self::Failed(cause),
        }
    }
}

fn request(method: Method, url: &Url, headers: HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, ReachError> {
    let failed = |cause: hyper::http::Error| ReachError::Failed(cause.into());
    let host = HeaderValue::try_from(&url[Position::BeforeHost..Position::AfterPort]);
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let mut request = Request::builder().method(method).uri(path).body(Full::new(body)).map_err(failed)?;
    *request.headers_mut() = headers;
    request.headers_mut().insert(HOST, host.map_err(|cause| failed(cause.into()))?);
    request.headers_mut().insert(USER_AGENT, AGENT);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_have_their_turn() {
        let turns = |addresses: &[&str]| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
            alternating(&addresses).map(|address| address.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(turns(&["1.1.1.1", "1.1.1.2", "1.1.1.3", "2::1"]), ["1.1.1.1", "2::1", "1.1.1.2", "1.1.1.3"]);
        assert_eq!(turns(&["2::1", "2::2", "1.1.1.1"]), ["1.1.1.1", "2::1", "2::2"]);
        assert_eq!(turns(&["2::1", "2::2"]), ["2::1", "2::2"]);
        assert!(turns(&[]).is_empty());
    }
}
