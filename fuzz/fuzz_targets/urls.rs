//! Any text as a URL that a stranger names: what is let through leads, by its form, to nobody's own network.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use spinelift::net::{Limits, Net, Policy};

static NET: LazyLock<Net> = LazyLock::new(|| Net::new(&Policy::default(), Limits::default()).expect("a client"));

/// Whether an address is somebody's own for certain, by what the standard library knows of addresses: less than the
/// policy knows, and known to others.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => {
            let inner = address.to_ipv4().is_some_and(is_private_v4);
            inner || is_private_v6(address)
        }
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
}

fuzz_target!(|text: &str| {
    let Ok(url) = NET.check(text) else { return };
    assert!(matches!(url.scheme(), "http" | "https"), "reached by {}", url.scheme());
    assert!(url.username().is_empty() && url.password().is_none(), "sends a user's name or password");
    assert!(matches!(url.port_or_known_default(), Some(80 | 443)), "port {:?}", url.port());
    let host = url.host_str().expect("a URL of HTTP has a host");
    assert!(!host.is_empty(), "no host");
    // Brackets are no part of an address, nor is the dot of the root of a name.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    if let Ok(address) = bare.parse::<IpAddr>() {
        assert!(!is_private(address), "{address} is somebody's own");
    }
    assert!(bare != "localhost" && !bare.ends_with(".localhost"), "this machine by name");
    // What is judged is what is sent: nothing is made of its text but itself.
    let again = NET.check(url.as_str()).expect("what was let through is let through again");
    assert_eq!(again.as_str(), url.as_str(), "reading what was written changes it");
    assert_eq!(again, url);
});
