//! The documents hold: the README's commands run and print what it says, tables agree with the code, links lead somewhere.

#![cfg(all(unix, feature = "cli"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[path = "readme/blocks.rs"]
mod blocks;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use spinelift::decode::Limits;
use spinelift::export::FORMATS;
use spinelift::mesh::error::Violation;
use spinelift::mesh::parameters::PARAMETERS;
use spinelift::mesh::{Error, MeshLimits, Stage};

use blocks::blocks;

/// The documents that are ours to keep true.
const DOCUMENTS: [&str; 12] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "docs/api.md",
    "docs/callbacks.md",
    "docs/formats.md",
    "docs/mesh.md",
    "docs/operations.md",
    "docs/psd.md",
    "docs/quality.md",
    "docs/reliability.md",
    "docs/settings.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap()
}

/// A folder of the test's own with the test data in it, and the command on the path.
struct Shell {
    folder: PathBuf,
}

impl Shell {
    fn new(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme").join(test);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(root().join("testdata"), folder.join("testdata")).unwrap();
        Self { folder }
    }

    /// Standard output and standard error together.
    fn run(&self, command: &str) -> String {
        let command = command.replace("cargo run --release --", "spinelift");
        let binaries = Path::new(env!("CARGO_BIN_EXE_spinelift")).parent().unwrap();
        let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap());
        let script = format!("{{ {command}; }} 2>&1");
        let output =
            Command::new("sh").arg("-c").arg(script).current_dir(&self.folder).env("PATH", path).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{command}\n{text}");
        text
    }
}

#[test]
fn commands_of_the_readme_run() {
    let shell = Shell::new("commands");
    let commands = blocks(&read("README.md"), "sh");
    assert_eq!(commands.iter().filter(|line| *line == "cargo test").count(), 1);
    for command in commands.iter().filter(|line| *line != "cargo test") {
        shell.run(command);
    }
    let drawn = fs::read(shell.folder.join("octopus.mesh.png")).unwrap();
    assert!(drawn.starts_with(b"\x89PNG"));
}

#[test]
fn commands_of_the_readme_print_what_it_shows() {
    let shell = Shell::new("output");
    let lines = blocks(&read("README.md"), "console");
    assert!(lines.first().is_some_and(|line| line.starts_with("$ ")));
    let mut rest = &lines[..];
    while let Some((command, after)) = rest.split_first() {
        let shown = after.iter().take_while(|line| !line.starts_with("$ ")).count();
        let printed = shell.run(&command[2..]);
        assert_eq!(printed.lines().collect::<Vec<_>>(), after[..shown], "{command}");
        rest = &after[shown..];
    }
}

#[test]
fn parameter_tables_agree_with_the_code() {
    let (readme, mesh) = (read("README.md"), read("docs/mesh.md"));
    for row in &PARAMETERS {
        let values = format!("{} | {} |{} |", row.range(), row.default_value(), prefix_space(row.unit));
        for (text, name) in [(&readme, format!("`{}`", row.name)), (&mesh, format!("[`{0}`](#{0})", row.name))] {
            let expected = format!("| {name} | {values}");
            assert!(text.lines().any(|line| line.starts_with(&expected)), "no row begins with {expected}");
        }
        assert!(mesh.contains(&format!("\n### {}\n", row.name)), "{} has no section", row.name);
        assert!(mesh.contains(&format!("](images/{}.png)", row.name)), "{} has no picture", row.name);
    }
    let rows = |text: &str, start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(rows(&mesh, "| [`"), PARAMETERS.len());
}

fn prefix_space(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!(" {unit}") }
}

#[test]
fn the_table_of_formats_agrees_with_the_code() {
    let readme = read("README.md");
    for format in FORMATS {
        let row = format!("| `{}` | `NAME.{}` |", format.name, format.extension);
        assert!(readme.contains(&row), "{row}");
    }
}

#[test]
fn the_table_of_stages_agrees_with_the_code() {
    let mesh = read("docs/mesh.md");
    let stages = [
        Stage::Decode,
        Stage::Mask,
        Stage::Blur,
        Stage::Contour,
        Stage::Simplify,
        Stage::Triangulate,
        Stage::Uvs,
        Stage::Edges,
        Stage::Complete,
    ];
    for stage in stages {
        let row = format!("| {} | {} |", stage.percent(), stage.message());
        assert!(mesh.contains(&row), "{row}");
    }
}

#[test]
fn the_table_of_errors_agrees_with_the_code() {
    let mesh = read("docs/mesh.md");
    let text = String::new;
    let violation = Violation { name: text(), value: json!(0), expected: text() };
    let errors = [
        Error::ImageLoad { format: "PNG", reason: text() },
        Error::ImageTooLarge { what: "width", value: 0, limit: 0 },
        Error::ImageFormat { found: text() },
        Error::ContourExtraction { reason: text(), largest_area: 0.0, min_contour_area: 0.0 },
        Error::Triangulation { vertices: 0, reason: text() },
        Error::MeshTooLarge { estimate: 0, limit: 0, density: 0, fitting_density: 0 },
        Error::Parameters(vec![violation]),
        Error::Stopped { stage: "decoding" },
        Error::Internal(text()),
    ];
    for error in errors {
        let code = format!("| `{}` |", error.code());
        let row = mesh.lines().find(|line| line.starts_with(&code)).unwrap_or_else(|| panic!("no row for {code}"));
        for key in error.details().as_object().unwrap().keys() {
            assert!(row.contains(&format!("`{key}`")), "{row} does not name {key}");
        }
    }
}

#[test]
fn limits_agree_with_the_code() {
    let mesh = read("docs/mesh.md");
    let Limits { max_width, max_height, max_bytes } = Limits::default();
    let MeshLimits { max_triangles } = MeshLimits::default();
    for limit in [max_width.into(), max_height.into(), max_bytes, max_triangles] {
        assert!(mesh.contains(&format!("| {limit} |")), "{limit}");
    }
}

#[test]
fn links_lead_somewhere() {
    for document in DOCUMENTS {
        let text = read(document);
        let folder = root().join(document).parent().unwrap().to_owned();
        for target in text.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap()) {
            let inside = !target.contains("://") && !target.is_empty();
            assert!(!inside || folder.join(target).exists(), "{document} links to {target}");
        }
    }
}

#[test]
fn files_named_in_the_architecture_exist() {
    let text = read("ARCHITECTURE.md");
    let is_file = |name: &&str| !name.contains(' ') && [".rs", ".py", ".md"].iter().any(|end| name.ends_with(end));
    let named: Vec<&str> = text.split('`').skip(1).step_by(2).filter(is_file).collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(root().join("src").join(name).exists() || root().join(name).exists(), "{name}");
    }
}
