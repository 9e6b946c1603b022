//! The settings of a bucket: each by itself, and what they need of each other.

use std::collections::HashMap;

use url::Url;

use super::read::Mistake;
use super::{Config, Credentials, Links, Storage, StorageBackend};
use crate::blob::SURROUNDINGS;

/// Longest name of a bucket; AWS takes 63, other servers more.
const LONGEST_NAME: usize = 255;

/// Longest prefix: a name of an object has 1024 bytes, and ours take under 100.
const LONGEST_PREFIX: usize = 512;

/// The result of checking a value: nothing, or what is wrong with it.
type Checked = Result<(), String>;

pub(super) fn set_name(config: &mut Config, value: &str) -> Checked {
    if !(3..=LONGEST_NAME).contains(&value.len()) || !is_plain(value) {
        return Err(format!(
            "{value:?} is not a bucket's name: 3 to {LONGEST_NAME} letters, digits, `.`, `_` or `-`, no URL"
        ));
    }
    config.storage.bucket.name = value.into();
    Ok(())
}

pub(super) fn set_region(config: &mut Config, value: &str) -> Checked {
    if value.len() > 64 || !value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(format!("{value:?} is not a region such as eu-central-1"));
    }
    config.storage.bucket.region = value.into();
    Ok(())
}

pub(super) fn set_endpoint(config: &mut Config, value: &str) -> Checked {
    config.storage.bucket.endpoint = Some(endpoint(value)?);
    Ok(())
}

pub(super) fn set_public_endpoint(config: &mut Config, value: &str) -> Checked {
    config.storage.bucket.public_endpoint = Some(endpoint(value)?);
    Ok(())
}

/// Scheme, host and port. Not repeated where it may hold a password.
fn endpoint(value: &str) -> Result<String, String> {
    let form = "a URL such as https://s3.example.com or http://127.0.0.1:9000";
    let url = Url::parse(value).map_err(|_| format!("is not {form}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("does not begin with http:// or https:// and a host; use {form}"));
    }
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !bare || url.fragment().is_some() || url.path() != "/" {
        return Err("must be a scheme, a host and perhaps a port, without user, path or query; the bucket's name is \
                    S3_BUCKET, the key S3_ACCESS_KEY_ID"
            .into());
    }
    Ok(url.as_str().trim_end_matches('/').into())
}

pub(super) fn set_prefix(config: &mut Config, value: &str) -> Checked {
    let part = |part: &str| !part.is_empty() && part != "." && part != ".." && is_plain(part);
    if value.len() > LONGEST_PREFIX || !value.split('/').all(part) {
        return Err(format!(
            "{value:?} is not a path such as spinelift/live: letters, digits, `.`, `_`, `-` between slashes, none at \
             either end, {LONGEST_PREFIX} bytes at most"
        ));
    }
    config.storage.bucket.prefix = value.into();
    Ok(())
}

pub(super) fn set_key_id(config: &mut Config, value: &str) -> Checked {
    graphic(value)?;
    let (_, secret) = key(config);
    config.storage.bucket.credentials = Credentials::Key { id: value.into(), secret };
    Ok(())
}

pub(super) fn set_secret(config: &mut Config, value: &str) -> Checked {
    graphic(value)?;
    let (id, _) = key(config);
    config.storage.bucket.credentials = Credentials::Key { id, secret: value.into() };
    Ok(())
}

/// What was given of a key before; empty for what was not.
fn key(config: &mut Config) -> (String, String) {
    match std::mem::take(&mut config.storage.bucket.credentials) {
        Credentials::Key { id, secret } => (id, secret),
        Credentials::Surroundings(_) => Default::default(),
    }
}

/// Neither is shown: one is a secret, and the other easily taken for it.
fn graphic(value: &str) -> Checked {
    if value.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(());
    }
    Err("has characters that no key has; use printable ASCII without spaces".into())
}

/// What is wrong with all of it together. Takes credentials from the environment where the settings have none.
pub(super) fn complete(storage: &mut Storage, given: &HashMap<String, String>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut mistake = |name: &str, problem: &str| mistakes.push(Mistake { name: name.into(), problem: problem.into() });
    if storage.backend != StorageBackend::S3 {
        // Of a bucket that is not used nothing is held against anybody.
        storage.bucket.credentials = Credentials::default();
        if storage.links == Links::Storage {
            mistake("RESULT_LINKS", "\"storage\" needs a bucket to lead to; set STORAGE_BACKEND=s3, or leave it out");
        }
        return mistakes;
    }
    if storage.bucket.name.is_empty() && !given_at_all("S3_BUCKET", given) {
        mistake("S3_BUCKET", "is missing; STORAGE_BACKEND=s3 needs the name of a bucket that is there");
    }
    match &mut storage.bucket.credentials {
        Credentials::Key { id, .. } if id.is_empty() && !given_at_all("S3_ACCESS_KEY_ID", given) => {
            mistake("S3_ACCESS_KEY_ID", "is missing, and S3_SECRET_ACCESS_KEY is set; set both or none");
        }
        Credentials::Key { secret, .. } if secret.is_empty() && !given_at_all("S3_SECRET_ACCESS_KEY", given) => {
            mistake("S3_SECRET_ACCESS_KEY", "is missing, and S3_ACCESS_KEY_ID is set; set both or none");
        }
        Credentials::Key { .. } => {}
        Credentials::Surroundings(found) => {
            *found = surroundings(given);
            let has = |name: &str| found.iter().any(|(found, _)| found == name);
            let pairs =
                [("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")];
            for (one, other) in pairs {
                if has(one) && !has(other) {
                    mistake(other, &format!("is missing, and {one} is set; set both or none"));
                }
            }
        }
    }
    mistakes
}

/// What AWS or its operator has put into the environment. Compose files pass on what is unset as empty.
fn surroundings(given: &HashMap<String, String>) -> Vec<(String, String)> {
    let known = SURROUNDINGS.iter().map(|(name, _)| *name);
    let found = known.filter_map(|name| Some((name, given.get(name)?.trim()))).filter(|(_, value)| !value.is_empty());
    found.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Whether there was a value, which then was wrong by itself and is told of already.
fn given_at_all(name: &str, given: &HashMap<String, String>) -> bool {
    let names = [format!("SPINELIFT_{name}"), name.to_owned()];
    names.iter().any(|name| given.get(name).is_some_and(|value| !value.trim().is_empty()))
}

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}
