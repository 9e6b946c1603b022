//! Where settings come from: the environment, and `.env` in the working folder for what the environment leaves open.

use std::env;
use std::fs;
use std::io::ErrorKind;

use anyhow::Context;
use spinelift::config::{Config, Flags};

use super::Usage;

/// The file beside which the service is started. Not searched for in the folders above: another project's is not ours.
const FILE: &str = ".env";

/// The settings of this process, or every mistake in them.
pub(super) fn read(flags: &Flags) -> anyhow::Result<Config> {
    // What is not Unicode cannot be a setting's name; as a value it is refused there, as the sign for it fits nowhere.
    let environment = env::vars_os().map(|(name, value)| (lossy(&name), lossy(&value)));
    let vars = environment.chain(from_file()?);
    Config::from_vars(vars, flags).map_err(|mistakes| Usage(mistakes.to_string()).into())
}

fn lossy(text: &std::ffi::OsStr) -> String {
    text.to_string_lossy().into_owned()
}

/// Names and values of the file; none if there is no file.
fn from_file() -> anyhow::Result<Vec<(String, String)>> {
    let text = match fs::read_to_string(FILE) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {FILE}")),
    };
    dotenvy::from_read_iter(text.as_bytes())
        .map(|item| item.map_err(|error| unreadable(&text, &error).into()))
        .collect()
}

/// Names the line and does not show it: there may be a secret in it.
fn unreadable(text: &str, error: &dotenvy::Error) -> Usage {
    let place = match error {
        dotenvy::Error::LineParse(line, _) => text.lines().position(|other| other.trim() == line.trim()),
        _ => None,
    };
    let place = place.map_or(String::new(), |index| format!(", line {}", index + 1));
    Usage(format!("{FILE}{place} is not NAME=value; put values with spaces, quotes or dollars between single quotes"))
}
