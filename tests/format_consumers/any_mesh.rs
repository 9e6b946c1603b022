//! Whatever the mask: every format writes the mesh, and what is read back is the mesh.

use proptest::prelude::*;
use serde_json::Value;
use spinelift::export::{FORMATS, Format, Source};
use spinelift::mesh::{Mesh, MeshLimits, MeshParameters, build};

use crate::shapes::mask;
use crate::{corners, obj, same_triangles, shows_front, single_precision, two_parts};

/// Cases unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 150;

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn written(format: &str, mesh: &Mesh, source: &Source<'_>) -> Vec<u8> {
    (Format::named(format).unwrap().write)(mesh, source).unwrap()
}

/// The triangles' corners upright, px.
fn glb_triangles(bytes: &[u8]) -> Vec<[[f64; 2]; 3]> {
    let text_end = 20 + u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let document: Value = serde_json::from_slice(&bytes[20..text_end]).unwrap();
    let view = |accessor: usize| {
        let accessor = &document["accessors"][accessor];
        let view = &document["bufferViews"][accessor["bufferView"].as_u64().unwrap() as usize];
        let start = text_end + 8 + view["byteOffset"].as_u64().unwrap() as usize;
        &bytes[start..start + view["byteLength"].as_u64().unwrap() as usize]
    };
    let numbers: Vec<f64> =
        view(0).chunks_exact(4).map(|four| f64::from(f32::from_le_bytes(four.try_into().unwrap()))).collect();
    let indices: Vec<usize> =
        view(2).chunks_exact(2).map(|two| usize::from(u16::from_le_bytes(two.try_into().unwrap()))).collect();
    let corner = |index: usize| [numbers[3 * index], numbers[3 * index + 1]];
    indices.chunks_exact(3).map(|three| [corner(three[0]), corner(three[1]), corner(three[2])]).collect()
}

/// The triangles' corners in image space, px.
fn godot_triangles(text: &str) -> Vec<[[f64; 2]; 3]> {
    let list = |line: &str| line.split_once("Array( ").unwrap().1.strip_suffix(" )").unwrap().to_owned();
    let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).unwrap();
    let numbers: Vec<f64> = list(line("polygon = ")).split(", ").map(|number| number.parse().unwrap()).collect();
    let polygons = line("polygons = [ ").strip_suffix(" ]").unwrap();
    let corner = |index: &str| {
        let index: usize = index.parse().unwrap();
        [numbers[2 * index], numbers[2 * index + 1]]
    };
    let triangle = |part: &str| {
        let corners: Vec<[f64; 2]> = part.trim_end_matches([' ', ')', ',']).split(", ").map(corner).collect();
        <[[f64; 2]; 3]>::try_from(corners).unwrap()
    };
    polygons.split("PoolIntArray( ").skip(1).map(triangle).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_format_is_written_and_read_back(
        mask in mask(),
        density in prop_oneof![Just(0u32), 1..=12u32],
        name in "\\PC{0,12}",
        has_two_parts in any::<bool>(),
    ) {
        let parameters = MeshParameters { internal_vertex_density: density, ..MeshParameters::default() };
        let Ok(mesh) = build(&mask.plane(), &parameters, &MeshLimits::default(), &()) else { return Ok(()) };
        let mesh = if has_two_parts { two_parts(&mesh) } else { mesh };
        let source = Source { name: &name, ..Source::default() };
        for format in FORMATS {
            prop_assert!((format.write)(&mesh, &source).is_ok(), "{}", format.name);
            prop_assert!(format.beside.iter().all(|file| (file.write)(&mesh, &source).is_ok()), "{}", format.name);
        }
        let expected = corners(&mesh);
        let height = f64::from(mesh.height);
        let upright = [obj::triangles(&written("obj", &mesh, &source)), glb_triangles(&written("glb", &mesh, &source))];
        for triangles in upright {
            let turned: Vec<_> = triangles.iter().map(|triangle| triangle.map(|[x, y]| [x, height - y])).collect();
            prop_assert!(same_triangles(&mesh, &turned, single_precision(&mesh)), "{:?} {:?}", expected, turned);
        }
        let scene = String::from_utf8(written("godot", &mesh, &source)).unwrap();
        prop_assert!(same_triangles(&mesh, &godot_triangles(&scene), single_precision(&mesh)));
        let result: Value = serde_json::from_slice(&written("json", &mesh, &source)).unwrap();
        prop_assert_eq!(&result["triangles"], &serde_json::to_value(&mesh.triangles).unwrap());
        prop_assert_eq!(&result["vertices"], &serde_json::to_value(&mesh.vertices).unwrap());
        // Triangles larger than what rounding to single precision can turn over show their front.
        let size = f64::from(mesh.width.max(mesh.height));
        let rounding = 2.0 * f64::from(f32::EPSILON) * size * size;
        let fronts = obj::triangles(&written("obj", &mesh, &source));
        let mut large = expected.iter().zip(fronts).filter(|(triangle, _)| area(triangle) > rounding);
        prop_assert!(large.all(|(_, front)| shows_front(front)));
    }
}

fn area([a, b, c]: &[[f64; 2]; 3]) -> f64 {
    ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])).abs() / 2.0
}
