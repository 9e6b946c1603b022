//! The rules of the house as data: who may import whom, how long a file may be, which words stay out.
//!
//! Each rule is a function from a file to the faults in it. One test runs it over the tree, another over a file that
//! breaks it, so that no rule is silently blind.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::Path;

/// A module under `src` and the library's modules that it may name. The engine's three know nothing of the rest, and
/// `mesh` knows nothing but itself. Faces enqueue through `store` and preview through `compute`, never through `worker`.
/// `cli` and `main` are the binary: they see the library from outside.
const IMPORTS: &[(&str, &[&str])] = &[
    ("lib", &[]),
    // pure
    ("mesh", &["mesh"]),
    ("decode", &["decode", "mesh"]),
    ("export", &["export", "decode", "mesh"]),
    ("job", &["job", "mesh"]),
    ("key", &["key"]),
    ("retry", &["retry"]),
    ("signature", &["signature"]),
    // adapters
    ("tls", &["tls"]),
    ("net", &["net", "crash_point", "job", "tls"]),
    ("store", &["store", "crash_point", "job", "key"]),
    ("blob", &["blob", "tls"]),
    ("crash_point", &["crash_point"]),
    // use cases
    ("config", &["config", "store", "blob", "crash_point", "decode", "mesh", "signature", "key"]),
    ("metrics", &["metrics", "mesh", "store"]),
    ("keyring", &["keyring", "config", "store", "key"]),
    ("result_link", &["result_link", "keyring", "config", "blob", "job", "key"]),
    ("compute", &["compute", "metrics", "config", "export", "decode", "job", "mesh", "blob"]),
    (
        "app",
        &["app", "keyring", "result_link", "compute", "metrics", "config", "blob", "store", "net", "signature", "job"],
    ),
    ("presence", &["presence", "app", "config", "store"]),
    (
        "worker",
        &[
            "worker",
            "app",
            "compute",
            "metrics",
            "result_link",
            "config",
            "crash_point",
            "blob",
            "store",
            "net",
            "signature",
            "retry",
            "job",
            "export",
            "decode",
            "mesh",
        ],
    ),
    // faces
    (
        "http",
        &[
            "http",
            "app",
            "compute",
            "metrics",
            "result_link",
            "keyring",
            "config",
            "blob",
            "store",
            "net",
            "signature",
            "job",
            "key",
            "export",
            "decode",
            "mesh",
        ],
    ),
    (
        "cli",
        &[
            "cli", "http", "worker", "presence", "app", "keyring", "config", "store", "job", "key", "export", "decode",
            "mesh",
        ],
    ),
    ("main", &["cli"]),
];

/// Crates that only the command and the service use; the engine is built without them.
const CRATES_BEYOND_THE_ENGINE: &[&str] = &[
    "anyhow",
    "async_trait",
    "axum",
    "base64",
    "bytes",
    "chrono",
    "clap",
    "clap_complete",
    "dotenvy",
    "flate2",
    "futures_util",
    "getrandom",
    "hickory_resolver",
    "hmac",
    "http_body_util",
    "hyper",
    "hyper_util",
    "indicatif",
    "ipnet",
    "object_store",
    "prometheus_client",
    "reqwest",
    "rlimit",
    "rustls",
    "rustls_platform_verifier",
    "sha2",
    "sqlx",
    "tokio",
    "tokio_rustls",
    "tower",
    "tower_http",
    "tracing",
    "tracing_subscriber",
    "url",
    "utoipa",
    "utoipa_axum",
    "utoipa_swagger_ui",
    "uuid",
];

/// The modules that are built alone by `--no-default-features`.
const ENGINE: &[&str] = &["mesh", "decode", "export"];

/// What makes code depend on more than its arguments. The pure layer is values in, values out.
const OUTSIDE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time",
    "Instant",
    "SystemTime",
    "println!",
    "eprintln!",
];

/// Modules that must be pure.
const PURE: &[&str] = &["mesh", "decode", "export", "job", "key", "retry", "signature"];

/// Lines of a file before its tests. Most have under 300.
const LONGEST_FILE: usize = 400;

/// Drawers: names that say nothing, so everything ends up in them.
const DRAWERS: &[&str] = &["utils", "util", "common", "helpers", "helper", "misc", "manager", "core"];

/// Calls that turn bad input into a crash.
const PANICS: &[&str] = &[".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "unimplemented!("];

/// Lints are switched off with `expect` and a reason, which complains once it is no longer needed.
const SILENCERS: &[&str] = &["#[allow(", "#![allow("];

/// With what follows, as a policy for browsers has a word that begins so.
const UNSAFE: &[&str] = &["unsafe {", "unsafe fn", "unsafe impl", "unsafe trait", "unsafe extern"];

/// The files that may hold `unsafe`: each has a safety comment, a test against safe code, and the figure for it.
const UNSAFE_FILES: &[&str] = &["src/mesh/pack.rs"];

/// Traces of a particular machine or of how work is organised; a stranger can do nothing with them. Cut in two, so that
/// this file passes.
const FOREIGN: &[[&str; 2]] =
    &[["/wo", "rk/"], ["/tmp/", "w-"], ["/tmp/", "t-"], ["issue", " #"], ["Co-Authored", "-By"]];

/// Where every locked package comes from: a lock file written behind a mirror would lock everybody to it.
const REGISTRY: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

/// Folders that hold nothing of ours.
const SKIPPED: &[&str] = &[".git", "target", "node_modules", "artifacts", "coverage", "differences", "__pycache__"];

/// A text file of the tree, by its path from the root with `/` between folders.
struct File {
    path: String,
    text: String,
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    fn is_source(&self) -> bool {
        self.path.starts_with("src/") && self.path.ends_with(".rs")
    }

    /// `mesh` for `src/mesh/mod.rs` and everything under it, `main` for `src/main.rs`.
    fn module(&self) -> &str {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        path.split(['/', '.']).next().unwrap_or(path)
    }

    /// Modules above the file's own, itself included: 1 for `src/mesh/mod.rs`, 2 for `src/mesh/uv.rs`.
    fn depth(&self) -> usize {
        let path = self.path.trim_start_matches("src/").trim_end_matches("/mod.rs");
        path.split('/').count()
    }

    /// Lines before the tests with their numbers from 1, comments taken out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let before_tests = self.text.lines().take_while(|line| *line != "#[cfg(test)]");
        before_tests.map(|line| line.split("//").next().unwrap_or("")).zip(1..).map(|(line, number)| (number, line))
    }

    fn fault(&self, number: usize, what: &str) -> String {
        format!("{}:{number}: {what}", self.path)
    }

    /// A fault for each line of code that holds one of the words.
    fn lines_with(&self, words: &[&str], why: &str) -> Vec<String> {
        let found = |(number, line): (usize, &str)| {
            let word = words.iter().find(|word| holds_word(line, word))?;
            Some(self.fault(number, &format!("`{word}`: {why}")))
        };
        self.code().filter_map(found).collect()
    }
}

/// Whether the word is there and is not the end of a longer one: `util` is not in `futil`.
fn holds_word(line: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    let open_start = word.starts_with(is_letter);
    let open_end = word.ends_with(is_letter);
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_letter);
        let after = line[at + word.len()..].chars().next().is_some_and(is_letter);
        !(open_start && before || open_end && after)
    })
}

fn read_tree() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                let relative = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
                files.push(File { path: relative, text });
            }
        }
    }
    files
}

#[track_caller]
fn expect_none(rule: impl Fn(&File) -> Vec<String>) {
    let faults: Vec<String> = read_tree().iter().flat_map(rule).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[track_caller]
fn expect_fault(rule: impl Fn(&File) -> Vec<String>, path: &str, text: &str) {
    let faults = rule(&File::new(path, text));
    assert_eq!(faults.len(), 1, "{path}: {text:?} gives {faults:?}");
}

fn imports(file: &File) -> Vec<String> {
    if !file.is_source() {
        return Vec::new();
    }
    let Some((_, allowed)) = IMPORTS.iter().find(|(module, _)| *module == file.module()) else {
        return vec![file.fault(1, "this module has no row in the table of imports")];
    };
    let mut faults = Vec::new();
    for (number, line) in file.code() {
        for named in named_modules(line) {
            if named.is_empty() {
                faults.push(file.fault(number, "imports from the root in braces; write one line a module"));
            } else if IMPORTS.iter().any(|(module, _)| *module == named) && !allowed.contains(&named) {
                faults.push(file.fault(number, &format!("{} may not import {named}", file.module())));
            }
        }
        if line.contains(&"super::".repeat(file.depth())) {
            faults.push(file.fault(number, "leaves its module by `super`; name it from `crate`"));
        }
    }
    faults
}

/// What a line names right under the library's or the binary's root; empty for a list in braces.
fn named_modules(line: &str) -> impl Iterator<Item = &str> {
    let roots = ["crate::", "spinelift::"].into_iter();
    let named = roots.flat_map(|root| line.split(root).skip(1));
    named.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""))
}

fn crates_beyond_the_engine(file: &File) -> Vec<String> {
    let engine = file.is_source() && ENGINE.contains(&file.module());
    // With the colons, as some of these names are words that variables have too.
    let paths: Vec<String> = CRATES_BEYOND_THE_ENGINE.iter().map(|name| format!("{name}::")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    if engine { file.lines_with(&paths, "the engine is built without it") } else { Vec::new() }
}

fn purity(file: &File) -> Vec<String> {
    let pure = file.is_source() && PURE.contains(&file.module());
    if pure { file.lines_with(OUTSIDE, "the pure layer is values in, values out") } else { Vec::new() }
}

fn length(file: &File) -> Vec<String> {
    let lines = file.code().count();
    let too_long = file.path.ends_with(".rs") && file.path.starts_with("src/") && lines > LONGEST_FILE;
    if too_long { vec![file.fault(lines, &format!("longer than {LONGEST_FILE} lines"))] } else { Vec::new() }
}

fn drawers(file: &File) -> Vec<String> {
    let stems = file.path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    let named = stems.filter(|stem| DRAWERS.contains(stem));
    named.map(|stem| file.fault(1, &format!("`{stem}` says nothing; name the thing or the act"))).collect()
}

fn panics(file: &File) -> Vec<String> {
    if file.is_source() { file.lines_with(PANICS, "bad input is an error, never a crash") } else { Vec::new() }
}

fn silencers(file: &File) -> Vec<String> {
    // This file names them.
    let is_rust = file.path.ends_with(".rs") && file.path != "tests/house_rules.rs";
    if is_rust { file.lines_with(SILENCERS, "use `expect` with a reason") } else { Vec::new() }
}

fn unsafety(file: &File) -> Vec<String> {
    let free = file.is_source() && !UNSAFE_FILES.contains(&file.path.as_str());
    if free { file.lines_with(UNSAFE, "only where a measured hot loop needs it") } else { Vec::new() }
}

fn foreign_words(file: &File) -> Vec<String> {
    let words = FOREIGN.iter().map(|halves| halves.concat());
    let lines_with = |word: String| {
        let lines = file.text.lines().zip(1..).filter(move |(line, _)| line.contains(&word));
        lines.map(|(line, number)| file.fault(number, &format!("{:?} means nothing to a stranger", line.trim())))
    };
    words.flat_map(lines_with).collect()
}

fn registries(file: &File) -> Vec<String> {
    let sources = file.text.lines().zip(1..).filter(|(line, _)| line.starts_with("source = ") && *line != REGISTRY);
    let is_lock = file.path.ends_with("Cargo.lock");
    sources.filter(|_| is_lock).map(|(line, number)| file.fault(number, line)).collect()
}

fn dependency_reasons(file: &File) -> Vec<String> {
    let mut faults = Vec::new();
    let mut within = false;
    if file.path != "Cargo.toml" {
        return faults;
    }
    for (line, number) in file.text.lines().zip(1..) {
        if line.starts_with('[') {
            within = line.ends_with("dependencies]");
        } else if within && line.contains('=') && !line.contains(" # ") {
            faults.push(file.fault(number, "a dependency without a word on why it is here"));
        }
    }
    faults
}

fn opening(file: &File) -> Vec<String> {
    let silent = file.path.ends_with(".rs") && !file.text.starts_with("//! ") && !file.text.starts_with("#![");
    if silent { vec![file.fault(1, "begins without a sentence that says what it is")] } else { Vec::new() }
}

#[test]
fn modules_import_only_what_their_layer_allows() {
    expect_none(imports);
}

#[test]
fn the_engine_uses_no_crate_of_the_rest() {
    expect_none(crates_beyond_the_engine);
}

#[test]
fn the_pure_layer_touches_nothing_outside() {
    expect_none(purity);
}

#[test]
fn files_are_short() {
    expect_none(length);
}

#[test]
fn names_say_something() {
    expect_none(drawers);
}

#[test]
fn nothing_panics_outside_tests() {
    expect_none(panics);
}

#[test]
fn lints_are_expected_not_allowed() {
    expect_none(silencers);
}

#[test]
fn unsafe_stays_in_its_file() {
    expect_none(unsafety);
}

#[test]
fn nothing_speaks_of_one_machine() {
    expect_none(foreign_words);
}

#[test]
fn packages_are_locked_to_the_public_registry() {
    expect_none(registries);
}

#[test]
fn every_dependency_says_why() {
    expect_none(dependency_reasons);
}

#[test]
fn every_file_says_what_it_is() {
    expect_none(opening);
}

#[test]
fn the_tree_is_read() {
    let files = read_tree();
    let has = |path: &str| files.iter().any(|file| file.path == path);
    assert!(has("src/lib.rs") && has("src/mesh/mod.rs") && has("Cargo.toml") && has(".ci/run") && has("README.md"));
}

#[test]
fn every_rule_sees_what_breaks_it() {
    expect_fault(imports, "src/mesh/uv.rs", "use crate::decode::Limits;");
    expect_fault(imports, "src/decode/png/mod.rs", "use crate::{decode::Limits, mesh::Mesh};");
    expect_fault(imports, "src/mesh/uv.rs", "use super::super::export::Format;");
    expect_fault(imports, "src/main.rs", "use spinelift::mesh;");
    expect_fault(imports, "src/lib.rs", "pub use crate::mesh::Mesh;");
    expect_fault(imports, "src/gateway.rs", "");
    expect_fault(imports, "src/http/mesh.rs", "use crate::worker::claim;");
    expect_fault(crates_beyond_the_engine, "src/mesh/uv.rs", "use anyhow::Context;");
    expect_fault(purity, "src/export/png.rs", "let start = std::time::SystemTime::now();");
    expect_fault(length, "src/mesh/uv.rs", &"\n".repeat(LONGEST_FILE + 1));
    expect_fault(drawers, "src/mesh/utils.rs", "");
    expect_fault(drawers, "src/core/mod.rs", "");
    expect_fault(panics, "src/cli/mod.rs", "let x = y.unwrap();");
    expect_fault(silencers, "benches/decode.rs", &["#[al", "low(dead_code)]"].concat());
    expect_fault(unsafety, "src/mesh/uv.rs", "unsafe { f() }");
    expect_fault(foreign_words, "README.md", &["see /wo", "rk/x"].concat());
    expect_fault(registries, "fuzz/Cargo.lock", "source = \"registry+https://mirror.example/index\"");
    expect_fault(dependency_reasons, "Cargo.toml", "[dev-dependencies]\nserde = \"1\"\n");
    expect_fault(opening, "src/mesh/uv.rs", "use std::fmt;");
}

#[test]
fn what_is_allowed_passes() {
    let fine = [
        ("src/cli/mesh.rs", "//! The command.\nuse spinelift::mesh::Mesh;\nuse super::Usage;"),
        ("src/decode/png/header.rs", "//! Header.\nuse super::super::source::Source;\n// not .unwrap() at all"),
        ("src/mesh/uv.rs", "//! Texture.\nx.unwrap_or(0);\n#[cfg(test)]\nmod tests { fn f() { g().unwrap() } }"),
    ];
    for (path, text) in fine {
        let file = File::new(path, text);
        let rules = [imports, crates_beyond_the_engine, purity, length, drawers, panics, silencers, unsafety, opening];
        for faults in rules.map(|rule| rule(&file)) {
            assert_eq!(faults, Vec::<String>::new());
        }
    }
}
