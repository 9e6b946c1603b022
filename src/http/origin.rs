//! Who may call where there are no keys: whoever can connect, but no page of another site.
//!
//! A browser sends what any page asks it to send, to services on its own machine and network too. Keys keep such pages
//! out, which have none. Without keys the headers do that browsers write and pages cannot: `Origin`, and `Host`, which
//! has the page's own name when that was made to lead to this machine.
//!
//! Pages of CORS_ORIGINS may call all the same. A service that listens on loopback knows what it can be called: this
//! machine's names and addresses, and PUBLIC_URL's; under any other `Host` it answers nobody. One that listens beyond,
//! by --insecure, is called by names that it does not know, so there only `Origin` is looked at: what else keeps strangers
//! out is its operator's affair.

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Version};
use axum::middleware::Next;
use axum::response::Response;
use url::{Host, Url};

use super::codes::Code;
use super::error::ApiError;
use super::face::{Face, Shared};

/// What machines ask by address, often in few words.
const FOR_MACHINES: [&str; 3] = ["/health", "/ready", "/metrics"];

/// The middleware around all routes.
pub(super) async fn refuse_foreign_pages(
    State(face): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if !FOR_MACHINES.contains(&request.uri().path()) {
        let host = own_host(request.version(), request.headers())?;
        if !face.app.keys.is_on() {
            expect_own_page(&face, host, request.headers())?;
        }
    }
    Ok(next.run(request).await)
}

/// The one Host header; who reads another one of several than a proxy before it is told something else.
fn own_host(version: Version, headers: &HeaderMap) -> Result<Option<&HeaderValue>, ApiError> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => Ok(Some(host)),
        (None, _) if version < Version::HTTP_11 => Ok(None),
        _ => {
            Err(ApiError::new(Code::MalformedRequest, "the request must have one Host header, and has none or several"))
        }
    }
}

fn expect_own_page(face: &Face, host: Option<&HeaderValue>, headers: &HeaderMap) -> Result<(), ApiError> {
    let config = &face.app.config;
    let host = host.map(|host| host.to_str().ok().and_then(|host| host_of(&format!("http://{host}"))));
    let public = config.http.public_url.as_deref().and_then(host_of);
    let is_public = |host: &Host<String>| Some(host) == public.as_ref();
    // Any other name is a page's that had it lead here.
    if config.is_loopback()
        && let Some(host) = &host
        && !host.as_ref().is_some_and(|host| is_loopback(host) || is_public(host))
    {
        let message = "a service on this machine without API keys answers to localhost and this machine's addresses alone; \
                       set PUBLIC_URL for another name";
        return Err(ApiError::new(Code::OriginNotAllowed, message));
    }
    // Ports are left out: proxies tend to drop them from Host.
    let host = host.flatten();
    let is_ours = |origin: &HeaderValue| {
        let text = origin.to_str().ok();
        let origin = text.and_then(host_of);
        text.is_some_and(|text| config.access.cors_origins.allow(text))
            || origin.is_some_and(|origin| is_public(&origin) || Some(&origin) == host.as_ref())
    };
    if headers.get_all(ORIGIN).iter().all(is_ours) {
        return Ok(());
    }
    let message = "a page of another site may not call a service without API keys; have its server call, list its origin \
                   in CORS_ORIGINS, or set PUBLIC_URL to the name that the page is under";
    Err(ApiError::new(Code::OriginNotAllowed, message))
}

fn host_of(url: &str) -> Option<Host<String>> {
    Some(Url::parse(url).ok()?.host()?.to_owned())
}

/// Whether the name or address is this machine's; RFC 6761 reserves `localhost` for it.
fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.to_canonical().is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_host() {
        let headers = |count: usize| {
            let mut headers = HeaderMap::new();
            for _ in 0..count {
                headers.append(HOST, HeaderValue::from_static("a"));
            }
            headers
        };
        assert!(own_host(Version::HTTP_11, &headers(1)).is_ok());
        assert!(own_host(Version::HTTP_10, &headers(0)).is_ok());
        assert!(own_host(Version::HTTP_11, &headers(0)).is_err());
        assert!(own_host(Version::HTTP_10, &headers(2)).is_err());
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        let is_ours = |host: &str| is_loopback(&host_of(&format!("http://{host}")).unwrap());
        for ours in
            ["localhost", "LOCALHOST:8000", "mesh.localhost.", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]"]
        {
            assert!(is_ours(ours), "{ours}");
        }
        for foreign in ["localhost.example", "evil.example", "10.0.0.1", "0.0.0.0", "[::2]", "notlocalhost"] {
            assert!(!is_ours(foreign), "{foreign}");
        }
    }
}
