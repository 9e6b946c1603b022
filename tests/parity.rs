//! The outlines and triangles of OpenCV and Triangle, as recorded in `testdata/parity` (`tests/parity/README.md`).

#![expect(clippy::expect_used, reason = "a test fails by panicking, its helpers too")]

#[path = "parity/masks.rs"]
mod masks;

use std::collections::{BTreeSet, HashMap};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use spinelift::decode::{Limits, alpha_plane};
use spinelift::mesh::{AlphaPlane, Mesh, MeshLimits, MeshParameters, Result, build};

/// Relative difference of two tolerances that counts as none: the JSON reader may be off by the last bit.
const EPSILON_TOLERANCE: f64 = 1e-12;
/// Failures that a test prints before it only counts them.
const MOST_PRINTED: usize = 20;

#[derive(Deserialize)]
struct Recording {
    image: Option<String>,
    seed: Option<u64>,
    /// The parameter set; absent on the line that has `alpha_crc32`.
    #[serde(default)]
    set: String,
    alpha_crc32: Option<u32>,
    #[serde(default)]
    failure: bool,
    #[serde(default)]
    degenerate: bool,
    contour_points: Option<usize>,
    epsilon: Option<f64>,
    outline: Option<Vec<i32>>,
    points: Option<usize>,
    crc32: Option<u32>,
    triangles: Option<Vec<usize>>,
}

#[test]
fn alpha_is_the_references_when_images_are_real() {
    report("corpus.jsonl", |recording| compare_alpha(recording, || corpus_plane(image(recording))));
}

#[test]
fn alpha_is_the_references_when_masks_are_random() {
    report("masks.jsonl", |recording| compare_alpha(recording, || masks::mask(seed(recording))));
}

#[test]
fn outlines_are_the_references_when_images_are_real() {
    let mut plane = None::<(String, AlphaPlane)>;
    let compare_next = |recording: &Recording| {
        if recording.alpha_crc32.is_some() {
            return Ok(());
        }
        let image = image(recording);
        // The recordings of an image follow each other: decode it once.
        if plane.as_ref().is_none_or(|(name, _)| name != image) {
            plane = Some((image.to_owned(), corpus_plane(image)));
        }
        let (_, alpha) = plane.as_ref().expect("just decoded");
        compare_outline(recording, &mesh(alpha, &recording.set))
    };
    report("corpus.jsonl", compare_next);
}

#[test]
fn outlines_are_the_references_when_masks_are_random() {
    let compare = |recording: &Recording| match recording.alpha_crc32 {
        Some(_) => Ok(()),
        None => compare_outline(recording, &mesh(&masks::mask(seed(recording)), &recording.set)),
    };
    report("masks.jsonl", compare);
}

#[test]
fn triangles_are_the_references_up_to_ties_when_the_outline_is_simple() {
    let compare = |recording: &Recording| {
        let Some(expected) = &recording.triangles else { return Ok(()) };
        let alpha = match &recording.image {
            Some(image) => corpus_plane(image),
            None => masks::mask(seed(recording)),
        };
        let mesh = mesh(&alpha, &recording.set).map_err(|error| format!("no mesh: {error}"))?;
        compare_triangles(expected, &mesh)
    };
    report("corpus.jsonl", compare);
    report("masks.jsonl", compare);
}

/// Runs a comparison over a file of recordings and fails with every difference.
fn report(file: &str, mut compare: impl FnMut(&Recording) -> std::result::Result<(), String>) {
    let recordings = recordings(file);
    let mut differences = Vec::new();
    for recording in &recordings {
        // A panic must name its image as well, and not hide the rest.
        let result = catch_unwind(AssertUnwindSafe(|| compare(recording))).unwrap_or(Err("panicked, see above".into()));
        if let Err(difference) = result {
            let subject = recording.image.clone().unwrap_or_else(|| format!("mask of seed {}", seed(recording)));
            differences.push(format!("{subject}, set {}: {difference}", recording.set));
        }
    }
    let printed = differences.iter().take(MOST_PRINTED).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} of {} recordings differ:\n{printed}", differences.len(), recordings.len());
}

fn compare_alpha(recording: &Recording, plane: impl FnOnce() -> AlphaPlane) -> std::result::Result<(), String> {
    let Some(expected) = recording.alpha_crc32 else { return Ok(()) };
    let plane = plane();
    let opaque = || vec![255; plane.width() as usize * plane.height() as usize];
    let crc32 = plane.to_values().map_or_else(|| crc32fast::hash(&opaque()), |values| crc32fast::hash(&values));
    if crc32 == expected { Ok(()) } else { Err(format!("the alpha bytes differ: CRC-32 {crc32}, expected {expected}")) }
}

fn compare_outline(recording: &Recording, result: &Result<Mesh>) -> std::result::Result<(), String> {
    if recording.failure {
        return match result {
            Err(error) if error.code() == "CONTOUR_EXTRACTION_FAILED" => Ok(()),
            Err(error) => Err(format!("expected no contour, got {error}")),
            Ok(mesh) => Err(format!("expected no contour, got {} points", mesh.outline.points.len())),
        };
    }
    if recording.degenerate {
        return match result {
            Err(error) if error.code() == "TRIANGULATION_FAILED" => Ok(()),
            Err(error) => Err(format!("expected a polygon or TRIANGULATION_FAILED, got {error}")),
            Ok(mesh) if mesh.outline.points.len() < 3 => Err("fewer than 3 points".into()),
            Ok(_) => Ok(()),
        };
    }
    let outline = &result.as_ref().map_err(|error| format!("no mesh: {error}"))?.outline;
    let contour_points = recording.contour_points.expect("contour_points");
    if outline.contour_points != contour_points {
        return Err(format!("{} contour points, expected {contour_points}", outline.contour_points));
    }
    let epsilon = recording.epsilon.expect("epsilon");
    if (outline.epsilon_px - epsilon).abs() > epsilon * EPSILON_TOLERANCE {
        return Err(format!("epsilon {} px, expected {epsilon}", outline.epsilon_px));
    }
    let Some(expected) = &recording.outline else {
        let points = recording.points.expect("points");
        let bytes: Vec<u8> = outline.points.iter().flatten().flat_map(|c| c.to_le_bytes()).collect();
        let same = outline.points.len() == points && recording.crc32 == Some(crc32fast::hash(&bytes));
        return if same { Ok(()) } else { Err(format!("not the recorded {points} points: {:?}", outline.points)) };
    };
    let expected: Vec<[i32; 2]> = expected.chunks_exact(2).map(|c| [c[0], c[1]]).collect();
    let longer = expected.len().max(outline.points.len());
    match (0..longer).find(|&i| outline.points.get(i) != expected.get(i)) {
        None => Ok(()),
        Some(i) => Err(format!(
            "point {i} is {:?}, expected {:?}; {} points, expected {}",
            outline.points.get(i),
            expected.get(i),
            outline.points.len(),
            expected.len()
        )),
    }
}

/// Equal triangles, or a different choice among cocircular points: then ours must be constrained Delaunay as well.
fn compare_triangles(expected: &[usize], mesh: &Mesh) -> std::result::Result<(), String> {
    let outline: Vec<[i64; 2]> = mesh.outline.points.iter().map(|p| p.map(i64::from)).collect();
    let index: HashMap<[i64; 2], usize> = outline.iter().enumerate().map(|(i, &point)| (point, i)).collect();
    let mut ours = Vec::new();
    for triangle in &mesh.triangles {
        let corner = |i: u32| {
            let [x, y] = mesh.vertices[i as usize];
            let point = [x as i64, y as i64];
            let exact = point[0] as f64 == x && point[1] as f64 == y;
            index.get(&point).copied().filter(|_| exact).ok_or(format!("vertex [{x}, {y}] is not of the outline"))
        };
        ours.push([corner(triangle[0])?, corner(triangle[1])?, corner(triangle[2])?]);
    }
    let sorted = |mut t: [usize; 3]| {
        t.sort_unstable();
        t
    };
    let ours_sorted: BTreeSet<[usize; 3]> = ours.iter().map(|&t| sorted(t)).collect();
    let theirs: BTreeSet<[usize; 3]> = expected.chunks_exact(3).map(|t| [t[0], t[1], t[2]]).collect();
    if ours.len() != theirs.len() {
        return Err(format!("{} triangles, expected {}", ours.len(), theirs.len()));
    }
    if ours_sorted == theirs {
        return Ok(());
    }
    let first = ours_sorted.difference(&theirs).next();
    check_constrained_delaunay(&outline, &ours).map_err(|e| format!("{e}; first triangle not of Triangle: {first:?}"))
}

/// Exact: coordinates are at most 4096, so the in-circle determinant stays under 2^57.
fn check_constrained_delaunay(outline: &[[i64; 2]], triangles: &[[usize; 3]]) -> std::result::Result<(), String> {
    let mut opposite = HashMap::new();
    let mut doubled_area = 0;
    for &[a, b, c] in triangles {
        let area = cross(outline[a], outline[b], outline[c]);
        doubled_area += area.abs();
        let [a, b, c] = if area > 0 { [a, b, c] } else { [a, c, b] };
        for (edge, corner) in [((a, b), c), ((b, c), a), ((c, a), b)] {
            if area == 0 || opposite.insert(edge, corner).is_some() {
                return Err(format!("triangle {:?} has no area or overlaps another", [a, b, c]));
            }
        }
    }
    let n = outline.len();
    let polygon: i64 = (0..n).map(|i| cross([0, 0], outline[i], outline[(i + 1) % n])).sum();
    if doubled_area != polygon.abs() {
        return Err(format!("the triangles cover {doubled_area} / 2 px2 of {} / 2", polygon.abs()));
    }
    for (&(a, b), &c) in &opposite {
        let of_outline = (a + 1) % n == b || (b + 1) % n == a;
        match opposite.get(&(b, a)) {
            None if of_outline => {}
            None => return Err(format!("edge {a}-{b} has one triangle but is not of the outline")),
            Some(_) if of_outline => return Err(format!("edge {a}-{b} of the outline has two triangles")),
            Some(&d) if in_circle(outline[a], outline[b], outline[c], outline[d]) > 0 => {
                return Err(format!("edge {a}-{b} is not Delaunay: {d} lies inside the circle of {a}, {b}, {c}"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Twice the area of a triangle, positive if it turns from x to y.
fn cross(a: [i64; 2], b: [i64; 2], c: [i64; 2]) -> i64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

/// Positive if `d` lies inside the circle through `a`, `b`, `c`, which turn from x to y; 0 on it.
fn in_circle(a: [i64; 2], b: [i64; 2], c: [i64; 2], d: [i64; 2]) -> i64 {
    let from_d = |p: [i64; 2]| [p[0] - d[0], p[1] - d[1]];
    let lift = |p: [i64; 2]| p[0] * p[0] + p[1] * p[1];
    let [a, b, c] = [from_d(a), from_d(b), from_d(c)];
    lift(a) * cross([0, 0], b, c) + lift(b) * cross([0, 0], c, a) + lift(c) * cross([0, 0], a, b)
}

#[test]
fn in_circle_is_positive_when_the_point_is_inside() {
    let [a, b, c] = [[0, 0], [4, 0], [4, 4]];
    assert!(cross(a, b, c) > 0);
    assert!(in_circle(a, b, c, [2, 1]) > 0);
    assert_eq!(in_circle(a, b, c, [0, 4]), 0);
    assert!(in_circle(a, b, c, [0, 5]) < 0);
}

#[test]
fn a_triangulation_is_refused_when_a_diagonal_is_not_delaunay() {
    let kite = [[0, 0], [10, -2], [20, 0], [10, 2]];
    assert_eq!(check_constrained_delaunay(&kite, &[[0, 1, 3], [1, 2, 3]]), Ok(()));
    assert!(check_constrained_delaunay(&kite, &[[0, 1, 2], [0, 2, 3]]).is_err());
    assert!(check_constrained_delaunay(&kite, &[[0, 1, 3]]).is_err());
}

fn mesh(alpha: &AlphaPlane, set: &str) -> Result<Mesh> {
    let sets: Value = serde_json::from_str(&read("sets.json")).expect("sets.json is JSON");
    let (parameters, warnings) = MeshParameters::from_json(&sets[set]).expect("a recorded set is valid");
    assert!(warnings.is_empty(), "{warnings:?}");
    build(alpha, &parameters, &MeshLimits::default(), &())
}

fn corpus_plane(image: &str) -> AlphaPlane {
    let bytes = std::fs::read(testdata().join("corpus").join(image)).expect("a corpus image");
    alpha_plane(Cursor::new(bytes), &Limits::default(), &()).expect("a readable image")
}

fn recordings(file: &str) -> Vec<Recording> {
    read(file).lines().map(|line| serde_json::from_str(line).expect("a recording")).collect()
}

fn image(recording: &Recording) -> &str {
    recording.image.as_deref().expect("an image")
}

fn seed(recording: &Recording) -> u64 {
    recording.seed.expect("a seed")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(testdata().join("parity").join(file)).expect("a file of testdata/parity")
}

fn testdata() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata")
}
