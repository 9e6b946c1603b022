//! Which URLs may be reached: a pure judgement, made at submission, at every use and at every redirect.
//!
//! A URL is judged by its form, then by each address that its host has. A host is compared as the WHATWG parser writes
//! it, so the many spellings of an address (`0x7f000001`, `0177.1`, full-width digits) are all judged as the one they
//! mean.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use thiserror::Error;
use url::{Host, Url};

use super::address::is_public;

/// Longest URL, bytes: what servers and proxies agree to take.
const LONGEST_URL: usize = 2048;

/// Ports of HTTP. Others are other protocols' as a rule, some of which take orders from a request that is not theirs.
const WEB_PORTS: [u16; 2] = [80, 443];

/// What `localhost` means, whatever a resolver may say: RFC 6761 section 6.3.
pub(super) const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// What may be reached, as it is set. By default public addresses on ports 80 and 443, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Loopback on any port may be reached as well: for a developer's own machine.
    pub dev: bool,
    /// ALLOWED_HOSTS: `host` for its ports 80 and 443, or `host:port`. Exactly these may be reached wherever they are.
    pub allowed_hosts: HashSet<String>,
    /// ALLOWED_NETWORKS: addresses that are reached as public ones are.
    pub allowed_networks: Vec<IpNet>,
    /// Ports that hosts may be reached on that are not listed with another.
    pub ports: Vec<u16>,
    /// DNS_SERVERS: who is asked for names; the system's if empty.
    pub name_servers: Vec<SocketAddr>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            dev: false,
            allowed_hosts: HashSet::new(),
            allowed_networks: Vec::new(),
            ports: WEB_PORTS.to_vec(),
            name_servers: Vec::new(),
        }
    }
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
    /// A port that is not HTTP's and not listed.
    #[error(
        "port {0} is not reached; use the scheme's own, or ask the operator to list the host with it in ALLOWED_HOSTS"
    )]
    Port(u16),
    /// Its host is, or has among its addresses, one that is not public. The address is not told: it may be a secret.
    #[error("the URL's host is not a public one; ask the operator to list it in ALLOWED_HOSTS if it should be reached")]
    NotPublic,
}

/// On what ground a URL may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// The operator has listed host and port: they are reached wherever they are.
    Listed,
    /// Every address of the host may be reached; those of a name are still to be judged.
    Address,
}

/// A policy with its hosts in the parser's own spelling.
#[derive(Debug, Clone)]
pub(super) struct Judge {
    dev: bool,
    listed: HashSet<(String, u16)>,
    networks: Vec<IpNet>,
    ports: Vec<u16>,
}

impl Judge {
    /// Reads the list of hosts; the entry that is none comes back as the error.
    pub(super) fn new(policy: &Policy) -> Result<Self, String> {
        let mut listed = HashSet::new();
        for entry in &policy.allowed_hosts {
            let (host, ports) = read_entry(entry).ok_or_else(|| entry.clone())?;
            listed.extend(ports.into_iter().map(|port| (host.clone(), port)));
        }
        Ok(Self { dev: policy.dev, listed, networks: policy.allowed_networks.clone(), ports: policy.ports.clone() })
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

    /// Judges all of a parsed URL but the addresses that its host will turn out to have.
    pub(super) fn judge(&self, url: &Url) -> Result<Ground, Refusal> {
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
        if self.listed.contains(&(name, port)) || (self.dev && is_loopback(&host)) {
            return Ok(Ground::Listed);
        }
        if !self.ports.contains(&port) {
            return Err(Refusal::Port(port));
        }
        match host {
            Host::Ipv4(address) => self.judge_addresses(&[address.into()])?,
            Host::Ipv6(address) => self.judge_addresses(&[address.into()])?,
            Host::Domain(name) if is_localhost(name) => self.judge_addresses(&LOOPBACK)?,
            Host::Domain(_) => {}
        }
        Ok(Ground::Address)
    }

    /// Judges every address of a host: one that may not be reached spoils them all, as the next answer may have it first.
    pub(super) fn judge_addresses(&self, addresses: &[IpAddr]) -> Result<(), Refusal> {
        let allowed = |address: &IpAddr| {
            let canonical = address.to_canonical();
            is_public(*address) || self.networks.iter().any(|network| network.contains(&canonical))
        };
        if addresses.iter().all(allowed) { Ok(()) } else { Err(Refusal::NotPublic) }
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
fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
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
