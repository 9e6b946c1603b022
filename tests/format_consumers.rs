//! Exported files as their own consumers read them: GLB by Khronos' validator, OBJ by an independent reader, scenes by
//! Godot. What a consumer needs is said where it is missing; with CI=true nothing is skipped.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers too")]
#![expect(clippy::print_stdout, reason = "what is skipped is said")]

#[path = "format_consumers/any_mesh.rs"]
mod any_mesh;
#[path = "format_consumers/glb.rs"]
mod glb;
#[path = "format_consumers/godot.rs"]
mod godot;
#[path = "format_consumers/obj.rs"]
mod obj;
#[path = "mesh_properties/shapes.rs"]
mod shapes;

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use spinelift::decode::{Limits, alpha_plane};
use spinelift::export::{Format, Source};
use spinelift::mesh::{Mesh, MeshLimits, MeshParameters, build};

/// A mesh with the image it was made from.
struct Sprite {
    /// The image's name, of which a stranger could have thought.
    name: &'static str,
    stem: &'static str,
    image: Vec<u8>,
    mesh: Mesh,
}

impl Sprite {
    fn new(file: &str, name: &'static str, internal_vertex_density: u32) -> Self {
        let image = fs::read(root().join("testdata/corpus").join(file)).unwrap();
        let plane = alpha_plane(Cursor::new(&image), &Limits::default(), &()).unwrap();
        let parameters = MeshParameters { internal_vertex_density, ..MeshParameters::default() };
        let mesh = build(&plane, &parameters, &MeshLimits::default(), &()).unwrap();
        Self { name, stem: name.rsplit_once('.').unwrap().0, image, mesh }
    }

    fn source(&self) -> Source<'_> {
        Source { name: self.name, stem: self.stem, bytes: Some(&self.image), ..Source::default() }
    }

    fn written(&self, format: &str) -> Vec<u8> {
        (Format::named(format).unwrap().write)(&self.mesh, &self.source()).unwrap()
    }
}

/// Plain, refined, of two parts; every kind of image, and names with what names may have.
fn sprites() -> Vec<Sprite> {
    let mut sprites = vec![
        Sprite::new("tiny-heart-16.png", "heart.png", 0),
        Sprite::new("limbs-octopus-512.png", "my octopus.v2.png", 20),
        Sprite::new("webp-lizard-256.webp", "lizard's \"tail\" & 100%#1.webp", 0),
        Sprite::new("opaque-photo-jpeg-city.jpg", "St\u{e4}dte \u{4e2d}.jpg", 3),
        Sprite::new("png16bit-fish-512.png", "fish.png", 0),
    ];
    let mut pair = Sprite::new("tiny-star-12.png", "pair of stars.png", 6);
    pair.mesh = two_parts(&pair.mesh);
    sprites.push(pair);
    sprites
}

/// The mesh twice, one half the size beside the other, as parts of one.
fn two_parts(mesh: &Mesh) -> Mesh {
    let mut pair = mesh.clone();
    let count = mesh.vertices.len() as u32;
    let moved = mesh.vertices.iter().map(|[x, y]| [x / 2.0, y / 2.0]);
    pair.vertices.extend(moved);
    let size = [f64::from(mesh.width), f64::from(mesh.height)];
    pair.uvs = pair.vertices.iter().map(|[x, y]| [x / size[0], y / size[1]]).collect();
    pair.triangles.extend(mesh.triangles.iter().map(|triangle| triangle.map(|index| index + count)));
    pair.boundary_edges.extend(mesh.boundary_edges.iter().map(|edge| edge.map(|index| index + count)));
    pair.internal_edges.extend(mesh.internal_edges.iter().map(|edge| edge.map(|index| index + count)));
    pair.boundary_indices.extend(mesh.boundary_indices.iter().map(|index| index + count));
    let mut second = mesh.components[0];
    second.first_vertex = count;
    second.first_triangle = mesh.triangles.len() as u32;
    pair.components.push(second);
    pair
}

/// The corners of each triangle in px of image space.
fn corners(mesh: &Mesh) -> Vec<[[f64; 2]; 3]> {
    mesh.triangles.iter().map(|triangle| triangle.map(|index| mesh.vertices[index as usize])).collect()
}

/// What single precision leaves off coordinates from either side of the image, px.
fn single_precision(mesh: &Mesh) -> f64 {
    f64::from(f32::EPSILON) * f64::from(mesh.width.max(mesh.height))
}

/// Whether a mesh's triangles were got in the same order, whichever way round and whichever corner first, but for what
/// rounding leaves off, px.
fn same_triangles(mesh: &Mesh, got: &[[[f64; 2]; 3]], rounding: f64) -> bool {
    let expected = corners(mesh);
    const WAYS: [[usize; 3]; 6] = [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 2, 1], [2, 1, 0], [1, 0, 2]];
    let near = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).abs().max((a[1] - b[1]).abs()) <= rounding;
    let same = |(a, b): (&[[f64; 2]; 3], &[[f64; 2]; 3])| {
        WAYS.iter().any(|way| way.iter().zip(a).all(|(&index, &corner)| near(corner, b[index])))
    };
    expected.len() == got.len() && expected.iter().zip(got).all(same)
}

/// Whether a triangle shows its front to who sees y up: it runs counter-clockwise there.
fn shows_front([a, b, c]: [[f64; 2]; 3]) -> bool {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 0.0
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A copy of a consumer's folder, for what it leaves there. What was installed there before stays.
fn consumer(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("consumers").join(name);
    fs::create_dir_all(&folder).unwrap();
    for left in fs::read_dir(&folder).unwrap() {
        let path = left.unwrap().path();
        if path.is_file() {
            fs::remove_file(path).unwrap();
        }
    }
    for file in fs::read_dir(root().join("tests/consumers").join(name)).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    folder
}

/// Whether the program runs at all, as Godot tells its version with a failure's status; where nothing may be skipped, it
/// must.
fn is_there(program: &str, install: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{program} is missing; {install}");
        println!("skipped: {program} is missing; {install}");
    }
    found
}
