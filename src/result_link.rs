//! Where a job's result is fetched: an absolute URL that needs no header, in status answers, event streams and callbacks.
//!
//! Where API keys are on, the URL carries its owner, the time until which it is good and a signature under one of the
//! owner's keys, the newest. A key that is taken away takes its links with it.
//!
//! Where results are in a bucket, links may lead straight there instead, for owners whose newest key says so or all of
//! them. Such a link is signed with the bucket's credentials for a week at most, and ends with them: taking the key away
//! does not end it.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::blob::Blobs;
use crate::config::{Config, Role};
use crate::job::JobId;
use crate::key::{Digest, Links};
use crate::keyring::{Key, Keyring};

/// What a key for links is derived with.
const LABEL: &[u8] = b"spinelift links to results, 2";

/// Makes and verifies links to results.
#[derive(Debug, Clone)]
pub struct ResultLinks {
    /// What callers reach the service by, if that is known without a request.
    base: Option<String>,
    prefix: String,
    /// Seconds that a completed job is kept, and so its links.
    kept_s: i64,
    /// The keys as they are at each moment.
    keys: Arc<Keyring>,
    /// Where links lead for owners that do not say.
    usual: Links,
    blobs: Blobs,
}

/// A completed job, for its link.
#[derive(Debug, Clone, Copy)]
pub struct Completed<'a> {
    /// The API key's name.
    pub owner: &'a str,
    /// The job.
    pub job: &'a JobId,
    /// When it ended, ms since 1970-01-01 UTC.
    pub at_ms: i64,
    /// The blob of its mesh, if that is known. Without it a link leads to the service.
    pub hash: Option<&'a str>,
}

/// What a signed link carries in its query.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The API key's name.
    pub owner: &'a str,
    /// Until when it is good, s since 1970-01-01 UTC, as written.
    pub expires: &'a str,
    /// Lower-case hexadecimal.
    pub signature: &'a str,
}

impl ResultLinks {
    /// Links as these settings have them.
    #[must_use]
    pub fn new(config: &Config, keys: Arc<Keyring>, blobs: Blobs) -> Self {
        Self {
            usual: config.storage.links,
            blobs,
            base: config.http.public_url.clone().or_else(|| own_address(config)),
            prefix: config.http.api_prefix.clone(),
            kept_s: i64::try_from(config.jobs.result_ttl.as_secs()).unwrap_or(i64::MAX),
            keys,
        }
    }

    /// Whether an owner's links lead to the storage, for which the blob must be known.
    #[must_use]
    pub fn lead_to_storage(&self, owner: &str) -> bool {
        // As with the key that links are signed with, the newest decides.
        let own = self.keys.of(owner).first().and_then(|key| key.links());
        own.unwrap_or(self.usual) == Links::Storage
    }

    /// The URL of a result, wherever its owner's links lead: of the service under `base`, or if that is `None` under the
    /// address that the settings know.
    pub async fn url(&self, base: Option<&str>, completed: Completed<'_>) -> Option<String> {
        let Completed { owner, job, at_ms, hash } = completed;
        if let Some(hash) = hash
            && self.lead_to_storage(owner)
            && let Some(url) = self.storage_url(hash, at_ms).await
        {
            return Some(url);
        }
        self.service_url(base, owner, job, at_ms)
    }

    /// A link to the blob itself, good for as long as its job is kept; `None` if no such link can be had.
    async fn storage_url(&self, hash: &str, at_ms: i64) -> Option<String> {
        let left = (at_ms / 1000).saturating_add(self.kept_s).saturating_sub(Utc::now().timestamp());
        let left = Duration::from_secs(u64::try_from(left).ok().filter(|left| *left > 0)?);
        let link = self.blobs.link(hash, left).await;
        link.inspect_err(
            |cause| tracing::warn!(%cause, "no link to the bucket can be signed, one to the service is given"),
        )
        .ok()?
    }

    fn service_url(&self, base: Option<&str>, owner: &str, job: &JobId, at_ms: i64) -> Option<String> {
        match base {
            Some(base) => self.service_url_under(base, owner, job, at_ms),
            None => self.own_url(owner, job, at_ms),
        }
    }

    /// The URL of a result at the service under the address that the settings know; `None` if they know none that a caller
    /// could use, or if its owner has no key any more.
    #[must_use]
    pub fn own_url(&self, owner: &str, job: &JobId, finished_at_ms: i64) -> Option<String> {
        self.service_url_under(self.base.as_deref()?, owner, job, finished_at_ms)
    }

    /// The URL of a result under an address, unless keys are on and its owner has none. The same for the same job and
    /// keys, so that answers can be compared: it ends when the result itself is no longer kept.
    fn service_url_under(&self, base: &str, owner: &str, job: &JobId, finished_at_ms: i64) -> Option<String> {
        let mut url = format!("{base}{}/mesh/{job}/result", self.prefix);
        if self.keys.is_on() {
            let key = link_key(self.keys.of(owner).first()?.digest())?;
            let expires = (finished_at_ms / 1000).saturating_add(self.kept_s).to_string();
            let signature = hexadecimal(&tag(&key, job.as_str(), &expires).finalize().into_bytes());
            let owner: String = url::form_urlencoded::byte_serialize(owner.as_bytes()).collect();
            // Writing to a string cannot fail.
            let _ = write!(url, "?key={owner}&expires={expires}&signature={signature}");
        }
        Some(url)
    }

    /// The key that a link's query proves to be signed with, if it does so at `now_s`, s since 1970-01-01 UTC.
    #[must_use]
    pub fn verify(&self, job: &str, signed: Signed<'_>, now_s: i64) -> Option<Arc<Key>> {
        let expires: i64 = signed.expires.parse().ok()?;
        let signature = from_hexadecimal(signed.signature)?;
        // A name occurs twice while its secret is being changed. Each comparison takes constant time.
        let proves = |key: &Arc<Key>| {
            let key = link_key(key.digest());
            key.is_some_and(|key| tag(&key, job, signed.expires).verify_slice(&signature).is_ok())
        };
        let key = self.keys.of(signed.owner).into_iter().find(proves)?;
        (now_s < expires).then_some(key)
    }
}

/// The key of an API key's links: made of its secret's digest, which is all that a database knows of it, and for nothing
/// else. The digest opens nothing by itself, but who has it can sign: it is kept like a secret. HMAC takes keys of any
/// length.
fn link_key(digest: &Digest) -> Option<Hmac<Sha256>> {
    let derived = Hmac::<Sha256>::new_from_slice(digest.as_bytes()).ok()?.chain_update(LABEL).finalize().into_bytes();
    Hmac::new_from_slice(&derived).ok()
}

/// What is signed: no job id holds a line break, so no two links share a text.
fn tag(key: &Hmac<Sha256>, job: &str, expires: &str) -> Hmac<Sha256> {
    key.clone().chain_update(b"result\n").chain_update(job).chain_update(b"\n").chain_update(expires)
}

/// Where the service listens, if that can be connected to as it is written, and has results: a node that only does jobs has
/// none to give.
fn own_address(config: &Config) -> Option<String> {
    if config.role == Role::Worker {
        return None;
    }
    let everywhere = config.http.host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
    let host =
        if config.http.host.contains(':') { format!("[{}]", config.http.host) } else { config.http.host.clone() };
    (!everywhere && config.http.port != 0).then(|| format!("http://{host}:{}", config.http.port))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ApiKey;

    fn links(keys: &[(&str, &str)]) -> ResultLinks {
        let mut config = Config::default();
        config.http.public_url = Some("https://mesh.example".into());
        config.access.api_keys =
            keys.iter().map(|(name, secret)| ApiKey { name: (*name).into(), secret: (*secret).into() }).collect();
        ResultLinks::new(&config, Arc::new(Keyring::new(&config.access)), Blobs::memory())
    }

    fn proven(links: &ResultLinks, job: &str, signed: Signed<'_>, now_s: i64) -> Option<String> {
        links.verify(job, signed, now_s).map(|key| key.name().to_string())
    }

    fn parts(url: &str) -> Signed<'_> {
        let value = |name: &str| url.split(name).nth(1).unwrap().split('&').next().unwrap();
        Signed { owner: value("key="), expires: value("expires="), signature: value("signature=") }
    }

    #[test]
    fn a_link_is_plain_where_keys_are_off() {
        let url = links(&[]).own_url("", &JobId::parse("hero").unwrap(), 0).unwrap();
        assert_eq!(url, "https://mesh.example/api/v1/mesh/hero/result");
    }

    #[test]
    fn a_worker_that_knows_no_public_url_names_nobody() {
        let mut config = Config { role: Role::Worker, ..Config::default() };
        let url = |config: &Config| {
            let keys = Arc::new(Keyring::new(&config.access));
            ResultLinks::new(config, keys, Blobs::memory()).own_url("", &JobId::parse("hero").unwrap(), 0)
        };
        assert_eq!(url(&config), None);
        config.http.public_url = Some("https://mesh.example".into());
        assert!(url(&config).is_some());
        assert!(url(&Config::default()).is_some(), "others name themselves");
    }

    #[test]
    fn a_signed_link_proves_its_owner_until_the_result_goes() {
        let links = links(&[("rails", "secret"), ("other", "secret2")]);
        let url = links.own_url("rails", &JobId::parse("hero").unwrap(), 1_000_000).unwrap();
        let signed = parts(&url);
        let last = 1000 + 7 * 24 * 3600 - 1;
        assert_eq!(proven(&links, "hero", signed, last).as_deref(), Some("rails"));
        assert_eq!(proven(&links, "hero", signed, last + 1), None);
        assert_eq!(proven(&links, "villain", signed, 0), None);
        assert_eq!(proven(&links, "hero", Signed { owner: "other", ..signed }, 0), None);
        assert_eq!(proven(&links, "hero", Signed { expires: "99999999999", ..signed }, 0), None);
        for broken in ["", "0", "zz", &signed.signature[2..]] {
            assert_eq!(proven(&links, "hero", Signed { signature: broken, ..signed }, 0), None, "{broken}");
        }
    }

    #[test]
    fn a_link_is_not_signed_with_the_secret_itself() {
        let links = links(&[("rails", "secret")]);
        let url = links.own_url("rails", &JobId::parse("hero").unwrap(), 1_000_000).unwrap();
        let signed = parts(&url);
        for key in [b"secret".as_slice(), Digest::of("secret").as_bytes()] {
            let plain = tag(&Hmac::new_from_slice(key).unwrap(), "hero", signed.expires);
            assert_ne!(hexadecimal(&plain.finalize().into_bytes()), signed.signature);
        }
    }

    #[test]
    fn an_owner_without_a_key_has_no_link() {
        let links = links(&[("rails", "secret")]);
        let url = |owner: &str| links.own_url(owner, &JobId::parse("hero").unwrap(), 0);
        assert!(url("rails").is_some());
        assert_eq!((url("gone"), url("")), (None, None));
    }

    #[test]
    fn while_a_secret_is_changed_links_of_both_are_good() {
        let (old, new) = (links(&[("rails", "old")]), links(&[("rails", "new")]));
        let both = links(&[("rails", "new"), ("rails", "old")]);
        let url = |links: &ResultLinks| links.own_url("rails", &JobId::parse("hero").unwrap(), 0).unwrap();
        assert_eq!(url(&both), url(&new));
        for given in [url(&old), url(&new)] {
            assert_eq!(proven(&both, "hero", parts(&given), 0).as_deref(), Some("rails"));
        }
        assert_eq!(proven(&new, "hero", parts(&url(&old)), 0), None);
    }

    #[test]
    fn an_address_that_nobody_can_call_gives_no_link() {
        let mut config = Config::default();
        let job = JobId::parse("hero").unwrap();
        let keys = |config: &Config| Arc::new(Keyring::new(&config.access));
        let url = |config: &Config| ResultLinks::new(config, keys(config), Blobs::memory()).own_url("", &job, 0);
        assert_eq!(url(&config).as_deref(), Some("http://127.0.0.1:8000/api/v1/mesh/hero/result"));
        config.http.host = "::1".into();
        assert_eq!(url(&config).as_deref(), Some("http://[::1]:8000/api/v1/mesh/hero/result"));
        config.http.host = "0.0.0.0".into();
        assert_eq!(url(&config), None);
    }

    #[tokio::test]
    async fn a_link_leads_to_the_service_where_no_bucket_is() {
        let mut links = links(&[("rails", "secret")]);
        links.usual = Links::Storage;
        assert!(links.lead_to_storage("rails"));
        let job = JobId::parse("hero").unwrap();
        let completed = Completed { owner: "rails", job: &job, at_ms: 0, hash: Some("abc") };
        assert_eq!(links.url(None, completed).await, links.own_url("rails", &job, 0));
        let elsewhere = links.url(Some("http://elsewhere"), completed).await.unwrap();
        assert!(elsewhere.starts_with("http://elsewhere/api/v1/mesh/hero/result?key=rails"), "{elsewhere}");
    }
}
