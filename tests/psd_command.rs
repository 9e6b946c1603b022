//! `spinelift mesh character.psd`: one skeleton whose slots are the document's visible layers.
#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

fn spinelift(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_spinelift")).arg("mesh").args(arguments).output().unwrap()
}

#[test]
fn every_visible_layer_is_a_slot_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("character.psd");
    fs::copy("testdata/psd/character.psd", &input).unwrap();
    let run = spinelift(&[input.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{told}");
    assert!(told.contains("the layer \"nothing\" is left out: it shows nothing"), "{told}");
    assert!(!told.contains("\"off\""), "{told}");
    let skeleton: Value =
        serde_json::from_slice(&fs::read(folder.path().join("character.spine.json")).unwrap()).unwrap();
    let slots = skeleton["slots"].as_array().unwrap();
    let names: Vec<&str> = slots.iter().map(|slot| slot["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Hintergrund", "Körper/arm", "Körper/Kopf 頭/face", "Körper/Kopf 頭/öga 👁", "foot", "beyond"]);
    assert_eq!(slots[2]["color"], "ffffffc8");
    assert_eq!(slots[3]["color"], "ffffff80");
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(files.iter().any(|name| name.to_string_lossy().ends_with(".atlas.png")), "{files:?}");
}

#[test]
fn a_psd_is_no_single_mesh() {
    let run = spinelift(&["testdata/psd/character.psd", "--format", "svg"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("a PSD becomes one skeleton of its layers"));
}
