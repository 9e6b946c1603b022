//! Names and values become a [`Config`], or all that is wrong with them.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use thiserror::Error;

use super::{Config, Durability, Role, SETTINGS, Setting, Takes, address, bucket};
use crate::crash_point;

/// What marks a name as ours. With it a name wins, and must be known.
const PREFIX: &str = "SPINELIFT_";

/// Misspelt names are answered with the nearest known one if this near, as `strsim` measures: 1 is equal.
const NEAR: f64 = 0.7;

/// What the command line says besides the settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// What the process does.
    pub role: Role,
    /// For a developer's machine.
    pub dev: bool,
    /// Listens beyond loopback without keys.
    pub insecure: bool,
    /// In place of HOST.
    pub host: Option<String>,
    /// In place of PORT.
    pub port: Option<u16>,
}

/// One thing wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The name as it was written, or as it should be.
    pub name: String,
    /// What is wrong, with the value unless it is a secret, and what to do.
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.problem)
    }
}

/// Everything wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [_] => write!(f, "a setting is wrong:")?,
            many => write!(f, "{} settings are wrong:", many.len())?,
        }
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

/// See [`Config::from_vars`].
pub(super) fn read(vars: impl Iterator<Item = (String, String)>, flags: &Flags) -> Result<Config, Mistakes> {
    let mut given = first_of_equal_names(vars);
    override_by_flags(&mut given, flags);
    let mut config = Config { role: flags.role, dev: flags.dev, ..Config::default() };
    config.access.insecure = flags.insecure;
    let mut mistakes: Vec<Mistake> = unknown_names(given.keys());
    for setting in SETTINGS {
        if let Some((name, value)) = value_of(setting, &given)
            && let Err(problem) = apply(&mut config, setting, value)
        {
            mistakes.push(Mistake { name, problem });
        }
    }
    mistakes.extend(forbidden_together(&config, &mistakes));
    mistakes.extend(bucket::complete(&mut config.storage, &given));
    if mistakes.is_empty() { Ok(config) } else { Err(Mistakes(mistakes)) }
}

/// Names from another program's file are kept too; nobody asks for them.
fn first_of_equal_names(vars: impl Iterator<Item = (String, String)>) -> HashMap<String, String> {
    let mut given = HashMap::new();
    for (name, value) in vars {
        given.entry(name).or_insert(value);
    }
    given
}

/// What was said on the command line was said last.
fn override_by_flags(given: &mut HashMap<String, String>, flags: &Flags) {
    let port = flags.port.map(|port| port.to_string());
    for (name, value) in [("HOST", flags.host.clone()), ("PORT", port)] {
        if let Some(value) = value {
            given.remove(&format!("{PREFIX}{name}"));
            given.insert(name.to_owned(), value);
        }
    }
}

/// A name with our prefix can be meant for nobody else: unknown, it is misspelt.
fn unknown_names<'a>(names: impl Iterator<Item = &'a String>) -> Vec<Mistake> {
    // Not a setting but a tool of our tests, which a release build does not have.
    let names = names.filter(|name| cfg!(not(debug_assertions)) || *name != crash_point::VARIABLE);
    let ours: BTreeSet<&str> = names.filter_map(|name| name.strip_prefix(PREFIX)).collect();
    let unknown = ours.into_iter().filter(|bare| SETTINGS.iter().all(|setting| setting.name != *bare));
    let mistake = |bare: &str| {
        let distance = |setting: &Setting| strsim::jaro_winkler(setting.name, bare);
        let nearest = SETTINGS.iter().max_by(|a, b| distance(a).total_cmp(&distance(b)));
        let problem = match nearest.filter(|setting| distance(setting) >= NEAR) {
            Some(setting) => format!("is not a setting; did you mean {PREFIX}{}?", setting.name),
            None => "is not a setting; docs/settings.md has them all".into(),
        };
        Mistake { name: format!("{PREFIX}{bare}"), problem }
    };
    unknown.map(mistake).collect()
}

/// A setting's value and the name that it was found under. Compose files pass on what is unset as empty.
fn value_of<'a>(setting: &Setting, given: &'a HashMap<String, String>) -> Option<(String, &'a str)> {
    let names = [format!("{PREFIX}{}", setting.name), setting.name.to_owned()];
    names.into_iter().find_map(|name| {
        let value = given.get(&name)?.trim();
        (!value.is_empty()).then_some((name, value))
    })
}

/// Checks a value and puts it in its place.
fn apply(config: &mut Config, setting: &Setting, value: &str) -> Result<(), String> {
    // Of a secret nothing is repeated, not even what was merely put in the wrong place.
    let shown = if setting.secret { String::new() } else { format!("{value:?} ") };
    let refused = || format!("{shown}is not {}", setting.expected());
    match setting.takes {
        Takes::Whole { min, max, set, .. } => {
            let number = value.parse().ok().filter(|number| (min..=max).contains(number));
            set(config, number.ok_or_else(refused)?);
        }
        Takes::Flag(set) => set(config, flag(value).ok_or_else(refused)?),
        Takes::Word { words, set } => set(config, words.iter().find(|word| **word == value).ok_or_else(refused)?),
        Takes::Text { set, .. } => set(config, value)?,
    }
    Ok(())
}

/// What people write for yes and no.
fn flag(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// What each setting allows and two together do not. Settings that are wrong by themselves are left alone. Whether others
/// than this machine may be let in without API_KEYS is not known here: there may be keys in the database.
fn forbidden_together(config: &Config, known: &[Mistake]) -> Vec<Mistake> {
    let wrong = |name: &str| known.iter().any(|mistake| mistake.name.trim_start_matches(PREFIX) == name);
    let mut mistakes = forbidden_in_keeping(config, wrong);
    if wrong("HOST") || wrong("API_KEYS") {
        return mistakes;
    }
    let host = &config.http.host;
    let mistake = |name: &str, problem: String| Mistake { name: name.into(), problem };
    if config.dev {
        if !address::is_loopback(host) {
            mistakes.push(mistake(
                "HOST",
                format!("{host:?} is not this machine, and --dev serves nobody else; leave one out"),
            ));
        }
        if !config.access.api_keys.is_empty() {
            mistakes.push(mistake("API_KEYS", "are set, and --dev serves without keys; leave one out".into()));
        }
        if config.access.insecure {
            mistakes.push(mistake("--insecure", "opens the service, and --dev closes it; leave one out".into()));
        }
    }
    mistakes
}

/// What the places of jobs and blobs do not allow together.
fn forbidden_in_keeping(config: &Config, wrong: impl Fn(&str) -> bool) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let is_shared = config.database.is_shared() && !wrong("DATABASE_URL");
    if is_shared && config.database.durability == Durability::Process {
        let problem = "is SQLite's; on PostgreSQL it is the server's own, by ALTER DATABASE ... SET synchronous_commit";
        mistakes.push(Mistake { name: "DATABASE_DURABILITY".into(), problem: problem.into() });
    }
    mistakes
}
