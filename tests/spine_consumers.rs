//! Skeletons for Spine 4.2, Spine 3.8 and DragonBones in the runtimes that read them: loaded, posed, their root bone
//! moved, and drawn in headless Chromium, each compared with the meshes and the images.
//!
//! Needs node, npm (which fetches the runtimes, see `tests/consumers/spine`) and Chromium. Where one is missing the test
//! says so and passes, but never with CI=true.

#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and says what it skips")]

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use spinelift::decode::{self, Limits};
use spinelift::export::{self, Atlas, Blend, Format, Part, RIG_FORMATS, Region, Rig, RigFormat, Source};
use spinelift::mesh::{self, Mesh, MeshLimits, MeshParameters};

const SCRIPTS: [&str; 6] = ["package.json", "expected.mjs", "load.mjs", "names.mjs", "draw.mjs", "runtimes.mjs"];

/// The runtime that reads a format, as the scripts call it.
fn runtime(format: &RigFormat) -> &'static str {
    match format.name {
        "spine" => "spine42",
        "spine38" => "spine38",
        _ => "dragonbones",
    }
}

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus").join(name)
}

/// An empty folder of the test's own.
fn folder(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skeletons").join(test);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn is_here(program: &str) -> bool {
    let here = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(here || std::env::var_os("CI").is_none(), "{program} is missing, and CI=true skips nothing");
    if !here {
        eprintln!("skipped: {program} is not here");
    }
    here
}

/// The scripts with their packages, installed once; `None` where node or npm is missing.
fn scripts() -> Option<&'static Path> {
    static SCRIPTS_HERE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let install = || {
        let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skeleton-consumers");
        fs::create_dir_all(&to).unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/consumers/spine");
        if !is_here("node") || !is_here("npm") {
            return None;
        }
        let read = |path: &Path| fs::read(path).unwrap_or_default();
        let installed = to.join("installed.json");
        for name in SCRIPTS {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
        if read(&installed) != read(&from.join("package.json")) {
            let quietly = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--legacy-peer-deps"];
            run(Command::new("npm").arg("install").args(quietly).current_dir(&to));
            fs::copy(from.join("package.json"), &installed).unwrap();
        }
        Some(to)
    };
    SCRIPTS_HERE.get_or_init(install).as_deref()
}

/// What it says on standard output; fails with everything that it says.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let [said, complained] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(output.status.success(), "{command:?}\n{said}{complained}");
    said
}

/// `spinelift mesh` in a folder.
#[track_caller]
fn spinelift(folder: &Path, args: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinelift"));
    run(command.arg("mesh").args(args).current_dir(folder));
}

const FINE: [&str; 4] = ["--set", "detail_factor=0.05", "--set", "internal_vertex_density=1"];

fn build(image: &[u8], parameters: &MeshParameters) -> Mesh {
    let plane = decode::alpha_plane(Cursor::new(image), &Limits::default(), &()).unwrap();
    mesh::build(&plane, parameters, &MeshLimits::default(), &()).unwrap()
}

fn case(name: &str, format: &RigFormat, canvas: [u32; 2], parts: &[Value]) -> Value {
    let beside = |extension: &str| format!("{name}.{extension}");
    let of_spine = format.extension.replace("json", "atlas");
    let atlas = beside(if format.name == "dragonbones" { "tex.json" } else { &of_spine });
    json!({ "name": name, "runtime": runtime(format), "skeleton": beside(format.extension), "atlases": [atlas],
        "canvas": canvas, "parts": parts })
}

/// One image of its own, its file as the page.
fn single(folder: &Path) -> Vec<Value> {
    fs::copy(corpus("limbs-octopus-512.png"), folder.join("octopus.png")).unwrap();
    spinelift(folder, &[&["octopus.png", "-o", "octopus.json"][..], &FINE].concat());
    let part = json!({ "name": "octopus", "image": "octopus.png", "mesh": "octopus.json", "offset": [0, 0] });
    let write = |format: &RigFormat| {
        let name = format!("octopus.{}", format.extension);
        spinelift(folder, &[&["octopus.png", "-o", &name][..], &FINE].concat());
        case("octopus", format, [512, 512], std::slice::from_ref(&part))
    };
    RIG_FORMATS.iter().map(write).collect()
}

/// A folder of images of several sizes, packed by the command. Names are in draw order.
fn several(folder: &Path) -> Vec<Value> {
    let images =
        [("a", "limbs-octopus-512.png", 512), ("b", "limb-hand-512.png", 512), ("c", "grayalpha-ghost-256.png", 256)];
    let more = [("d", "webp-lizard-256.webp", 256), ("e", "convex-ball-72.png", 72), ("f", "tiny-star-12.png", 12)];
    fs::create_dir(folder.join("parts")).unwrap();
    let mut parts = Vec::new();
    for (name, image, size) in images.into_iter().chain(more) {
        let extension = image.rsplit_once('.').unwrap().1;
        fs::copy(corpus(image), folder.join(format!("parts/{name}.{extension}"))).unwrap();
        parts.push(json!({ "name": name, "image": format!("parts/{name}.{extension}"),
            "mesh": format!("meshes/{name}.json"), "offset": [(512 - size) / 2, (512 - size) / 2] }));
    }
    spinelift(folder, &[&["parts", "-o", "meshes"][..], &FINE].concat());
    let write = |format: &RigFormat| {
        let name = format!("party.{}", format.extension);
        spinelift(folder, &[&["parts", "-o", &name, "--format", format.name][..], &FINE].concat());
        case("party", format, [512, 512], &parts)
    };
    RIG_FORMATS.iter().map(write).collect()
}

/// Two islands in one mesh, half seen, off the canvas's corner, behind another part, each on a page of its own: what
/// layers of a PSD bring.
fn layers(folder: &Path) -> Vec<Value> {
    layered(folder, "layers", [Blend::Normal, Blend::Normal])
}

/// The same with other blend modes, which not every runtime draws.
fn blends(folder: &Path) -> Vec<Value> {
    [
        layered(folder, "dark", [Blend::Multiply, Blend::Screen]),
        layered(folder, "light", [Blend::Normal, Blend::Additive]),
    ]
    .concat()
}

fn layered(folder: &Path, name: &str, blends: [Blend; 2]) -> Vec<Value> {
    let [feet, star] = ["islands-footprints-512.png", "tiny-star-12.png"].map(|name| fs::read(corpus(name)).unwrap());
    let parameters = MeshParameters { detail_factor: 0.05, ..MeshParameters::default() };
    let mut islands = build(&feet, &parameters);
    add_island(&mut islands, [[40.0, 200.0], [110.0, 440.0], [190.0, 300.0]]);
    let small = build(&star, &parameters);
    let parts = [
        Part { name: "feet", mesh: &islands, offset: [41.0, -3.0], opacity: 0.5, blend: blends[0] },
        Part { name: "star", mesh: &small, offset: [300.0, 100.0], opacity: 1.0, blend: blends[1] },
    ];
    let rig = Rig { name, canvas: [553, 509], parts: &parts, images: "./" };
    let images = [feet, star];
    let describe = |part: &Part<'_>, image: &[u8]| {
        fs::write(folder.join(format!("{}.png", part.name)), image).unwrap();
        let text = (Format::named("json").unwrap().write)(part.mesh, &Source::default()).unwrap();
        fs::write(folder.join(format!("{}.json", part.name)), text).unwrap();
        json!({ "name": part.name, "image": format!("{}.png", part.name), "mesh": format!("{}.json", part.name),
            "offset": part.offset, "opacity": part.opacity, "blend": format!("{:?}", part.blend).to_lowercase() })
    };
    let described: Vec<Value> = parts.iter().zip(&images).map(|(part, image)| describe(part, image)).collect();
    RIG_FORMATS.iter().map(|format| write_rig(folder, format, &rig, &images, &described)).collect()
}

/// A rig's files in a folder, every part on a page of its own.
fn write_rig(folder: &Path, format: &RigFormat, rig: &Rig<'_>, images: &[Vec<u8>], described: &[Value]) -> Value {
    let mut atlas = Atlas { pages: Vec::new(), regions: Vec::new() };
    for part in rig.parts {
        let alone = Atlas::packed(std::slice::from_ref(part));
        atlas.regions.push(Region { page: atlas.pages.len(), ..alone.regions[0] });
        atlas.pages.push(alone.pages[0]);
    }
    let named = |extension: &str| format!("{}.{extension}", rig.name);
    let pages: Vec<String> = (0..atlas.pages.len()).map(|page| named(&format.page_extension(page))).collect();
    for (name, page) in pages.iter().zip(0..) {
        let picture = |index: usize| decode::rgba(Cursor::new(&images[index]), &Limits::default(), &());
        fs::write(folder.join(name), atlas.paint(page, picture).unwrap()).unwrap();
    }
    let mut case = case(rig.name, format, rig.canvas, described);
    let files = (format.atlas)(rig, &atlas, &pages).unwrap();
    case["atlases"] = files.iter().map(|file| named(&file.extension)).collect();
    for file in files {
        fs::write(folder.join(named(&file.extension)), file.bytes).unwrap();
    }
    let skeleton = (format.skeleton)(rig, Some(&atlas)).unwrap();
    fs::write(folder.join(named(format.extension)), skeleton).unwrap();
    case
}

/// A second component by hand: one triangle.
fn add_island(mesh: &mut Mesh, corners: [[f64; 2]; 3]) {
    let (first_vertex, first_triangle) = (mesh.vertices.len() as u32, mesh.triangles.len() as u32);
    let [a, b, c] = [first_vertex, first_vertex + 1, first_vertex + 2];
    mesh.vertices.extend(corners);
    mesh.uvs.extend(corners.map(|[x, y]| [x / f64::from(mesh.width), y / f64::from(mesh.height)]));
    mesh.triangles.push([a, b, c]);
    mesh.boundary_edges.extend([[a, b], [b, c], [a, c]]);
    let mut component = mesh.components[0];
    component.first_vertex = first_vertex;
    component.hull_length = 3;
    component.vertex_count = 3;
    component.first_triangle = first_triangle;
    component.triangle_count = 1;
    mesh.components.push(component);
}

/// Writes the skeletons of one kind into a folder and describes them.
type Write = fn(&Path) -> Vec<Value>;

fn consumed_by(script: &str, test: &str) {
    let Some(scripts) = scripts() else { return };
    let mut all = Vec::new();
    let folder = folder(test);
    let kinds: [(&str, Write); 4] = [("single", single), ("several", several), ("layers", layers), ("blends", blends)];
    for (name, write) in kinds {
        let own = folder.join(name);
        fs::create_dir(&own).unwrap();
        fs::write(own.join("cases.json"), Value::from(write(&own)).to_string()).unwrap();
        all.push(run(Command::new("node").arg(scripts.join(script)).arg(own.join("cases.json"))));
    }
    eprintln!("{}", all.concat());
    let counted = all.concat().lines().filter(|line| line.ends_with("equal")).count();
    assert_eq!(counted, if script == "load.mjs" { 5 } else { 9 });
}

#[test]
fn the_official_runtime_loads_and_poses_every_skeleton() {
    consumed_by("load.mjs", "load");
}

/// The names that the official runtime reads of a skeleton and its atlas.
#[track_caller]
fn names_read(folder: &Path, scripts: &Path, name: &str) -> Value {
    let mut node = Command::new("node");
    let [atlas, skeleton] = ["atlas", "json"].map(|ending| folder.join(format!("{name}.spine.{ending}")));
    serde_json::from_str(&run(node.arg(scripts.join("names.mjs")).args([atlas, skeleton]))).unwrap()
}

#[test]
#[cfg(unix)] // where such names of files are allowed
fn the_official_runtime_reads_every_name() {
    let Some(scripts) = scripts() else { return };
    let folder = folder("names");
    // Layers of all names, under a name that a line of an atlas cannot begin with.
    let psd = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/psd/names.psd");
    spinelift(&folder, &[psd.to_str().unwrap(), "-o", " size: 1.spine.json"]);
    let read = names_read(&folder, scripts, " size: 1");
    assert_eq!(read["pages"], json!(["_size_ 1.spine.atlas.png"]));
    assert!(folder.join("_size_ 1.spine.atlas.png").exists());
    assert_eq!(read["slots"].as_array().unwrap().len(), 9);
    assert_eq!(read["slots"], read["regions"]);
    // An image whose own name is no line of an atlas: it says what to rename it to.
    fs::copy(corpus("tiny-star-12.png"), folder.join("a: star.png")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinelift"));
    let output = command.args(["mesh", "a: star.png", "-o", "star.spine.json"]).current_dir(&folder).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains(r#"cannot hold the name "a: star.png" and says "a_ star.png"; rename the image"#), "{told}");
    let read = names_read(&folder, scripts, "star");
    assert_eq!(read, json!({ "pages": ["a_ star.png"], "regions": ["a_ star"], "slots": ["a_ star"] }));
}

#[test]
fn every_runtime_draws_the_images() {
    if is_here(&std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".into())) {
        consumed_by("draw.mjs", "draw");
    }
}

#[test]
fn loose_images_lie_under_the_names_that_the_skeleton_says() {
    let folder = folder("loose");
    fs::copy(corpus("tiny-star-12.png"), folder.join("star.png")).unwrap();
    fs::copy(corpus("webp-lizard-256.webp"), folder.join("lizard.webp")).unwrap();
    spinelift(&folder, &["star.png", "lizard.webp", "--loose", "-o", "out/hero.spine.json"]);
    let skeleton: Value = serde_json::from_slice(&fs::read(folder.join("out/hero.spine.json")).unwrap()).unwrap();
    assert_eq!(skeleton["skeleton"]["images"], "./hero-images/");
    let attachments = skeleton["skins"][0]["attachments"].as_object().unwrap();
    for (slot, attachment) in attachments {
        let path = attachment[slot]["path"].as_str().unwrap();
        let image = fs::read(folder.join(format!("out/hero-images/{path}.png"))).unwrap();
        let picture = decode::rgba(Cursor::new(&image), &Limits::default(), &()).unwrap();
        assert_eq!(u64::from(picture.width()), attachment[slot]["width"].as_u64().unwrap());
    }
    let star = fs::read(folder.join("out/hero-images/star.png")).unwrap();
    assert_eq!(star, fs::read(corpus("tiny-star-12.png")).unwrap(), "a PNG is copied as it is");
    assert!(!folder.join("out/hero.spine.atlas").exists());
    assert_eq!(export::names(["star", "lizard"]), ["star", "lizard"]);
}
