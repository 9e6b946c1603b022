//! The only place where an HTTP client is built and a name becomes an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, redirect, retry};

use super::policy::is_localhost;

/// What the service calls itself to others.
const USER_AGENT: &str = concat!("SpineLift/", env!("CARGO_PKG_VERSION"));

/// Longest that a name may take to resolve: a resolver asks twice within it.
const RESOLVE: Duration = Duration::from_secs(2);

/// Most addresses of a name that are tried: real hosts have fewer, and each costs a connect timeout.
const MOST_ADDRESSES: usize = 16;

/// One client for everything, with no proxy from the environment, no redirect and no retry of its own. Connections are
/// not kept: a name is looked at anew for every request, and a receiver's stale connection never costs a callback.
pub(super) fn build(connect_timeout: Duration) -> Result<Client, reqwest::Error> {
    // Fails if a provider was installed before, which then is the one in use.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        Client::builder()
            .user_agent(USER_AGENT)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .connect_timeout(connect_timeout)
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(Names))
    };
    builder().build().or_else(|cause| {
        // A bare container has no certificates. Plain HTTP works there; every https:// URL fails, and this says why.
        tracing::warn!(%cause, "no system certificates were found, so no https:// host can be verified; install them");
        builder().tls_certs_only([]).build()
    })
}

/// Resolves names. Addresses written in a URL never come here: the policy has judged them.
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::time::timeout(RESOLVE, look_up(name.as_str())).await??;
            let addresses: Addrs = Box::new(found.into_iter().take(MOST_ADDRESSES));
            Ok(addresses)
        })
    }
}

/// The addresses of a name, with port 0 for the URL's own.
async fn look_up(name: &str) -> std::io::Result<Vec<SocketAddr>> {
    if is_localhost(name) {
        // Never asked of a resolver, which could answer anything.
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return Ok(loopback.map(|address| SocketAddr::new(address, 0)).into());
    }
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}
