//! The settings that are more than a number or a word: hosts, networks, keys, secrets, URLs.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use url::{Host, Url};

use super::{ApiKey, Config};
use crate::key::{LONGEST_NAME, is_name as is_key_name};
use crate::signature::Secret;
use crate::store::postgres;

/// Least characters of a key's secret: 16 of base64 are 96 bits, beyond guessing over a network.
const KEY_CHARACTERS: usize = 16;

/// Longest name of the service.
const NAME_CHARACTERS: usize = 64;

/// Longest API prefix, bytes.
const PREFIX_BYTES: usize = 128;

/// First parts of our paths outside the API; a prefix that began with one would hide it.
const TAKEN_PATHS: [&str; 5] = ["health", "ready", "metrics", "docs", "openapi.json"];

/// The result of checking a value: nothing, or what is wrong with it.
type Checked = Result<(), String>;

/// A block of addresses: `10.1.0.0/16`, `fd00::/8`; without a slash the one address.
fn network(text: &str) -> Result<IpNet, String> {
    let wrong = || format!("{text:?} is not a network such as 10.1.0.0/16");
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => IpNet::from(text.parse::<IpAddr>().map_err(|_| wrong())?),
    };
    // An address inside is as likely a slip in the address as in the length.
    if network.trunc() == network {
        Ok(network)
    } else {
        Err(format!("{text:?} does not begin its network; did you mean {}?", network.trunc()))
    }
}

/// Whether only this machine can connect to the address.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

pub(super) fn set_service(config: &mut Config, value: &str) -> Checked {
    if !is_service_name(value) {
        return Err(format!("{value:?} is not 1 to {NAME_CHARACTERS} letters, digits, `.`, `_` or `-`"));
    }
    config.log.service = value.into();
    Ok(())
}

pub(super) fn set_host(config: &mut Config, value: &str) -> Checked {
    let bare = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(value);
    let known = bare == "localhost" || bare.parse::<IpAddr>().is_ok();
    // A name may mean other addresses tomorrow, and whether it is this machine decides who needs keys.
    if !known {
        return Err(format!("{value:?} is not an IP address or `localhost`"));
    }
    config.http.host = bare.into();
    Ok(())
}

pub(super) fn set_public_url(config: &mut Config, value: &str) -> Checked {
    let url = Url::parse(value).map_err(|_| format!("{value:?} is not a URL such as https://mesh.example.com"))?;
    let plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if !plain {
        // The value may hold a password.
        return Err("must be a scheme, a host and perhaps a path, without user, query or fragment".into());
    }
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("{value:?} does not begin with http:// or https:// and a host"));
    }
    config.http.public_url = Some(url.as_str().trim_end_matches('/').into());
    Ok(())
}

pub(super) fn set_api_prefix(config: &mut Config, value: &str) -> Checked {
    let mut parts = value.split('/');
    let rooted = parts.next() == Some("");
    let legal = |part: &str| {
        !part.is_empty() && part != "." && part != ".." && part.chars().all(|c| is_name_char(c) || c == '.')
    };
    let parts: Vec<&str> = parts.collect();
    if !rooted || parts.is_empty() || value.len() > PREFIX_BYTES || !parts.iter().all(|part| legal(part)) {
        return Err(format!(
            "{value:?} is not a path such as /api/v1: a slash before each part, none at the end, letters, digits, `.`, `_`, `-`"
        ));
    }
    if parts.first().is_some_and(|first| TAKEN_PATHS.contains(first)) {
        return Err(format!("{value:?} would hide one of the paths {}; use another", TAKEN_PATHS.join(", ")));
    }
    config.http.api_prefix = value.into();
    Ok(())
}

pub(super) fn set_api_keys(config: &mut Config, value: &str) -> Checked {
    let mut keys: Vec<ApiKey> = Vec::new();
    // Messages count keys and name them, and never show what stands after the colon, or all of it without one.
    for (item, number) in items(value).zip(1..) {
        let (name, secret) = item.split_once(':').ok_or(format!("key {number} is not `name:secret`"))?;
        if !is_key_name(name) {
            return Err(format!(
                "key {number} does not begin with a name of 1 to {LONGEST_NAME} letters, digits, `_` or `-`"
            ));
        }
        if secret.len() < KEY_CHARACTERS {
            return Err(format!(
                "the secret of {name} has {} characters and needs at least {KEY_CHARACTERS}",
                secret.len()
            ));
        }
        if !secret.chars().all(|c| c.is_ascii_graphic()) {
            return Err(format!(
                "the secret of {name} has characters that cannot stand in a header; use printable ASCII without spaces"
            ));
        }
        if let Some(other) = keys.iter().find(|key| key.secret == secret) {
            return Err(format!("{name} and {} have the same secret", other.name));
        }
        keys.push(ApiKey { name: name.into(), secret: secret.into() });
    }
    config.access.api_keys = keys;
    Ok(())
}

pub(super) fn set_callback_secrets(config: &mut Config, value: &str) -> Checked {
    for (item, number) in items(value).zip(1..) {
        // Says what a secret must be, and nothing of what this one is.
        Secret::parse(item)
            .map_err(|wrong| format!("number {number}: {wrong}; `openssl rand -base64 32` makes one"))?;
    }
    config.access.callback_secrets = items(value).map(str::to_owned).collect();
    Ok(())
}

pub(super) fn set_allowed_hosts(config: &mut Config, value: &str) -> Checked {
    config.access.allowed_hosts = items(value).map(allowed_host).collect::<Result<_, _>>()?;
    Ok(())
}

/// The pair as `url` writes it, so that it is found by comparing text.
fn allowed_host(item: &str) -> Result<String, String> {
    let wrong = || format!("{item:?} is not `host` or `host:port`, IPv6 in brackets");
    let (host, port) = match item.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (item, None),
    };
    // Also refuses bare IPv6, whose last group would be taken for a port.
    if host.contains(':') && !host.starts_with('[') {
        return Err(wrong());
    }
    let host = Host::parse(host.trim_end_matches('.')).map_err(|_| wrong())?;
    // A pattern would be taken for a name and never match.
    if matches!(&host, Host::Domain(name) if !name.chars().all(|c| is_name_char(c) || c == '.')) {
        return Err(wrong());
    }
    let port = port.map(|port| port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong)).transpose()?;
    Ok(port.map_or_else(|| host.to_string(), |port| format!("{host}:{port}")))
}

pub(super) fn set_allowed_networks(config: &mut Config, value: &str) -> Checked {
    config.access.allowed_networks = items(value).map(network).collect::<Result<_, _>>()?;
    Ok(())
}

pub(super) fn set_dns_servers(config: &mut Config, value: &str) -> Checked {
    let server = |item: &str| {
        let bare = || item.parse().map(|address: IpAddr| SocketAddr::new(address, 53));
        item.parse()
            .or_else(|_| bare())
            .map_err(|_| format!("{item:?} is not an IP address or `address:port`, IPv6 in brackets"))
    };
    config.access.dns_servers = items(value).map(server).collect::<Result<_, _>>()?;
    Ok(())
}

pub(super) fn set_database(config: &mut Config, value: &str) -> Checked {
    match value.split_once(':') {
        Some(("sqlite", path)) if !path.trim_start_matches('/').is_empty() && !path.contains(['?', '#']) => {
            config.database.url = value.into();
            Ok(())
        }
        Some(("postgres" | "postgresql", _)) => {
            postgres::check_url(value)?;
            config.database.url = value.into();
            Ok(())
        }
        // Not repeated: such URLs hold passwords.
        _ => Err("is neither `sqlite:` and a file, such as sqlite:spinelift-data/spinelift.db, nor \
                  postgres://USER:PASSWORD@HOST:PORT/NAME"
            .into()),
    }
}

/// What stands between commas; an empty end is no item.
fn items(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn is_service_name(text: &str) -> bool {
    (1..=NAME_CHARACTERS).contains(&text.len()) && text.chars().all(|c| is_name_char(c) || c == '.')
}
