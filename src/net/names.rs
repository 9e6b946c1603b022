//! Names to addresses, asked of the name servers ourselves: within a time, and with nothing left waiting when it is over.
//!
//! The system's own function would hold a thread for as long as a stranger's name server likes. Answers are not kept:
//! a name is looked at anew for every request, and what is judged is what is connected to.

use std::error::Error;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use thiserror::Error as ThisError;
use tokio::time::timeout;

use super::policy::{LOOPBACK, is_localhost};

/// Where the system names its name servers.
const SYSTEM: &str = "/etc/resolv.conf";

/// Where the system's own resolver looks if nothing is named.
const WITHOUT_SYSTEM: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);

/// How long one name server may take over one question: each is asked twice within the time that a name has.
const QUESTION: Duration = Duration::from_millis(900);

/// Why a name has no address.
#[derive(Debug, ThisError)]
pub(super) enum NameError {
    /// Its zone says that there is none.
    #[error("the name does not exist, or has no address")]
    Unknown,
    /// Nobody said so in time.
    #[error("the name could not be looked up within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// Nobody could say.
    #[error("the name could not be looked up")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// A way to ask.
#[derive(Debug)]
pub(super) struct Names {
    servers: Vec<SocketAddr>,
    limit: Duration,
    system: Mutex<Option<(Option<SystemTime>, Asker)>>,
}

/// A resolver, which has no `Debug` of its own.
#[derive(Clone)]
struct Asker(TokioResolver);

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asker")
    }
}

impl Names {
    /// Asks these name servers, or the system's if there are none, for at most `limit` a name.
    pub(super) fn new(servers: Vec<SocketAddr>, limit: Duration) -> Self {
        Self { servers, limit, system: Mutex::default() }
    }

    /// Every address of a name, IPv4 first, at least one. `relative` also looks below the system's search domains, as an
    /// operator's short names need; a stranger's are taken as complete.
    pub(super) async fn look_up(&self, name: &str, relative: bool) -> Result<Vec<IpAddr>, NameError> {
        if is_localhost(name) {
            return Ok(LOOPBACK.into());
        }
        let asker = self.asker()?;
        let complete = if relative || name.ends_with('.') { name.to_owned() } else { format!("{name}.") };
        let found = match timeout(self.limit, asker.0.lookup_ip(complete)).await {
            Err(_) | Ok(Err(NetError::Timeout)) => return Err(NameError::TimedOut(self.limit)),
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(NoRecords {
                response_code: ResponseCode::NXDomain | ResponseCode::NoError,
                ..
            })))) => return Err(NameError::Unknown),
            Ok(Err(cause)) => return Err(NameError::Failed(cause.into())),
            Ok(Ok(found)) => found,
        };
        let addresses: Vec<IpAddr> = found.iter().collect();
        if addresses.is_empty() { Err(NameError::Unknown) } else { Ok(addresses) }
    }

    /// The resolver; a new one when the system's file has changed, as it does on a machine that moves.
    fn asker(&self) -> Result<Asker, NameError> {
        let changed = if self.servers.is_empty() { modified() } else { None };
        let mut system = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read_at, asker)) = &*system
            && *read_at == changed
        {
            return Ok(asker.clone());
        }
        let asker = Asker(build(&self.servers).map_err(|cause| NameError::Failed(cause.into()))?);
        *system = Some((changed, asker.clone()));
        Ok(asker)
    }
}

fn modified() -> Option<SystemTime> {
    fs::metadata(SYSTEM).and_then(|file| file.modified()).ok()
}

fn build(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let named = |servers: &[SocketAddr]| {
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(server).collect());
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio().unwrap_or_else(|cause| {
            tracing::warn!(%cause, "{SYSTEM} names no name server; asking this machine's own");
            named(&[WITHOUT_SYSTEM])
        })
    } else {
        named(servers)
    };
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = QUESTION;
    options.attempts = 2;
    options.cache_size = 0;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = if servers.is_empty() { ResolveHosts::Always } else { ResolveHosts::Never };
    builder.build()
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}
