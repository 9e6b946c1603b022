//! Which addresses and URLs may be reached: the rows of `testdata/net`, judged by the service and by a second oracle.

#![cfg(feature = "serve")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::LazyLock;

use proptest::prelude::*;
use spinelift::net::{Limits, Net, Policy, Refusal};

const ADDRESSES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/net/addresses.txt");
const URLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/net/urls.txt");
const SECOND_ORACLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/net/second_oracle.py");

/// Verdict and the rest of every row.
fn rows(path: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|row| row.split_once(' ').unwrap()).map(|(verdict, rest)| (verdict.into(), rest.trim().into())).collect()
}

fn net(policy: &Policy) -> Net {
    Net::new(policy, Limits::default()).unwrap()
}

fn url_of(address: &str) -> String {
    if address.contains(':') { format!("http://[{address}]/") } else { format!("http://{address}/") }
}

#[test]
fn every_address_is_judged_as_its_row_says() {
    let net = net(&Policy::default());
    let rows = rows(ADDRESSES);
    for (verdict, row) in &rows {
        let address = row.split_whitespace().next().unwrap();
        address.parse::<IpAddr>().unwrap();
        let judged = net.check(&url_of(address)).map(|_| ());
        let expected = match verdict.as_str() {
            "public" => Ok(()),
            "special" => Err(Refusal::NotPublic),
            other => panic!("{other} is no verdict"),
        };
        assert_eq!(judged, expected, "{row}");
    }
    assert!(rows.len() >= 200, "{}", rows.len());
}

#[test]
fn every_url_is_judged_as_its_row_says() {
    let net = net(&Policy::default());
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let rows = rows(URLS);
    for (verdict, text) in &rows {
        let url: String = serde_json::from_str(text).unwrap();
        let judged = match net.check(&url) {
            Ok(read) if matches!(read.host(), Some(url::Host::Domain(_))) => "name",
            Ok(_) => "public",
            Err(Refusal::NotPublic) => "not-public",
            Err(Refusal::Form) => "form",
            Err(Refusal::Scheme(_)) => "scheme",
            Err(Refusal::UserInfo) => "user",
            Err(Refusal::Port(_)) => "port",
            Err(Refusal::Length(_)) => "length",
        };
        assert_eq!(judged, verdict, "{text}: {:?}", net.check(&url));
        *seen.entry(judged).or_default() += 1;
    }
    assert!(rows.len() >= 150 && seen["not-public"] >= 80, "{seen:?}");
}

#[test]
fn a_second_oracle_agrees_or_says_why_not() {
    let ran = match Command::new("python3").args([SECOND_ORACLE, ADDRESSES, URLS]).output() {
        Ok(ran) => ran,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "python3 is needed: {error}");
            eprintln!("skipped: python3 is not here");
            return;
        }
    };
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{told}{}", String::from_utf8_lossy(&ran.stderr));
    println!("{told}");
}

#[test]
fn a_url_has_a_greatest_length() {
    let net = net(&Policy::default());
    let long = |bytes: usize| format!("http://example.com/{}", "x".repeat(bytes - 19));
    assert!(net.check(&long(2048)).is_ok());
    assert_eq!(net.check(&long(2049)), Err(Refusal::Length(2049)));
    // Short as written, long once its letters are escaped.
    let escaped = format!("http://example.com/{}", "ä".repeat(800));
    assert!(matches!(net.check(&escaped), Err(Refusal::Length(_))));
}

#[test]
fn a_network_that_is_allowed_is_reached_on_the_ports_of_the_web() {
    let networks = ["10.1.0.0/16", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
    let net = net(&Policy { allowed_networks: networks, ..Policy::default() });
    for reached in ["http://10.1.0.0/", "https://10.1.255.255/", "http://[::ffff:10.1.2.3]/", "http://[fd00::1]/"] {
        assert!(net.check(reached).is_ok(), "{reached}: {:?}", net.check(reached));
    }
    for beside in ["http://10.2.0.0/", "http://10.0.255.255/", "http://[fe80::1]/", "http://[64:ff9b::10.1.0.1]/"] {
        assert_eq!(net.check(beside), Err(Refusal::NotPublic), "{beside}");
    }
    assert_eq!(net.check("http://10.1.0.1:9000/"), Err(Refusal::Port(9000)));
}

#[test]
fn a_host_that_is_listed_is_reached_on_that_port_alone() {
    let hosts = ["10.0.0.7:9000", "minio.internal:9000", "127.0.0.1"].map(str::to_owned).into();
    let net = net(&Policy { allowed_hosts: hosts, ..Policy::default() });
    for reached in ["http://10.0.0.7:9000/", "http://minio.internal:9000/", "http://127.0.0.1/", "https://127.1/"] {
        assert!(net.check(reached).is_ok(), "{reached}: {:?}", net.check(reached));
    }
    for (url, refusal) in [
        ("http://10.0.0.7/", Refusal::NotPublic),
        ("http://10.0.0.7:9001/", Refusal::Port(9001)),
        ("http://10.0.0.8:9000/", Refusal::Port(9000)),
        ("http://minio.internal:9001/", Refusal::Port(9001)),
        // The same machine under another name is another host.
        ("http://localhost/", Refusal::NotPublic),
        ("http://[::1]/", Refusal::NotPublic),
        ("http://127.0.0.2/", Refusal::NotPublic),
    ] {
        assert_eq!(net.check(url), Err(refusal), "{url}");
    }
}

/// An address in the forms that the C library and browsers read.
fn spellings(address: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = address.octets();
    let (all, last_two, last_three) = (address.to_bits(), u16::from_be_bytes([c, d]), address.to_bits() & 0xFF_FFFF);
    let wide = |text: String| text.chars().map(|c| char::from_u32(c as u32 + 0xFEE0).unwrap()).collect::<String>();
    let [high, low] = [(all >> 16) as u16, all as u16];
    vec![
        format!("{a}.{b}.{c}.{d}."),
        format!("{all}"),
        format!("{all:#x}"),
        format!("0{all:o}"),
        format!("{a}.{last_three}"),
        format!("{a}.{b}.{last_two}"),
        format!("{a:#x}.{b}.0{c:o}.{d:#X}").replace("0X", "0x"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        wide(format!("{a}.{b}.{c}.{d}")),
        format!("{a}\u{3002}{b}\u{ff0e}{c}\u{ff61}{d}"),
        format!("{a}.{b}.{c}.{d}").bytes().map(|byte| format!("%{byte:02x}")).collect(),
        format!("[::ffff:{a}.{b}.{c}.{d}]"),
        format!("[0:0:0:0:0:FFFF:{high:x}:{low:04x}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[2a00:1450::5efe:{high:x}:{low:x}]"),
        format!("[2a00:1450::200:5efe:{high:x}:{low:x}]"),
    ]
}

/// As it is without settings.
static NET: LazyLock<Net> = LazyLock::new(|| net(&Policy::default()));

/// The IPv4 addresses of the rows, most of them at the end of a range.
static EDGES: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let address = |row: &str| row.split_whitespace().next()?.parse::<Ipv4Addr>().ok();
    rows(ADDRESSES).iter().filter_map(|(_, row)| address(row)).map(u32::from).collect()
});

/// 10,000 cases, or as many as PROPTEST_CASES says.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(10_000);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_spelling_of_an_address_is_judged_as_the_address(bits: u32, near in 0..64_usize) {
        // Half of them beside a range that is set aside.
        let edge = EDGES[bits as usize % EDGES.len()].wrapping_add(near as u32).wrapping_sub(16);
        let bits = if near < 32 { edge } else { bits };
        let address = Ipv4Addr::from_bits(bits);
        let plain = NET.check(&format!("http://{address}/")).map(|_| ());
        for host in spellings(address) {
            let judged = NET.check(&format!("http://{host}/a.png")).map(|_| ());
            prop_assert_eq!(&judged, &plain, "{} for {}", host, address);
        }
    }

    #[test]
    fn no_text_is_too_odd_to_be_judged(text in "\\PC{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        for text in [text.clone(), format!("http://{text}"), format!("http://{}/", String::from_utf8_lossy(&bytes))] {
            if let Ok(url) = NET.check(&text) {
                prop_assert!(matches!(url.scheme(), "http" | "https") && url.username().is_empty());
                // What is reached is what was judged: the text of the URL reads as itself.
                prop_assert!(NET.check(url.as_str()).is_ok());
            }
        }
    }
}
