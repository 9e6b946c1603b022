//! Requests to URLs that callers name: images fetched, callbacks sent, within limits and to public addresses only.
//!
//! `policy` judges a URL and, by `address`, what its host turns out to be; `names` looks it up; `client` connects to what
//! was judged. `reach` is these in a row, `fetch` and `send` are its two uses. Nothing else in the service makes a
//! request.

mod address;
mod body;
mod client;
mod fetch;
mod names;
mod policy;
mod reach;
mod retry_after;
mod send;

use std::time::Duration;

use thiserror::Error;
use url::Url;

pub use fetch::FetchError;
pub use policy::{Policy, Refusal};
pub use send::{Answer, SendError};

use client::Client;
use names::Names;
use policy::Judge;

/// How long a fetch may take, and how it must go on. Sends have their own limit in each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// To look the host up.
    pub resolve: Duration,
    /// To connect and agree on TLS.
    pub connect: Duration,
    /// From the connection to the answer's header.
    pub first_byte: Duration,
    /// Between two pieces of the body.
    pub idle: Duration,
    /// For everything, redirects included.
    pub total: Duration,
    /// How long a body may be slower than `least_bytes_per_second` on average.
    pub grace: Duration,
    /// Average rate of a body after `grace`.
    pub least_bytes_per_second: u64,
    /// Redirects followed.
    pub redirects: usize,
}

impl Default for Limits {
    /// What an honest server of images keeps to by far, and what one that holds a worker up does not.
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(2),
            connect: Duration::from_secs(3),
            first_byte: Duration::from_secs(5),
            idle: Duration::from_secs(5),
            total: Duration::from_secs(30),
            grace: Duration::from_secs(3),
            least_bytes_per_second: 8 * 1024,
            redirects: 3,
        }
    }
}

/// Why no client could be made: a mistake in the settings or a machine without randomness. For the operator.
#[derive(Debug, Error)]
pub enum NetError {
    /// An entry of ALLOWED_HOSTS.
    #[error("ALLOWED_HOSTS holds {0:?}, which is neither `host` nor `host:port`")]
    AllowedHost(String),
    /// The client cannot be built.
    #[error("the HTTP client cannot be built: {0}")]
    Client(#[from] rustls::Error),
}

/// The way to other hosts.
#[derive(Debug)]
pub struct Net {
    judge: Judge,
    names: Names,
    limits: Limits,
    client: Client,
}

impl Net {
    /// A client under a policy.
    ///
    /// # Errors
    /// [`NetError`], for the operator.
    pub fn new(policy: &Policy, limits: Limits) -> Result<Self, NetError> {
        let judge = Judge::new(policy).map_err(NetError::AllowedHost)?;
        let names = Names::new(policy.name_servers.clone(), limits.resolve);
        Ok(Self { judge, names, limits, client: Client::new()? })
    }

    /// Whether a URL may be reached, by its form and an address in it; no name is looked up. Judged again at every use.
    ///
    /// # Errors
    /// [`Refusal`], a sentence for the caller.
    pub fn check(&self, url: &str) -> Result<Url, Refusal> {
        self.judge.read(url)
    }
}
