//! Meshes for bending: an even inside, few flat triangles, all vertices apart; on real sprites.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use serde_json::{Value, json};
use spinelift::decode::{self, Limits};
use spinelift::mesh::{self, Mesh, MeshLimits, MeshParameters};

fn build(name: &str, given: &Value) -> Mesh {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus").join(name);
    let source = BufReader::new(File::open(path).unwrap());
    let alpha = decode::alpha_plane(source, &Limits::default(), &()).unwrap();
    let (parameters, _) = MeshParameters::from_json(given).unwrap();
    mesh::build(&alpha, &parameters, &MeshLimits::default(), &()).unwrap()
}

/// The corpus but for two pixel drawings of 12 and 16 px, which have no room for 4 px between vertices and for angles.
fn corpus() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".md") && !name.starts_with("tiny-")).collect();
    names.sort();
    names
}

fn areas_px2(mesh: &Mesh) -> Vec<f64> {
    let area = |corners: &[u32; 3]| {
        let [a, b, c] = corners.map(|v| mesh.vertices[v as usize]);
        ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])).abs() / 2.0
    };
    mesh.triangles.iter().map(area).collect()
}

/// The standard deviation as a share of the mean.
fn relative_deviation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt() / mean
}

#[test]
fn few_triangles_are_flat_where_inner_vertices_are_asked_for() {
    let ways = [
        json!({ "preset": "deform" }),
        json!({
            "outline": "cover", "islands": "bridge", "max_vertices": 24,
            "internal_vertex_density": 1, "density_scaling_factor": 100,
        }),
    ];
    for given in ways {
        let (mut flat, mut all, mut small) = (0.0, 0.0, 0);
        for name in corpus() {
            let mesh = build(&name, &given);
            let scores = mesh.scores.unwrap();
            assert!(scores.sliver20 <= 0.05, "{name}: {:.3} with {given}", scores.sliver20);
            if mesh.vertices.len() <= 100 {
                flat += scores.sliver20 * mesh.triangles.len() as f64;
                all += mesh.triangles.len() as f64;
                small += 1;
            }
        }
        assert!(small >= 40, "only {small} have 100 vertices or fewer with {given}");
        assert!(flat / all <= 0.01, "{:.4} with {given}", flat / all);
    }
}

#[test]
fn triangles_of_the_preset_for_bending_are_even() {
    let names = [
        "concave-snake-1024.png",
        "hair-curly-512.png",
        "hair-red-512.png",
        "large-dragon-2048.png",
        "limb-hand-512.png",
        "limb-leg-512.png",
        "limbs-octopus-512.png",
        "png16bit-fish-512.png",
    ];
    for name in names {
        let mesh = build(name, &json!({ "preset": "deform" }));
        assert!(mesh.vertices.len() <= 100, "{name} has {} vertices", mesh.vertices.len());
        let deviation = relative_deviation(&areas_px2(&mesh));
        assert!(deviation <= 0.34, "{name}: {deviation:.2} of the mean");
    }
}

#[test]
fn the_first_row_inside_runs_along_the_outline() {
    for name in [
        "limbs-octopus-512.png",
        "hair-red-512.png",
        "hair-curly-512.png",
        "limb-hand-512.png",
        "png16bit-fish-512.png",
    ] {
        let mesh = build(name, &json!({ "preset": "deform" }));
        let rim = mesh.components[0].rim_length;
        let mut distances: Vec<f64> = Vec::new();
        for &corners in &mesh.triangles {
            // Triangles that stand on the outline, and the height of their inner corner over it.
            let (on, inside): (Vec<u32>, Vec<u32>) = corners.iter().partition(|&&v| v < rim);
            let is_piece = on.len() == 2 && mesh.boundary_edges.contains(&[on[0].min(on[1]), on[0].max(on[1])]);
            if is_piece {
                let [a, b, c] = [on[0], on[1], inside[0]].map(|v| mesh.vertices[v as usize]);
                let base = (b[0] - a[0]).hypot(b[1] - a[1]);
                distances.push(((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])).abs() / base);
            }
        }
        let deviation = relative_deviation(&distances);
        assert!(deviation <= 0.22, "{name}: {deviation:.2} of the mean");
    }
}

#[test]
fn the_finer_preset_has_more_vertices_and_the_tight_one_less_empty_area() {
    for name in ["limbs-octopus-512.png", "hair-curly-512.png"] {
        let [coarse, fine] = ["deform", "deform-large"].map(|preset| build(name, &json!({ "preset": preset })));
        let vertices = [coarse.vertices.len(), fine.vertices.len()];
        assert!(
            fine.vertices.len() * 2 >= 3 * coarse.vertices.len() && fine.vertices.len() <= 300,
            "{name}: {vertices:?}"
        );
    }
    for name in ["hole-ring-512.png", "islands-paws-256.png"] {
        let [plain, tight] =
            ["sprite", "tight"].map(|preset| build(name, &json!({ "preset": preset })).scores.unwrap());
        assert!(tight.iou > plain.iou + 0.1, "{name}: {:.3} and {:.3}", plain.iou, tight.iou);
        assert_eq!(tight.lost_px, 0, "{name}");
    }
}
