//! `spinelift mesh character.psd`: one skeleton whose slots are the document's visible layers.
#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::HashSet;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use spinelift::decode::{self, Limits};

fn spinelift(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_spinelift")).arg("mesh").args(arguments).output().unwrap()
}

/// Runs it in a folder and gives what it says on standard error.
#[track_caller]
fn run_in(folder: &Path, arguments: &[&str], status: i32) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinelift"));
    let output = command.arg("mesh").args(arguments).current_dir(folder).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}\n{told}");
    assert!(!told.contains("panicked"), "{told}");
    told
}

/// Two PSDs and two images, one of the name of a PSD.
fn art() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let art = folder.path().join("art");
    fs::create_dir(&art).unwrap();
    for (from, to) in [
        ("psd/character.psd", "hero.psd"),
        ("psd/masked.psd", "Villain.PSD"),
        ("corpus/tiny-star-12.png", "star.png"),
        ("corpus/tiny-heart-16.png", "hero.png"),
    ] {
        fs::copy(Path::new("testdata").join(from), art.join(to)).unwrap();
    }
    folder
}

/// The files below a folder by their paths in it, sorted.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
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
fn layers_may_be_traced() {
    let folder = art();
    let text = run_in(folder.path(), &["art/hero.psd", "--set", "outline=trace", "-o", "out/"], 0);
    assert!(!text.contains("acts with outline"), "{text}");
    assert!(files(&folder.path().join("out")).contains(&"hero.spine.json".to_owned()));
}

#[test]
fn a_psd_is_no_single_mesh() {
    let run = spinelift(&["testdata/psd/character.psd", "--format", "svg"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("a PSD becomes one skeleton of its layers"));
}

#[test]
fn every_psd_is_a_skeleton_of_its_own_and_every_image_what_it_is_alone() {
    let folder = art();
    let folder = folder.path();
    let told = run_in(folder, &["art", "-o", "out"], 0);
    assert!(told.ends_with("spinelift: 4 of 4 images done\n"), "{told}");
    let psds = |ending: &str| ["Villain", "hero"].map(|name| format!("{name}.spine.{ending}"));
    let mut expected: Vec<String> = ["atlas", "atlas.png", "json"].into_iter().flat_map(psds).collect();
    expected.extend(["hero.json".into(), "star.json".into()]);
    expected.sort();
    assert_eq!(files(&folder.join("out")), expected);
    // The image's mesh is made by the parameters of images, the layers' by those of layers.
    let outline = |file: &str| json(&folder.join(file))["metadata"]["parameters"]["outline"].clone();
    assert_eq!(outline("out/hero.json"), Value::Null, "not cover, which is said where it is");
    assert_eq!(json(&folder.join("out/Villain.spine.json"))["slots"].as_array().unwrap().len(), 5);

    // In one format of skeletons for all, names that would be one are told apart.
    run_in(folder, &["art", "-o", "same", "-f", "spine"], 0);
    let same = files(&folder.join("same"));
    for name in ["hero.psd.spine.json", "hero.png.spine.json", "hero.psd.spine.atlas.png", "Villain.spine.atlas"] {
        assert!(same.iter().any(|file| file == name), "{name} is not in {same:?}");
    }
    // Named ones lie beside their files, as results of images do.
    run_in(folder, &["art/hero.psd", "art/Villain.PSD"], 0);
    assert!(folder.join("art/hero.spine.json").exists() && folder.join("art/Villain.spine.atlas.png").exists());
}

#[test]
fn a_bad_psd_does_not_stop_the_rest() {
    let folder = art();
    let folder = folder.path();
    let whole = fs::read("testdata/psd/masked.psd").unwrap();
    fs::write(folder.join("art/cut.psd"), &whole[..whole.len() / 3]).unwrap();
    let told = run_in(folder, &["art", "-o", "out", "--contact-sheet", "all.html"], 3);
    assert!(told.contains("cut.psd: the PSD image cannot be read"), "{told}");
    assert!(told.ends_with("spinelift: 1 of 5 images failed, the others are done\n"), "{told}");
    assert!(folder.join("out/hero.spine.json").exists());
    assert!(!folder.join("out/cut.spine.json").exists());
    assert!(fs::read_to_string(folder.join("all.html")).unwrap().contains("<h2>cut.psd</h2>"));
}

#[test]
fn runs_about_single_meshes_leave_the_psds_of_a_folder_out_and_say_so() {
    let folder = art();
    let folder = folder.path();
    let told = run_in(folder, &["art", "-o", "drawn", "-f", "svg"], 0);
    assert!(told.contains("left out: art/hero.psd: a PSD becomes one skeleton of its layers, and svg holds one mesh"));
    assert_eq!(files(&folder.join("drawn")), ["hero.svg", "star.svg"]);
    let told = run_in(folder, &["art", "-o", "both.spine.json"], 0);
    assert!(told.contains("left out: art/Villain.PSD: a PSD becomes one skeleton of its layers, each of its own"));
    assert_eq!(json(&folder.join("both.spine.json"))["slots"].as_array().unwrap().len(), 2);
    // What is named is not left out, and neither is everything.
    let told = run_in(folder, &["art/star.png", "art/hero.psd", "-o", "both.spine.json"], 2);
    assert!(told.contains("both.spine.json is the name of one file; give -o a folder"), "{told}");
    fs::remove_file(folder.join("art/star.png")).unwrap();
    fs::remove_file(folder.join("art/hero.png")).unwrap();
    let told = run_in(folder, &["art", "-o", "drawn", "-f", "svg"], 2);
    assert!(told.contains("take --format spine, spine38, dragonbones"), "{told}");
}

#[test]
fn a_name_that_means_nothing_is_refused_as_for_an_image() {
    let folder = art();
    let folder = folder.path();
    for (to, reason) in [
        ("hero.txt", "no format goes by the name hero.txt; end it in .spine.json, .spine38.json, .ske.json, or add"),
        ("hero.json", "hero.json is the name of one mesh; end it in .spine.json"),
        ("-", "with files beside it; give -o a file or a folder"),
    ] {
        let told = run_in(folder, &["art/hero.psd", "-o", to], 2);
        assert!(told.contains(reason), "{told}");
        assert_eq!(files(folder).len(), 4, "nothing is written");
    }
    let told = run_in(folder, &["art/hero.psd", "--timings"], 2);
    assert!(told.contains("which --timings does not measure; save its layers as images for that"), "{told}");
    run_in(folder, &["art/hero.psd", "-o", "hero.txt", "-f", "dragonbones"], 0);
    assert_eq!(json(&folder.join("hero.txt"))["version"], "5.5");
}

#[test]
fn threads_change_nothing() {
    let folder = art();
    let folder = folder.path();
    for jobs in ["1", "2", "5"] {
        for (more, to) in [("--loose", "loose"), ("--quiet", "packed")] {
            let to = format!("{to}{jobs}");
            let sheet = format!("{to}/all.sheet.png");
            run_in(folder, &["art", "-o", &to, "-j", jobs, more, "--contact-sheet", &sheet], 0);
        }
    }
    for kind in ["loose", "packed"] {
        let [one, two, five] = ["1", "2", "5"].map(|jobs| folder.join(format!("{kind}{jobs}")));
        let all = files(&one);
        assert!(all.len() > 8, "{all:?}");
        for other in [&two, &five] {
            assert_eq!(files(other), all);
            for file in &all {
                assert!(fs::read(one.join(file)).unwrap() == fs::read(other.join(file)).unwrap(), "{file} differs");
            }
        }
    }
}

#[test]
fn contact_sheets_show_every_layer_with_its_scores() {
    let folder = art();
    let folder = folder.path();
    run_in(folder, &["art/hero.psd", "-o", "out", "--contact-sheet", "one.html"], 0);
    let page = fs::read_to_string(folder.join("one.html")).unwrap();
    let names: Vec<&str> = page.split("<h2>").skip(1).map(|rest| rest.split("</h2>").next().unwrap()).collect();
    assert_eq!(names, ["Hintergrund", "Körper/arm", "Körper/Kopf 頭/face", "Körper/Kopf 頭/öga 👁", "foot", "beyond"]);
    assert_eq!(page.matches("<dt>covered<dd>100 %").count(), 6, "{page}");
    assert_eq!(page.matches("<dt>IoU<dd>").count(), 6);
    // Among other files, with theirs before them; a layer that fails says why.
    let fine = ["--set", "internal_vertex_density=100", "--max-triangles", "130"];
    let told = run_in(folder, &[&["art", "-o", "out", "--contact-sheet", "all.html"][..], &fine].concat(), 3);
    assert!(told.contains("hero.psd: layer \"Körper/arm\": internal_vertex_density 100 would make about"), "{told}");
    assert!(told.contains("the limit with --max-triangles"), "{told}");
    let slots = json(&folder.join("out/hero.spine.json"))["slots"].as_array().unwrap().len();
    assert_eq!(slots, 2, "the small ones are there all the same");
    let page = fs::read_to_string(folder.join("all.html")).unwrap();
    for name in ["hero.psd: beyond", "hero.psd: foot", "Villain.PSD", "star.png"] {
        assert!(page.contains(&format!("<h2>{name}</h2>")), "{name}");
    }
    assert!(page.contains("<p>internal_vertex_density 100 would make about"), "{page}");
    // No result is replaced by it: neither a page nor a loose image.
    let told = run_in(folder, &["art/hero.psd", "-o", "x", "--contact-sheet", "x/hero.spine.atlas.png"], 2);
    assert!(told.contains("is the name of an atlas's page; give the contact sheet another"), "{told}");
    let sheet = "x/hero-images/foot.png";
    let told = run_in(folder, &["art/hero.psd", "-o", "x", "--loose", "--contact-sheet", sheet], 2);
    assert!(told.contains("is one of the results and would be overwritten"), "{told}");
    assert!(!folder.join("x/hero.spine.json").exists());
}

#[test]
fn loose_images_have_names_that_every_file_system_takes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let psd = fs::canonicalize("testdata/psd/names.psd").unwrap();
    run_in(folder, &[psd.to_str().unwrap(), "-o", ".", "--loose"], 0);
    let skeleton = json(&folder.join("names.spine.json"));
    assert_eq!(skeleton["skeleton"]["images"], "./names-images/");
    let attachments = skeleton["skins"][0]["attachments"].as_object().unwrap();
    let path = |slot: &str| attachments[slot][slot]["path"].as_str().unwrap().to_owned();
    let mut named: Vec<String> = attachments.keys().map(|slot| format!("{}.png", path(slot))).collect();
    named.sort();
    let images = folder.join("names-images");
    assert_eq!(files(&images), named, "each attachment's path is a file, and nothing else is there");
    let expected = [
        "Arm-2.png",
        "CON_.png",
        "a_b_c.png",
        "arm.png",
        "arm.png.png",
        "arm_png/hand.png",
        "eye_ left_.png",
        "size_1,1.png",
        "up.png",
    ];
    assert_eq!(named, expected);
    assert_eq!(named.iter().map(|name| name.to_lowercase()).collect::<HashSet<_>>().len(), 9);
    for slot in attachments.keys() {
        let image = fs::read(images.join(format!("{}.png", path(slot)))).unwrap();
        let picture = decode::rgba(Cursor::new(&image), &Limits::default(), &()).unwrap();
        assert_eq!(u64::from(picture.width()), attachments[slot][slot]["width"].as_u64().unwrap(), "{slot}");
    }
}

#[test]
fn what_an_earlier_run_left_is_replaced_or_named() {
    let folder = art();
    let folder = folder.path();
    fs::create_dir_all(folder.join("out/hero-images/Leg")).unwrap();
    fs::write(folder.join("out/hero-images/Leg/old.png"), "kept").unwrap();
    fs::write(folder.join("out/hero-images/foot.png"), "replaced").unwrap();
    let told = run_in(folder, &["art/hero.psd", "-o", "out", "--loose"], 0);
    let said = "hero-images holds 1 image that is not of this skeleton, such as ";
    assert!(told.contains(said) && told.contains("old.png; delete what is not needed"), "{told}");
    assert_eq!(fs::read(folder.join("out/hero-images/Leg/old.png")).unwrap(), b"kept");
    assert!(fs::read(folder.join("out/hero-images/foot.png")).unwrap().starts_with(b"\x89PNG"));
    fs::remove_dir_all(folder.join("out/hero-images/Leg")).unwrap();
    assert!(!run_in(folder, &["art/hero.psd", "-o", "out", "--loose"], 0).contains("not of this skeleton"));
    // A page too many.
    fs::write(folder.join("out/hero.spine.atlas-2.png"), "old").unwrap();
    let told = run_in(folder, &["art/hero.psd", "-o", "out"], 0);
    assert!(told.contains("hero.spine.atlas-2.png is a page that the atlas does not name"), "{told}");
}
