//! The command as users run it: the real binary, real sprites, exit status, both output streams, the files it leaves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use spinelift::export::FORMATS;
use spinelift::mesh::parameters::PARAMETERS;

const HEART: &str = "tiny-heart-16.png";
const BALL: &str = "convex-ball-72.png";
const STAR: &str = "tiny-star-12.png";

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus").join(name)
}

/// An empty folder of the test's own.
fn folder(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli").join(test);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn spinelift<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_spinelift")).args(args).output().unwrap()
}

fn mesh<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
    spinelift(std::iter::once("mesh".into()).chain(args))
}

fn mesh_of_stdin(args: &[&str], bytes: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinelift"));
    command.args(["mesh", "-"]).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may stop reading before the end, by its limit.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    child.wait_with_output().unwrap()
}

fn stderr(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!text.contains("panicked"), "{text}");
    text
}

#[track_caller]
fn expect_status(output: &Output, status: i32) -> String {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(status), "{text}");
    text
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn one_image_gives_its_mesh_on_standard_output() {
    let output = mesh([corpus(HEART)]);
    assert_eq!(expect_status(&output, 0), "");
    let result = json(&output.stdout);
    assert_eq!(result["bounds"]["width"], 16);
    let (vertices, triangles) = (result["vertices"].as_array().unwrap(), result["triangles"].as_array().unwrap());
    assert_eq!(result["metadata"]["vertex_count"], vertices.len());
    assert_eq!(result["uvs"].as_array().unwrap().len(), 2 * vertices.len());
    assert_eq!(result["metadata"]["triangle_count"], triangles.len());
    assert!(!triangles.is_empty());
}

#[test]
fn a_stream_and_a_file_give_the_same_bytes() {
    let path = corpus(BALL);
    let from_file = mesh([&path]);
    let from_stdin = mesh_of_stdin(&[], &fs::read(&path).unwrap());
    expect_status(&from_stdin, 0);
    assert_eq!(from_file.stdout, from_stdin.stdout);
    assert_eq!(json(&from_file.stdout)["metadata"]["source_sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn standard_input_is_read_up_to_the_limit() {
    let output = mesh_of_stdin(&["--max-bytes", "100"], &[0; 100_000]);
    assert!(expect_status(&output, 3).contains("the limit is 100"));
}

#[test]
fn outline_tells_points_and_tolerance() {
    let output = mesh([corpus(BALL).as_os_str(), "--format".as_ref(), "outline".as_ref()]);
    expect_status(&output, 0);
    let result = json(&output.stdout);
    let outline = result["outline"].as_array().unwrap();
    assert!(result["contour_points"].as_u64().unwrap() >= outline.len() as u64);
    assert!(result["epsilon"].as_f64().unwrap() >= 0.1);
    assert!(outline.iter().all(|point| point.as_array().unwrap().iter().all(Value::is_i64)));
}

#[test]
fn the_output_name_chooses_the_format() {
    let folder = folder("output_name");
    for (name, magic) in
        [("a.svg", &b"<svg"[..]), ("a.mesh.png", b"\x89PNG"), ("a.outline.json", b"{\"contour"), ("a.json", b"{\"vert")]
    {
        let path = folder.join(name);
        let output = mesh([corpus(HEART).as_os_str(), "-o".as_ref(), path.as_os_str()]);
        expect_status(&output, 0);
        assert!(fs::read(&path).unwrap().starts_with(magic), "{name}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(names(&folder), ["a.json", "a.mesh.png", "a.outline.json", "a.svg"], "nothing unfinished is left");
}

#[test]
fn one_bad_image_does_not_stop_the_rest() {
    let folder = folder("one_bad");
    fs::copy(corpus(HEART), folder.join("a.png")).unwrap();
    fs::write(folder.join("b.png"), "no image").unwrap();
    fs::write(folder.join("c.png"), &fs::read(corpus(BALL)).unwrap()[..500]).unwrap();
    fs::copy(corpus(STAR), folder.join("d.png")).unwrap();
    let out = folder.join("out");
    let text = expect_status(&mesh([folder.as_os_str(), "-o".as_ref(), out.as_os_str()]), 3);
    assert!(text.contains("b.png: the file is not an image SpineLift reads"), "{text}");
    assert!(text.contains("c.png: the PNG image cannot be read"), "{text}");
    assert!(text.contains("spinelift: 2 of 4 images failed"), "{text}");
    assert_eq!(names(&out), ["a.json", "d.json"]);
}

#[test]
fn a_folder_gives_its_images_beside_them_and_leaves_the_rest() {
    let folder = folder("beside");
    fs::copy(corpus(HEART), folder.join("hero.PNG")).unwrap();
    fs::copy(corpus(STAR), folder.join(".hidden.png")).unwrap();
    fs::copy(corpus(STAR), folder.join("old.mesh.png")).unwrap();
    fs::write(folder.join("notes.txt"), "no image").unwrap();
    fs::create_dir(folder.join("deeper.png")).unwrap();
    let text = expect_status(&mesh([&folder]), 0);
    assert_eq!(text, "spinelift: 1 of 1 images done\n");
    assert_eq!(names(&folder), [".hidden.png", "deeper.png", "hero.PNG", "hero.json", "notes.txt", "old.mesh.png"]);
}

#[test]
fn files_beside_the_main_one_go_where_it_goes() {
    let folder = folder("files_beside");
    let (a, b) = (folder.join("hero.png"), folder.join("hero.v2.png"));
    fs::copy(corpus(HEART), &a).unwrap();
    fs::copy(corpus(STAR), &b).unwrap();
    let out = folder.join("out");
    let args = [a.as_os_str(), b.as_os_str(), "-f".as_ref(), "obj".as_ref(), "-o".as_ref(), out.as_os_str()];
    assert_eq!(expect_status(&mesh(args), 0), "spinelift: 2 of 2 images done\n");
    assert_eq!(names(&out), ["hero.mtl", "hero.obj", "hero.v2.mtl", "hero.v2.obj"]);
    assert!(fs::read_to_string(out.join("hero.v2.obj")).unwrap().contains("\nmtllib hero.v2.mtl\n"));
    assert!(fs::read_to_string(out.join("hero.v2.mtl")).unwrap().contains("\nmap_Kd hero.v2.png\n"));
    // Under another name than the image's.
    let renamed = out.join("my model.obj");
    assert_eq!(expect_status(&mesh([a.as_os_str(), "-o".as_ref(), renamed.as_os_str()]), 0), "");
    assert!(fs::read_to_string(&renamed).unwrap().contains("\nmtllib my model.mtl\n"));
    assert!(out.join("my model.mtl").exists());
}

#[test]
fn a_stream_has_nothing_beside_it_and_says_so() {
    let heart = corpus(HEART);
    let output = mesh([heart.as_os_str(), "-f".as_ref(), "obj".as_ref()]);
    let text = expect_status(&output, 0);
    assert_eq!(text, "spinelift: left out: the materials, NAME.mtl; add -o NAME.obj to get both\n");
    assert!(String::from_utf8(output.stdout).unwrap().contains("\nmtllib tiny-heart-16.mtl\n"));
    let quiet = mesh([heart.as_os_str(), "-f".as_ref(), "obj".as_ref(), "-q".as_ref()]);
    assert_eq!(expect_status(&quiet, 0), "");
}

#[test]
fn files_beside_are_planned_like_the_main_ones() {
    let folder = folder("beside_planned");
    // An image that is called as the materials would be.
    let odd = folder.join("hero.mtl");
    fs::copy(corpus(HEART), &odd).unwrap();
    let text = expect_status(&mesh([odd.as_os_str(), "-o".as_ref(), folder.join("hero.obj").as_os_str()]), 2);
    assert!(text.contains("hero.mtl is an input and would be overwritten"), "{text}");
    assert_eq!(fs::read(&odd).unwrap(), fs::read(corpus(HEART)).unwrap());
    // Materials under the main file's name.
    let text = expect_status(
        &mesh([
            corpus(HEART).as_os_str(),
            "-f".as_ref(),
            "obj".as_ref(),
            "-o".as_ref(),
            folder.join("x.mtl").as_os_str(),
        ]),
        2,
    );
    assert!(text.contains("x.mtl is what a file beside the result is called; give an -o that ends in .obj"), "{text}");
}

#[test]
fn contact_sheets_show_every_image_of_a_run() {
    let folder = folder("contact_sheet");
    fs::copy(corpus(HEART), folder.join("a <b>.png")).unwrap();
    fs::write(folder.join("broken.png"), "no image").unwrap();
    let (page, picture) = (folder.join("sheets/all.html"), folder.join("sheets/all.png"));
    for sheet in [&page, &picture] {
        let out = folder.join("out");
        let args = [folder.as_os_str(), "-o".as_ref(), out.as_os_str(), "--contact-sheet".as_ref(), sheet.as_os_str()];
        let text = expect_status(&mesh(args), 3);
        assert!(text.contains("1 of 2 images failed"), "{text}");
        assert_eq!(names(&out), ["a <b>.json"]);
    }
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.contains("<h2>a &lt;b&gt;.png</h2>") && text.contains("<dt>vertices<dd>9"), "{text}");
    assert!(text.contains("<p>the file is not an image SpineLift reads"), "{text}");
    assert!(fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    // Nothing is replaced by it, and its name says what it is.
    let heart = folder.join("a <b>.png");
    for (sheet, reason) in [(heart.as_path(), "is an input"), (Path::new("all.gif"), "a .png or a .html file")] {
        let args = [heart.as_os_str(), "--contact-sheet".as_ref(), sheet.as_os_str()];
        assert!(expect_status(&mesh(args), 2).contains(reason));
    }
    let same = folder.join("same.mesh.png");
    let args = [heart.as_os_str(), "-o".as_ref(), same.as_os_str(), "--contact-sheet".as_ref(), same.as_os_str()];
    assert!(expect_status(&mesh(args), 2).contains("is one of the results"));
    assert_eq!(fs::read(&heart).unwrap(), fs::read(corpus(HEART)).unwrap());
}

#[test]
fn a_contact_sheet_is_no_page_of_an_atlas() {
    let folder = folder("sheet_or_page");
    let skeleton = folder.join("hero.spine.json");
    for page in ["hero.spine.atlas.png", "hero.spine.ATLAS-2.png"] {
        let (heart, star, page) = (corpus(HEART), corpus(STAR), folder.join(page));
        let args = [heart.as_os_str(), star.as_os_str(), "-o".as_ref(), skeleton.as_os_str()];
        let text = expect_status(&mesh([&args[..], &["--contact-sheet".as_ref(), page.as_os_str()]].concat()), 2);
        assert!(text.contains("is the name of an atlas's page; give the contact sheet another"), "{text}");
    }
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn one_files_name_is_refused_for_several_images() {
    let folder = folder("one_name");
    for name in ["all.json", "all.svg", "all.mesh.png", "ALL.GLB"] {
        let (heart, star, to) = (corpus(HEART), corpus(STAR), folder.join(name));
        let text = expect_status(&mesh([heart.as_os_str(), star.as_os_str(), "-o".as_ref(), to.as_os_str()]), 2);
        assert!(
            text.contains("is the name of one file, but there is a result for each image; give -o a folder"),
            "{text}"
        );
    }
    assert_eq!(names(&folder), [""; 0]);
    // A name that no result has is a folder's.
    let to = folder.join("v1.2");
    expect_status(&mesh([corpus(HEART).as_os_str(), corpus(STAR).as_os_str(), "-o".as_ref(), to.as_os_str()]), 0);
    assert_eq!(names(&to), ["tiny-heart-16.json", "tiny-star-12.json"]);
}

#[test]
fn meshes_that_runtimes_cannot_draw_are_named() {
    let folder = folder("runtimes");
    let octopus = corpus("limbs-octopus-512.png");
    let run = |to: &str| {
        let to = folder.join(to);
        let fine = ["--set", "internal_vertex_density=30", "--set", "density_scaling_factor=1000"].map(OsStr::new);
        let args = [octopus.as_os_str(), "-o".as_ref(), to.as_os_str()];
        expect_status(&mesh([&args[..], &fine].concat()), 0)
    };
    let text = run("a.spine.json");
    assert!(
        text.contains("triangles, and Spine's runtimes for browsers draw 10920 of one mesh; lower internal_ver"),
        "{text}"
    );
    assert_eq!((run("a.glb"), run("a.obj"), run("a.json")), Default::default(), "these hold it");
}

#[test]
fn inputs_are_never_overwritten() {
    let folder = folder("inputs_are_kept");
    let (hero, drawn) = (folder.join("hero.png"), folder.join("hero.mesh.png"));
    fs::copy(corpus(HEART), &hero).unwrap();
    fs::copy(corpus(STAR), &drawn).unwrap();
    let text = expect_status(&mesh([hero.as_os_str(), "-o".as_ref(), hero.as_os_str()]), 2);
    assert!(text.contains("is an input and would be overwritten"), "{text}");
    let both = [hero.as_os_str(), drawn.as_os_str(), "--format".as_ref(), "png".as_ref()];
    expect_status(&mesh(both), 2);
    assert_eq!(fs::read(&hero).unwrap(), fs::read(corpus(HEART)).unwrap());
    assert_eq!(fs::read(&drawn).unwrap(), fs::read(corpus(STAR)).unwrap());
    let parameters = folder.join("parameters.json");
    fs::write(&parameters, "{}").unwrap();
    let file = parameters.as_os_str();
    let args = [hero.as_os_str(), "--params".as_ref(), file, "-o".as_ref(), file];
    assert!(expect_status(&mesh(args), 2).contains("is an input and would be overwritten"));
    assert_eq!(fs::read(&parameters).unwrap(), b"{}");
}

#[test]
fn equal_result_names_are_told_apart_or_refused() {
    let folder = folder("equal_names");
    let [a, b, out] = ["a", "b", "out"].map(|name| folder.join(name));
    fs::create_dir(&a).unwrap();
    fs::create_dir(&b).unwrap();
    fs::copy(corpus(HEART), a.join("hero.png")).unwrap();
    fs::copy(corpus(STAR), a.join("hero.webp")).unwrap();
    fs::copy(corpus(STAR), b.join("hero.png")).unwrap();
    let text = expect_status(&mesh([a.as_os_str(), b.as_os_str(), "-o".as_ref(), out.as_os_str()]), 2);
    assert!(text.contains("would both be written to") && !out.exists(), "{text}");
    expect_status(&mesh([a.as_os_str(), "-o".as_ref(), out.as_os_str()]), 0);
    assert_eq!(names(&out), ["hero.png.json", "hero.webp.json"]);
}

#[test]
fn usage_errors_exit_with_2_and_say_what_to_do() {
    let heart = corpus(HEART);
    let heart = heart.to_str().unwrap();
    let empty = folder("usage");
    let empty = empty.to_str().unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&[], "IMAGE"),
        (&[heart, "--format", "gif"], "json, outline, svg, png"),
        (
            &[heart, "--set", "detail_factor=9", "--set", "binary_threshold=x"],
            "detail_factor is 9, must be a number from 0.001 to 0.05; binary_threshold is \"x\", must be a whole number from 0 to 255",
        ),
        (&[heart, "--set", "detail_factor"], "NAME=VALUE"),
        (&[heart, "--params", "nowhere.json"], "nowhere.json cannot be read"),
        (&[heart, "--params", heart], "is not JSON"),
        (&[heart, "--jobs", "0"], "a whole number from 1 to 256"),
        (&[heart, "--jobs", "5000"], "a whole number from 1 to 256"),
        (&[heart, "--set", "detail_factor"], "an assignment is \"detail_factor\""),
        (&[heart, "--repeat", "3"], "--timings"),
        (&[heart, "-o", "-", heart, "x.png"], "standard output takes one image"),
        (&["-", "-"], "standard input can be read once"),
        (&[empty], "no images"),
        (&[heart, "other.png", "-o", heart], "is a file; several results need a folder"),
        (&[heart, "-o", "hero.jpg"], "no format goes by the name hero.jpg; end it in .json, "),
        (&[heart, "-o", &format!("{heart}/a.json")], "cannot create the folder"),
    ];
    for (args, message) in cases {
        let output = mesh(*args);
        let text = expect_status(&output, 2);
        assert!(text.contains(message), "{args:?}: {text}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_missing_file_is_a_failed_image() {
    let text = expect_status(&mesh(["nowhere.png"]), 3);
    assert!(text.starts_with("spinelift: nowhere.png: cannot be opened: "), "{text}");
}

#[test]
fn too_large_images_are_refused_with_value_and_limit() {
    let text = expect_status(&mesh([corpus(BALL).as_os_str(), "--max-dimension".as_ref(), "71".as_ref()]), 3);
    assert!(text.contains("72") && text.contains("the limit is 71") && text.contains("with --max-dimension"), "{text}");
}

#[test]
fn parameters_come_from_the_file_and_assignments_win() {
    let file = folder("parameters").join("rig.json");
    // With a byte order mark, as editors on Windows write it.
    let text = r#"{"detail_factor": "0.02", "concave_factor": null, "blur_kernel_size": 4, "binary_threshold": 999}"#;
    fs::write(&file, format!("\u{feff}{text}")).unwrap();
    let set = ["--set", "binary_threshold=100", "--set", "min_contour_area=5"].map(OsStr::new);
    let path = corpus(HEART);
    let output = mesh([path.as_os_str(), "--params".as_ref(), file.as_os_str()].into_iter().chain(set));
    expect_status(&output, 0);
    let result = json(&output.stdout);
    let parameters = &result["metadata"]["parameters"];
    assert_eq!(parameters["detail_factor"], 0.02);
    assert_eq!(parameters["binary_threshold"], 100);
    assert_eq!(parameters["blur_kernel_size"], 4);
    assert_eq!(parameters["min_contour_area"], 5.0);
    assert_eq!(parameters["concave_factor"], 0.0);
}

#[test]
fn unknown_parameters_are_warned_about_unless_quiet() {
    let path = corpus(HEART);
    let args = [path.as_os_str(), "--set".as_ref(), "blur_size=3".as_ref()];
    let output = mesh(args);
    let text = expect_status(&output, 0);
    assert!(text.starts_with("spinelift: warning: ") && text.contains("blur_kernel_size"), "{text}");
    let result = json(&output.stdout);
    assert!(result["metadata"]["warnings"][0].as_str().unwrap().contains("blur_kernel_size"));
    assert_eq!(expect_status(&mesh(args.into_iter().chain(["-q".as_ref()])), 0), "");
}

#[test]
fn timings_are_one_line_an_image_with_every_stage_in_order() {
    let (heart, ball) = (corpus(HEART), corpus(BALL));
    let out = folder("timings");
    let args = ["--timings", "--repeat", "3", "--quiet", "-o"].map(OsStr::new);
    let output = mesh([heart.as_os_str(), ball.as_os_str()].into_iter().chain(args).chain([out.as_os_str()]));
    let text = expect_status(&output, 0);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    for (line, name) in lines.iter().zip([HEART, BALL]) {
        let value = json(line.as_bytes());
        assert_eq!(value["image"], name);
        let keys = ["decode", "mask", "contour", "simplify", "triangulate", "uvs", "edges", "export", "total"];
        let places = keys.map(|key| line.find(&format!("\"{key}\":")).unwrap());
        assert!(places.is_sorted(), "{line}");
        assert!(keys.iter().all(|key| value["ms"][key].as_f64().unwrap() >= 0.0), "{line}");
        assert!(value["ms"]["total"].as_f64().unwrap() > 0.0 && value["sha256_ms"].is_number(), "{line}");
    }
    assert_eq!(names(&out).len(), 2, "the results are written too");
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let folder = folder("threads");
    let images = [HEART, BALL, STAR, "noto-dragon-136.png", "hole-ring-512.png"].map(corpus);
    let results = ["1", "2", "7"].map(|jobs| {
        let out = folder.join(jobs);
        let args = ["--set", "internal_vertex_density=10", "--jobs", jobs, "-o"].map(OsStr::new);
        expect_status(&mesh(images.iter().map(|path| path.as_os_str()).chain(args).chain([out.as_os_str()])), 0);
        names(&out).iter().map(|name| fs::read(out.join(name)).unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(results[0].len(), 5);
    assert!(results[0] == results[1] && results[1] == results[2]);
}

#[test]
fn a_closed_reader_is_no_failure() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinelift"));
    command.args(["mesh", "--set", "internal_vertex_density=50"]).arg(corpus("hole-ring-512.png"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(expect_status(&child.wait_with_output().unwrap(), 0), "");
}

#[cfg(unix)]
#[test]
fn devices_are_written_to_and_stay_devices() {
    use std::os::unix::fs::FileTypeExt;
    let output = mesh([corpus(HEART).as_os_str(), corpus(STAR).as_os_str(), "-o".as_ref(), "/dev/null".as_ref()]);
    expect_status(&output, 0);
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    let full = mesh([corpus(HEART).as_os_str(), "-o".as_ref(), "/dev/full".as_ref()]);
    assert!(expect_status(&full, 3).contains("cannot write /dev/full"));
}

#[cfg(unix)]
#[test]
fn linked_results_stay_links() {
    let folder = folder("links");
    let (real, link) = (folder.join("real.json"), folder.join("link.json"));
    fs::write(&real, "").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    expect_status(&mesh([corpus(HEART).as_os_str(), "-o".as_ref(), link.as_os_str()]), 0);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read(&real).unwrap().starts_with(b"{"));
}

#[test]
fn help_names_every_parameter_format_and_exit_status() {
    let output = mesh(["--help"]);
    expect_status(&output, 0);
    let text = String::from_utf8(output.stdout).unwrap();
    for row in &PARAMETERS {
        let start = format!("  {} ", row.name);
        // A format may have the name of a parameter.
        let line =
            text.lines().skip_while(|line| !line.starts_with("Parameters")).find(|l| l.starts_with(&start)).unwrap();
        let (range, default) = (row.range(), row.default_value());
        assert!(line.contains(&range) && line.contains(&default) && text.contains(row.effect), "{line}");
    }
    assert!(FORMATS.iter().all(|format| text.contains(format.about)));
    assert!(["Exit status:", "Examples:", "--timings", "sha256_ms"].iter().all(|part| text.contains(part)));
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = spinelift(["completions", shell]);
        expect_status(&output, 0);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains("spinelift") && script.contains("timings"), "{shell}");
    }
}

/// A folder with a heart, a star and a ball in it.
fn parts(test: &str) -> PathBuf {
    let folder = folder(test);
    for (name, image) in [("a.png", HEART), ("b.png", STAR), ("c.png", BALL)] {
        fs::copy(corpus(image), folder.join(name)).unwrap();
    }
    folder
}

#[test]
fn several_images_and_the_name_of_a_skeleton_give_one_skeleton_with_its_atlas() {
    let folder = parts("skeleton");
    let skeleton = folder.join("out/hero.spine.json");
    let args = [folder.as_os_str(), "-o".as_ref(), skeleton.as_os_str()];
    assert_eq!(expect_status(&mesh(args), 0), "spinelift: 3 of 3 images done\n");
    assert_eq!(names(&folder.join("out")), ["hero.spine.atlas", "hero.spine.atlas.png", "hero.spine.json"]);
    let value: Value = serde_json::from_slice(&fs::read(&skeleton).unwrap()).unwrap();
    let slots: Vec<&str> =
        value["slots"].as_array().unwrap().iter().map(|slot| slot["name"].as_str().unwrap()).collect();
    assert_eq!(slots, ["a", "b", "c"]);
    // The pages are not images of the next run over the same folder.
    let beside = folder.join("hero.spine.json");
    for _ in 0..2 {
        let args = [folder.as_os_str(), "-o".as_ref(), beside.as_os_str()];
        assert_eq!(expect_status(&mesh(args), 0), "spinelift: 3 of 3 images done\n");
    }
    assert_eq!(fs::read(&beside).unwrap(), fs::read(&skeleton).unwrap());
    let named = folder.join("named.json");
    let args = [folder.as_os_str(), "--format".as_ref(), "dragonbones".as_ref(), "-o".as_ref(), named.as_os_str()];
    expect_status(&mesh(args), 0);
    assert!(folder.join("named.tex.json").is_file() && folder.join("named.dragonbones.atlas.png").is_file());
}

#[test]
fn a_folder_as_output_still_gives_each_image_its_own_skeleton() {
    let folder = parts("skeleton_each");
    let out = folder.join("out");
    let args = [folder.as_os_str(), "--format".as_ref(), "spine38".as_ref(), "-o".as_ref(), out.as_os_str()];
    expect_status(&mesh(args), 0);
    let each = |name: &str| [format!("{name}.spine38.atlas"), format!("{name}.spine38.json")];
    assert_eq!(names(&out), ["a", "b", "c"].map(each).concat());
    assert!(fs::read_to_string(out.join("a.spine38.atlas")).unwrap().starts_with("\na.png\nsize: 16, 16\n"));
}

#[test]
fn a_skeleton_lacks_the_image_that_failed_and_says_so() {
    let folder = parts("skeleton_failed");
    fs::write(folder.join("b.png"), b"GIF89a").unwrap();
    let skeleton = folder.join("hero.spine.json");
    let text = expect_status(&mesh([folder.as_os_str(), "-o".as_ref(), skeleton.as_os_str()]), 3);
    assert!(text.contains("b.png: the GIF image cannot be read") && text.contains("1 of 3 images failed"), "{text}");
    let value: Value = serde_json::from_slice(&fs::read(&skeleton).unwrap()).unwrap();
    assert_eq!(value["slots"].as_array().unwrap().len(), 2);
    for name in ["a.png", "c.png"] {
        fs::write(folder.join(name), b"").unwrap();
    }
    let none = folder.join("none.spine.json");
    expect_status(&mesh([folder.as_os_str(), "-o".as_ref(), none.as_os_str()]), 3);
    assert!(!none.exists(), "nothing is not a skeleton");
}

#[test]
fn what_does_not_go_with_a_skeleton_is_refused() {
    let folder = parts("skeleton_refused");
    let skeleton = folder.join("hero.spine.json");
    let refused = |more: &[&OsStr], reason: &str| {
        let args = [&[folder.as_os_str()][..], more].concat();
        let text = expect_status(&mesh(args), 2);
        assert!(text.contains(reason), "{text}");
    };
    let (output, name): (&OsStr, _) = ("-o".as_ref(), skeleton.as_os_str());
    refused(&["--loose".as_ref()], "--loose goes with one skeleton");
    refused(&["--loose".as_ref(), output, folder.join("x.json").as_os_str()], "--loose goes with one skeleton");
    refused(&["--timings".as_ref(), output, name], "--timings does not go with one skeleton");
    // A loose image would lie where an image is read.
    fs::create_dir(folder.join("hero-images")).unwrap();
    fs::copy(corpus(STAR), folder.join("hero-images/a.png")).unwrap();
    let own = folder.join("hero-images/a.png");
    refused(&[own.as_os_str(), "--loose".as_ref(), output, name], "is an input and would be overwritten");
    assert!(!skeleton.exists());
}
