//! Masks drawn as text: what a golden file or a regression starts from.
//!
//! Lines with a `=` are parameters, the others rows of pixels: `#` is opaque, `.` clear, `1` to `9` are tenths.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use spinelift::mesh::MeshParameters;

pub(crate) struct Drawn {
    /// The file's name without its ending: the fact it stands for.
    pub(crate) name: String,
    pub(crate) parameters: MeshParameters,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) values: Vec<u8>,
}

/// A folder of `testdata`.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata")).join(name)
}

/// Every mask in a folder of `testdata`, by name.
pub(crate) fn all(folder_name: &str) -> Vec<Drawn> {
    let files = fs::read_dir(folder(folder_name)).expect("the folder exists");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Drawn {
    let text = fs::read_to_string(path).expect("readable");
    let (assignments, rows): (Vec<&str>, Vec<&str>) =
        text.lines().filter(|line| !line.is_empty()).partition(|line| line.contains('='));
    let (parameters, warnings) = MeshParameters::from_assignments(&Value::Null, &assignments)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(warnings.is_empty(), "{}: {warnings:?}", path.display());
    let value = |pixel: u8| match pixel {
        b'#' => 255,
        b'1'..=b'9' => (pixel - b'0') * 25,
        b'.' => 0,
        other => panic!("{}: {} is no pixel", path.display(), other as char),
    };
    Drawn {
        name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        parameters,
        width: rows.first().map_or(0, |row| row.len() as u32),
        height: rows.len() as u32,
        values: rows.iter().flat_map(|row| row.bytes().map(value)).collect(),
    }
}
