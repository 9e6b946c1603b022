//! Which URLs may be reached: a pure judgement on the parsed URL, made at submission, at every use and at every redirect.
//!
//! Hosts are denied by default. A host is compared as the WHATWG parser writes it, so the many spellings of an address
//! (`0x7f000001`, `0177.1`, full-width digits) are all judged as the one they mean.

use std::collections::HashSet;

use thiserror::Error;
use url::{Host, Url};

/// Longest URL, bytes: what servers and proxies agree to take.
const LONGEST_URL: usize = 2048;

/// Ports that a host listed without one may be reached on.
const WEB_PORTS: [u16; 2] = [80, 443];

/// What may be reached, as it is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Loopback on any port may be reached as well: for a developer's own machine.
    pub dev: bool,
    /// ALLOWED_HOSTS: `host` for its ports 80 and 443, or `host:port`.
    pub allowed_hosts: HashSet<String>,
}

/// Why a URL is not reached, as a sentence for its caller.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No absolute URL.
    #[error("the URL is not an absolute one, such as https://example.com/image.png")]
    Form,
    /// Longer than any honest one.
    #[error("the URL is {0} bytes long, at most {LONGEST_URL} are accepted")]
    Length(usize),
    /// `file:`, `data:`, `gopher:` and the like.
    #[error("the URL begins with {0}:, only http: and https: are reached")]
    Scheme(String),
    /// `user:password@`.
    #[error("the URL holds a user name or password, which is not sent; remove it")]
    UserInfo,
    /// A host or port that is not listed.
    #[error("{0} is not a host that this service may reach; ask its operator to list it in ALLOWED_HOSTS")]
    Host(String),
}

/// A policy with its hosts in the parser's own spelling.
#[derive(Debug, Clone)]
pub(super) struct Judge {
    dev: bool,
    allowed: HashSet<(String, u16)>,
}

impl Judge {
    /// Reads the list of hosts; the entry that is none comes back as the error.
    pub(super) fn new(policy: &Policy) -> Result<Self, String> {
        let mut allowed = HashSet::new();
        for entry in &policy.allowed_hosts {
            let (host, ports) = read_entry(entry).ok_or_else(|| entry.clone())?;
            allowed.extend(ports.into_iter().map(|port| (host.clone(), port)));
        }
        Ok(Self { dev: policy.dev, allowed })
    }

    /// Parses a caller's URL and judges it.
    pub(super) fn read(&self, text: &str) -> Result<Url, Refusal> {
        if text.len() > LONGEST_URL {
            return Err(Refusal::Length(text.len()));
        }
        let url = Url::parse(text).map_err(|_| Refusal::Form)?;
        self.judge(&url)?;
        Ok(url)
    }

    /// Judges a parsed URL: the one decision that every request, first or redirected, must pass.
    pub(super) fn judge(&self, url: &Url) -> Result<(), Refusal> {
        if url.as_str().len() > LONGEST_URL {
            return Err(Refusal::Length(url.as_str().len()));
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refusal::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(Refusal::Form);
        };
        let name = without_root(&host.to_string()).to_owned();
        if self.allowed.contains(&(name.clone(), port)) || (self.dev && is_loopback(&host)) {
            return Ok(());
        }
        Err(Refusal::Host(if WEB_PORTS.contains(&port) { name } else { format!("{name}:{port}") }))
    }
}

/// A host of the list in the parser's spelling, and its ports.
fn read_entry(entry: &str) -> Option<(String, Vec<u16>)> {
    let colon = entry.rsplit_once(':').filter(|_| !entry.ends_with(']'));
    let (host, ports) = match colon {
        Some((host, port)) => (host, vec![port.parse().ok()?]),
        None => (entry, WEB_PORTS.to_vec()),
    };
    let url = Url::parse(&format!("http://{host}/")).ok()?;
    // A path, a user or a port inside would make another URL of it than a host alone.
    let alone = url.path() == "/" && url.username().is_empty() && url.port().is_none() && url.query().is_none();
    let name = url.host_str().filter(|_| alone && url.fragment().is_none() && !host.ends_with('/'))?;
    Some((without_root(name).to_owned(), ports))
}

/// `example.com.` and `example.com` are one name.
fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Whether the host is this machine by its own name. No name is looked up for that: RFC 6761 reserves `localhost`.
pub(super) fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => is_localhost(name.as_ref()),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.to_canonical().is_loopback(),
    }
}

/// `localhost` and everything under it.
pub(super) fn is_localhost(name: &str) -> bool {
    let name = without_root(name);
    name == "localhost" || name.ends_with(".localhost")
}
