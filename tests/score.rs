//! `spinelift score` as users run it, and the scores beside those that an independent scorer gave to the same meshes.
//!
//! Each file of `testdata/score` is a mesh with its image's name in `testdata/corpus`, the command that scored it, and what
//! that gave, rounded to 6 digits (the least angle to 3, slivers to 5).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const HEART: &str = "tiny-heart-16.png";
const OCTOPUS: &str = "limbs-octopus-512.png";

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn corpus(name: &str) -> PathBuf {
    testdata("corpus").join(name)
}

/// A file of the test's own.
fn file(name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("score");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn spinelift<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>, input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinelift"));
    let mut child =
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It need not read all, or any, of it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn score(image: &Path, mesh: &Path, args: &[&str]) -> Output {
    let paths = [OsStr::new("score"), image.as_os_str(), mesh.as_os_str()];
    spinelift(paths.into_iter().chain(args.iter().map(OsStr::new)), b"")
}

#[track_caller]
fn expect_status(output: &Output, status: i32) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(output.status.code(), Some(status), "{text}");
    text
}

#[track_caller]
fn scores(image: &Path, mesh: &Path, args: &[&str]) -> Value {
    let output = score(image, mesh, &[args, &["--json"]].concat());
    assert_eq!(expect_status(&output, 0), "");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// All of the heart's canvas but its last column, which it reaches only where positions name pixels' middles, with what
/// its maker says of it.
fn canvas(name: &str, metadata: &Value) -> PathBuf {
    let mesh = json!({
        "vertices": [[0, 0], [15.25, 0], [15.25, 16], [0, 16]], "triangles": [[0, 1, 2], [0, 2, 3]], "metadata": metadata,
    });
    file(name, mesh.to_string())
}

#[test]
fn scores_are_those_of_the_independent_scorer() {
    let mut meshes: Vec<PathBuf> = fs::read_dir(testdata("score")).unwrap().map(|file| file.unwrap().path()).collect();
    meshes.sort();
    assert_eq!(meshes.len(), 8);
    for path in meshes {
        let recorded: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let threshold = recorded["threshold"].to_string();
        let args = ["--threshold", &threshold, "--origin", recorded["origin"].as_str().unwrap()];
        let scores = scores(&corpus(recorded["image"].as_str().unwrap()), &path, &args);
        for key in ["opaque_px", "mesh_px", "lost_px"] {
            assert_eq!(scores[key], recorded["scores"][key], "{key} of {}", path.display());
        }
        for (ours, theirs, rounding) in [
            ("coverage", "coverage", 5.1e-7),
            ("overdraw", "overdraw", 5.1e-7),
            ("iou", "iou", 5.1e-7),
            ("min_angle_deg", "min_angle", 5.1e-4),
            ("sliver20", "sliver20", 5.1e-6),
        ] {
            let (got, expected) = (scores[ours].as_f64().unwrap(), recorded["scores"][theirs].as_f64().unwrap());
            assert!((got - expected).abs() <= rounding, "{ours} of {}: {got}, not {expected}", path.display());
        }
        assert_eq!(scores["triangles"], recorded["triangles"].as_array().unwrap().len());
        assert_eq!(scores["vertices"], recorded["vertices"].as_array().unwrap().len());
    }
}

#[test]
fn people_read_a_line_a_score() {
    let output = score(&corpus(OCTOPUS), &testdata("score/octopus_traced.json"), &["--origin", "center"]);
    assert_eq!(expect_status(&output, 0), "");
    let expected = "\
opaque pixels        171751
mesh pixels          141787
lost pixels           32033
coverage              81.35 % of the opaque pixels
overdraw               1.20 % of the opaque pixels
IoU                  0.8038
least angle           17.89 degrees
slivers               10.00 % of the triangles, under 20 degrees
vertices                 12
triangles                10
alpha threshold          10
origin               center
";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[test]
fn our_own_result_is_scored_where_its_outline_runs() {
    let image = corpus(OCTOPUS);
    let made = spinelift([OsStr::new("mesh"), image.as_os_str()], b"");
    let args = ["score".as_ref(), image.as_os_str(), "-".as_ref(), "--json".as_ref()];
    let output = spinelift(args, &made.stdout);
    assert_eq!(expect_status(&output, 0), "");
    let scores: Value = serde_json::from_slice(&output.stdout).unwrap();
    // As recorded from `--origin center`.
    assert_eq!([&scores["mesh_px"], &scores["lost_px"]], [141_787, 32_033]);
    assert_eq!([&scores["origin"], &scores["alpha_threshold"]], [&json!("center"), &json!(10)]);
}

#[test]
fn what_the_mesh_says_of_itself_decides_unless_told_otherwise() {
    let image = corpus(HEART);
    let ours =
        |outline: &str| json!({ "parameters": { "detail_factor": 0.01, "outline": outline, "alpha_threshold": 99 } });
    let cases = [
        ("ours_covering.json", ours("cover"), "corner", 99),
        ("ours_traced.json", ours("trace"), "center", 10),
        ("ours_of_old.json", json!({ "parameters": { "detail_factor": 0.01 } }), "center", 10),
        ("theirs.json", json!({ "parameters": { "alpha_threshold": 3 } }), "corner", 10),
        ("theirs_of_text.json", json!("made by hand"), "corner", 10),
        ("silent.json", Value::Null, "corner", 10),
    ];
    for (name, metadata, origin, threshold) in cases {
        let mesh = canvas(name, &metadata);
        let said = scores(&image, &mesh, &[]);
        assert_eq!([&said["origin"], &said["alpha_threshold"]], [&json!(origin), &json!(threshold)], "{name}");
        assert_eq!(said["mesh_px"], if origin == "corner" { 240 } else { 256 }, "{name}");
        let told = scores(&image, &mesh, &["--origin", "corner", "--threshold", "7"]);
        assert_eq!([&told["origin"], &told["alpha_threshold"]], [&json!("corner"), &json!(7)], "{name}");
    }
}

#[test]
fn a_lost_pixel_is_never_rounded_away() {
    let image = corpus("opaque-photo-jpeg-city.jpg");
    let mesh = json!({
        "vertices": [[1, 0], [720, 0], [720, 360], [0, 360], [0, 1], [1, 1]],
        "triangles": [[0, 1, 5], [1, 2, 5], [2, 3, 5], [3, 4, 5]],
    });
    let output = score(&image, &file("all_but_one.json", mesh.to_string()), &[]);
    assert_eq!(expect_status(&output, 0), "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("lost pixels               1\ncoverage              99.99 %"), "{text}");
}

#[test]
fn what_cannot_be_scored_is_named_with_the_reason() {
    let mesh = |name: &str, text: &str| file(&format!("{name}.json"), text);
    let not_a_mesh = "not a mesh, which is a JSON object with vertices";
    let other = canvas("other_size.json", &json!({ "width": 32, "height": 16 }));
    let cases = [
        (corpus("nowhere.png"), canvas("fine_0.json", &Value::Null), "nowhere.png: cannot be opened: "),
        (
            corpus("LICENCES.md"),
            canvas("fine_1.json", &Value::Null),
            "LICENCES.md: the file is not an image SpineLift reads",
        ),
        (corpus(HEART), corpus("nowhere.json"), "nowhere.json: cannot be opened: "),
        (corpus(HEART), corpus(HEART), not_a_mesh),
        (corpus(HEART), mesh("no_triangles", r#"{"vertices": [[0, 0]]}"#), "missing field `triangles`"),
        (corpus(HEART), mesh("solid", r#"{"vertices": [[0, 0, 0]], "triangles": []}"#), not_a_mesh),
        (corpus(HEART), mesh("negative", r#"{"vertices": [[0, 0]], "triangles": [[0, 0, -1]]}"#), not_a_mesh),
        (corpus(HEART), mesh("empty", r#"{"vertices": [[0, 0]], "triangles": []}"#), "the mesh has no triangles"),
        (
            corpus(HEART),
            mesh("beyond", r#"{"vertices": [[0, 0]], "triangles": [[0, 0, 1]]}"#),
            "names the vertices [0, 0, 1]",
        ),
        (
            corpus(HEART),
            mesh("far", r#"{"vertices": [[0, 1e99]], "triangles": [[0, 0, 0]]}"#),
            "vertex 0 is at [0.0, 1e99]",
        ),
        (corpus(HEART), other, "other_size.json: the mesh was made from an image of 32 x 16 px, this one has 16 x 16"),
    ];
    for (image, mesh, message) in cases {
        let output = score(&image, &mesh, &[]);
        let text = expect_status(&output, 3);
        assert!(text.starts_with("spinelift: ") && text.contains(message), "{message}: {text}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn usage_errors_exit_with_2_and_say_what_to_do() {
    let cases: &[(&[&str], &str)] = &[
        (&[], "<IMAGE>"),
        (&["a.png"], "<MESH.json>"),
        (&["-", "-"], "standard input can be read once"),
        (&["a.png", "a.json", "--threshold", "256"], "0..=255"),
        (&["a.png", "a.json", "--origin", "middle"], "corner, center"),
    ];
    for (args, message) in cases {
        let output = spinelift([&["score"], *args].concat(), b"");
        let text = expect_status(&output, 2);
        assert!(text.contains(message), "{args:?}: {text}");
    }
}

#[test]
fn limits_hold_for_the_image_and_say_how_to_raise_them() {
    let mesh = canvas("fine_2.json", &Value::Null);
    for (args, advice) in
        [(["--max-dimension", "15"], "with --max-dimension"), (["--max-bytes", "9"], "with --max-bytes")]
    {
        let text = expect_status(&score(&corpus(HEART), &mesh, &args), 3);
        assert!(text.contains("tiny-heart-16.png: the image's ") && text.contains(advice), "{text}");
    }
}

#[test]
fn an_image_may_come_by_standard_input() {
    let mesh = canvas("fine_3.json", &Value::Null);
    let image = fs::read(corpus(HEART)).unwrap();
    let output = spinelift(["score".as_ref(), "-".as_ref(), mesh.as_os_str()], &image);
    assert_eq!(expect_status(&output, 0), "");
    assert!(String::from_utf8(output.stdout).unwrap().contains("mesh pixels             240\n"));
}

#[test]
fn help_names_every_score_and_exit_status() {
    let output = spinelift(["score", "--help"], b"");
    expect_status(&output, 0);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["Scores:", "IoU ", "slivers ", "Examples:", "Exit status:", "--origin", "outline=cover"] {
        assert!(text.contains(part), "{part}");
    }
    let longest = text.lines().max_by_key(|line| line.len()).unwrap();
    assert!(longest.len() <= 100, "{longest}");
}
