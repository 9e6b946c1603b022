//! GLB files by Khronos' validator.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use spinelift::export::{Format, Source};

use crate::{consumer, is_there, sprites};

/// What the validator says of any image whose sides are not powers of two, as sprites' are not.
const NOT_POWERS_OF_TWO: &str = "IMAGE_NPOT_DIMENSIONS";

/// What it says where a mesh has texture coordinates and its material no texture.
const UNUSED_COORDINATES: &str = "UNUSED_OBJECT";

/// The validator's folder, installed once for all tests; `None` where that cannot be done and may be skipped.
fn validator() -> Option<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER.get_or_init(installed).clone()
}

fn installed() -> Option<PathBuf> {
    if !is_there("node", "install Node.js 18 or newer") || !is_there("npm", "it comes with Node.js") {
        return None;
    }
    let folder = consumer("gltf");
    let mut install = Command::new("npm");
    install.args(["install", "--no-audit", "--no-fund", "--no-package-lock"]).current_dir(&folder);
    let output = install.output().unwrap();
    if !output.status.success() && !folder.join("node_modules/gltf-validator").exists() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "npm install fails: {why}");
        println!("skipped: npm cannot install gltf-validator: {why}");
        return None;
    }
    Some(folder)
}

/// One report for each file.
fn reports(validator: &Path, files: &[PathBuf]) -> Vec<Value> {
    let output = Command::new("node").arg("validate.js").args(files).current_dir(validator).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_validator_finds_nothing() {
    let Some(validator) = validator() else { return };
    let sprites = sprites();
    let mut files = Vec::new();
    for (index, sprite) in sprites.iter().enumerate() {
        let path = validator.join(format!("{index}.glb"));
        fs::write(&path, sprite.written("glb")).unwrap();
        files.push(path);
    }
    let bare = validator.join("bare.glb");
    fs::write(&bare, (Format::named("glb").unwrap().write)(&sprites[0].mesh, &Source::default()).unwrap()).unwrap();
    files.push(bare);
    let reports = reports(&validator, &files);
    assert_eq!(reports.len(), sprites.len() + 1);
    for (report, sprite) in reports.iter().zip(sprites.iter().chain(&sprites[..1])) {
        for severity in ["errors", "warnings", "hints"] {
            assert_eq!(report[severity], 0, "{report}");
        }
        let codes = report["messages"].as_array().unwrap().iter().map(|message| message["code"].as_str().unwrap());
        let known = if report["image"].is_null() { UNUSED_COORDINATES } else { NOT_POWERS_OF_TWO };
        assert!(codes.into_iter().all(|code| code == known), "{report}");
        assert_eq!(report["vertices"], sprite.mesh.vertices.len(), "{report}");
        assert_eq!(report["triangles"], sprite.mesh.triangles.len(), "{report}");
        if !report["image"].is_null() && !sprite.name.starts_with("pair") {
            assert_eq!(report["image"]["width"], sprite.mesh.width, "{report}");
            assert_eq!(report["image"]["height"], sprite.mesh.height, "{report}");
        }
    }
}

#[test]
fn the_validator_sees_what_is_wrong() {
    let Some(validator) = validator() else { return };
    let mut bytes = sprites()[0].written("glb");
    // An index far beyond the vertices: the first number after positions and texture coordinates.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.contains("\"KHR_materials_unlit\""));
    let text_end = 20 + u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let first_index = text_end + 8 + sprites()[0].mesh.vertices.len() * (12 + 8);
    bytes[first_index..first_index + 2].copy_from_slice(&60_000_u16.to_le_bytes());
    let path = validator.join("broken.glb");
    fs::write(&path, bytes).unwrap();
    let report = &reports(&validator, &[path])[0];
    assert!(report["errors"].as_u64().unwrap() > 0, "{report}");
}
